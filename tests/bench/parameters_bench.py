"""Parameters: 100,000 references resolved as loading does it, and values asked of a daemon over its socket."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyrage

from reconciler.adapters.git.memory import MemoryRepository, MemorySource
from reconciler.adapters.sops import Keyring, sealing
from reconciler.adapters.sops.metadata import Group, Metadata, Recipient
from reconciler.api.client import Client
from reconciler.core.problem import Place
from reconciler.documents.stored import References
from reconciler.engine.load import load
from tests.stage import Daemon

_FILES, _IN_EACH = 100, 100
_ASSOCIATIONS, _REFERENCES = 1_000, 100
_ASKED = 200
"""As many of each as the server lets one person ask for at once."""
_FLEET = "apiVersion: ops/v1\nkind: Fleet\nmetadata: {name: bench}\n"
_SECRETS = "parameters/secrets.sops.yaml"


def bench() -> dict[str, list[float]]:
    """Seconds."""
    return {**_resolved(), **_asked()}


def _resolved() -> dict[str, list[float]]:
    """What references cost: looked up alone, and in the load of a commit that changes one parameter."""
    repository = MemoryRepository()
    first = repository.commit("main", _fleet())
    source = MemorySource(repository)
    catalog = load(source, first)
    assert len(catalog.compiled) == _ASSOCIATIONS
    stored = catalog.stored(source)
    trees = [_references(number) for number in range(_ASSOCIATIONS)]
    begun = time.perf_counter()
    for tree in trees:
        found = References(stored).found(tree, set(), lambda _loc: Place("x"))
        assert found is not None
        assert len(found) == _REFERENCES
    taken = time.perf_counter() - begun
    again = []
    for number in range(5):
        commit = repository.commit("main", {"parameters/p000.yaml": _file(0, f"changed-{number}")})
        begun = time.perf_counter()
        catalog = load(source, commit, previous=catalog)
        again.append(time.perf_counter() - begun)
    return {"parameters.resolve.100k": [taken], "parameters.again.100k": again}


def _fleet() -> dict[str, bytes | None]:
    files: dict[str, bytes | None] = {"fleet.yaml": _FLEET.encode()}
    files |= {f"parameters/p{number:03}.yaml": _file(number) for number in range(_FILES)}
    for number in range(_ASSOCIATIONS):
        lines = "".join(f"      - echo '{text}'\n" for text in _references(number))
        files[f"documents/d{number}.yaml"] = (
            'schemaVersion: "2.2"\nmainSteps:\n- name: a\n  action: aws:runShellScript\n'
            f"  inputs:\n    runCommand:\n{lines}"
        ).encode()
        files[f"associations/a{number}.yaml"] = (
            f"apiVersion: ops/v1\nkind: Association\nmetadata: {{name: a{number}}}\n"
            f'spec: {{document: d{number}, targets: ["*"]}}\n'
        ).encode()
    return files


def _file(number: int, value: str = "value") -> bytes:
    lines = "".join(f"    key{at}: {value if at == 0 else 'value'}-{at}\n" for at in range(_IN_EACH))
    return f"bench:\n  p{number:03}:\n{lines}".encode()


def _references(number: int) -> list[str]:
    """Those of one document: every hundredth parameter, each document from another one on."""
    chosen = ((number * 7 + at * 101) % (_FILES * _IN_EACH) for at in range(_REFERENCES))
    return [f"{{{{ ssm:/bench/p{one // _IN_EACH:03}/key{one % _IN_EACH} }}}}" for one in chosen]


def _asked() -> dict[str, list[float]]:
    """The 99th of a hundred answers, of a String and of a SecureString that is opened and written down."""
    with tempfile.TemporaryDirectory(prefix="opsctl-bench-") as directory:
        place = Path(directory)
        key = pyrage.x25519.Identity.generate()
        repo = place / "config"
        for path, data in {**_fleet(), _SECRETS: _secrets(str(key.to_public()))}.items():
            assert data is not None
            file = repo / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        git = ["git", "-C", str(repo), "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
        for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "Begin"]):
            subprocess.run([*git, *arguments], check=True)
        state = place / "state"
        state.mkdir()
        (state / "age.key").write_text(f"{key}\n")
        (state / "age.key").chmod(0o600)
        (state / "server.yaml").write_text("secrets: {keys: [age.key]}\n")
        daemon = Daemon(Path(sys.executable).with_name("opsctl"), repo, state).start(timeout=120)
        try:
            with Client(f"unix:{daemon.socket}") as client:
                _until_in_force(client)
                return {
                    "parameters.get.p99": _answers(client, "/bench/p042/key7", decrypt=False),
                    "parameters.decrypt.p99": _answers(client, "/bench/secret/key3", decrypt=True),
                }
        finally:
            daemon.stop()


def _secrets(recipient: str) -> bytes:
    plain = "bench:\n  secret:\n" + "".join(f"    key{at}: secret-{at}\n" for at in range(10))
    scheme = Metadata((Group((Recipient("age", recipient),)),))
    return sealing.created(plain.encode(), _SECRETS, scheme, Keyring(), "2026-01-01T00:00:00Z", os.urandom)


def _until_in_force(client: Client) -> None:
    deadline = time.monotonic() + 120
    while not client.status().get("revision"):
        assert time.monotonic() < deadline, "nothing came into force"
        time.sleep(0.2)


def _answers(client: Client, name: str, *, decrypt: bool) -> list[float]:
    client.parameters.one(name, decrypt=decrypt)
    taken = []
    for _ in range(_ASKED):
        begun = time.perf_counter()
        client.parameters.one(name, decrypt=decrypt)
        taken.append(time.perf_counter() - begun)
    hundreds = [sorted(taken[at : at + 100]) for at in range(0, _ASKED, 100)]
    return [hundred[98] for hundred in hundreds]
