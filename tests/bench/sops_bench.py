"""Opening secrets: a repository of a thousand SOPS files, as a daemon does at its start, and when nothing changed."""

from __future__ import annotations

import os
import time

from reconciler.adapters.sops import Keyring, Trees, sealing
from reconciler.adapters.sops.age import new_identity
from reconciler.adapters.sops.metadata import Group, Metadata, Recipient

NUMBER = 1_000
_ROUNDS = 5
_AT = "2026-01-02T03:04:05Z"


def bench() -> dict[str, list[float]]:
    """Seconds to open and verify all of them, and the same where none of them changed."""
    own = new_identity()
    others = [new_identity() for _ in range(2)]
    keys = Keyring([own])
    scheme = Metadata((Group(tuple(Recipient("age", each.recipient) for each in (*others, own))),))
    files = [
        (f"blob-{number}", sealing.created(_plain(number), "a.sops.yaml", scheme, keys, _AT, os.urandom), path)
        for number in range(NUMBER)
        for path in [f"parameters/team-{number % 20}/service-{number}.sops.yaml"]
    ]
    cold, again = [], []
    for _ in range(_ROUNDS):
        trees = Trees(keys)
        cold.append(_taken(trees, files))
        again.append(_taken(trees, files))
    return {"sops.open.1k": cold, "sops.unchanged.1k": again}


def _taken(trees: Trees, files: list[tuple[str, bytes, str]]) -> float:
    begun = time.perf_counter()
    for oid, data, path in files:
        trees.decrypt(oid, data, path)
    taken = time.perf_counter() - begun
    assert len(trees) == NUMBER
    return taken


def _plain(number: int) -> bytes:
    lines = [f"# service {number}", "database:"]
    lines += [f"    {name}: {number}-{os.urandom(12).hex()}" for name in ("user", "password", "host", "replica")]
    lines += ["    port: 5432", "    tls: true", "tokens:"]
    lines += [f"    - {os.urandom(16).hex()}" for _ in range(4)]
    return ("\n".join(lines) + "\n").encode()
