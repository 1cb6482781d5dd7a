"""`doctor` as people run it: bounded in time, before and after enrolment, and never telling a secret."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.contract.token import decode_token
from agent.doctor.examine import bounded, examine
from agent.doctor.finding import Finding, ok
from agent.state import identity
from tests.agent import program
from tests.agent.gateway import Gateway
from tests.agent.oldest import oldest_python
from tests.agent.program import run


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path) as running:
        yield running


@pytest.mark.parametrize("which", ["this", "oldest"])
def test_before_and_after_enrolment(which: str, gateway: Gateway, tmp_path: Path) -> None:
    python = program.THIS if which == "this" else oldest_python()
    root, token = str(tmp_path / "root"), gateway.token()
    Path(root).mkdir()
    before = run(python, "doctor", "--token-file", "-", "--root", root, stdin=token)
    assert before.returncode == 0, before.stdout + before.stderr
    assert f"token      for fleet fleet-1, naming {gateway.url}" in before.stdout
    assert run(python, "enroll", "--token-file", "-", "--root", root, stdin=token).returncode == 0
    after = run(python, "doctor", "--format", "json", "--root", root)
    assert after.returncode == 0, after.stdout + after.stderr
    found = json.loads(after.stdout)
    assert found["healthy"] is True
    assert {each["check"] for each in found["checks"]} >= {"python", "libcrypto", "disk", "keys", "ca", "tls"}
    gateway.shut()
    down = run(python, "doctor", "--root", root, "--timeout", "2")
    assert down.returncode == 1
    assert "Connection refused" in down.stdout
    keys = identity.load_keys(str(Path(root) / "var/lib/opsctl"))
    secrets = [keys.sign, keys.seal, decode_token(token).secret, token.strip()]
    assert not any(secret in text for secret in secrets for text in (before.stdout, after.stdout, down.stdout))


def test_a_token_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(base64.b64encode(b"a secret, but no token").decode())
    done = run(program.THIS, "doctor", "--state", str(tmp_path / "s"), "--token-file", str(tmp_path / "token"))
    assert done.returncode == 1
    assert "fail  token" in done.stdout
    assert "YSBzZWNyZXQ" not in done.stdout


def test_a_server_without_anything_to_trust_it_by(tmp_path: Path) -> None:
    found = examine(str(tmp_path), "https://127.0.0.1:1", sandbox=True)
    assert "give --token-file as well" in found[-1].remedy


def test_another_server_than_the_identitys(gateway: Gateway, tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    Path(root).mkdir()
    run(program.THIS, "enroll", "--token-file", "-", "--root", root, stdin=gateway.token())
    done = run(program.THIS, "doctor", "--root", root, "--server", "https://127.0.0.1:1")
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stdout
    assert str(gateway.port) not in done.stdout


def test_a_check_that_hangs_is_a_finding() -> None:
    ended = threading.Event()

    def hangs() -> Iterator[Finding]:
        yield ok("disk", "so far")
        ended.wait(30)

    found = bounded("disk", hangs, -0.9)
    ended.set()
    assert [(each.level, each.check) for each in found] == [("ok", "disk"), ("fail", "disk")]
    assert "did not end within" in found[-1].says


def test_a_check_that_breaks_is_a_finding() -> None:
    def breaks() -> Finding:
        raise ZeroDivisionError

    (found,) = bounded("disk", breaks, 5.0)
    assert (found.level, found.check) == ("fail", "disk")
    assert "ZeroDivisionError" in found.says
