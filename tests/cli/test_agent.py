"""`opsctl agent sign`: what it writes is what machines take, and OpenSSH reads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.contract import sshsig
from agent.contract.canonical import digest
from agent.upgrade import release
from reconciler.adapters.signer import open_key
from tests.cli.conftest import Run


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state" / "keys").mkdir(parents=True)
    open_key(tmp_path / "state" / "keys" / "controller.key")
    return tmp_path / "state"


def test_a_signed_agent_is_what_machines_take(run: Run, state: Path, tmp_path: Path) -> None:
    key = open_key(state / "keys" / "controller.key").public
    file = tmp_path / "agent.pyz"
    assert run("agent", "package", "--out", file).code == 0
    made = run("agent", "sign", file, "--state", state, "--format", "json").document
    assert made == {
        "format": "opsctl.signature/v1",
        "path": f"{file}.sig",
        "digest": digest(file.read_bytes()),
        "key": key,
    }
    assert release(str(file), sshsig.public_of_text(key)).data == file.read_bytes()
    command = ["ssh-keygen", "-Y", "check-novalidate", "-n", "opsctl-release@v1", "-s", f"{file}.sig"]
    with file.open("rb") as data:
        assert subprocess.run(command, stdin=data, capture_output=True, check=False).returncode == 0


def test_the_state_is_where_the_servers_socket_lies(
    run: Run, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "agent.pyz"
    file.write_bytes(b"anything")
    monkeypatch.delenv("OPSCTL_SERVER", raising=False)
    nowhere = run("agent", "sign", file)
    assert (nowhere.code, "name the server's state directory" in nowhere.err) == (2, True)
    monkeypatch.setenv("OPSCTL_SERVER", f"unix:{state}/opsctl.sock")
    assert run("agent", "sign", file).code == 0
    assert (tmp_path / "agent.pyz.sig").read_text().startswith("-----BEGIN SSH SIGNATURE-----\n")


def test_a_key_is_never_made_by_signing(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "agent.pyz"
    file.write_bytes(b"anything")
    refused = run("agent", "sign", file, "--state", tmp_path / "no-state")
    assert refused.code == 1
    assert "controller.key" in refused.err
    assert [path.name for path in tmp_path.iterdir()] == ["agent.pyz"]
    missing = run("agent", "sign", tmp_path / "no.pyz", "--state", tmp_path)
    assert missing.code == 1
