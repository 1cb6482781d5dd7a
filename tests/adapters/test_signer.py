"""Signatures: ours, OpenSSH's, and that each side takes the other's."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.contract import sshsig
from agent.contract.sshsig import BadSignature
from agent.contract.wire import Signed
from reconciler.adapters.signer import KeygenSigner, KeySigner, open_key, operator_signer, verify
from reconciler.core.problem import Refused, Unavailable
from tests import lifeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.core.ports import Signer

PAYLOAD = b'{"method":"POST"}\n\x00\xff'
PASSPHRASE = "correct horse"


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "someone@example", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def public_of(key: Path) -> str:
    return " ".join(key.with_suffix(".pub").read_text().split()[:2])


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A real ssh-agent; calling it adds keys."""
    socket = tmp_path / "agent.sock"
    command = ["ssh-agent", "-D", "-a", str(socket)]
    process = lifeline.start(command, stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))

    def add(*keys: Path) -> None:
        for key in keys:
            subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True, env=_answering(tmp_path))

    try:
        for _ in range(200):
            if subprocess.run(["ssh-add", "-l"], capture_output=True, check=False).returncode == 1:
                break  # it answers, and holds nothing
        yield add
    finally:
        process.terminate()
        process.wait(10)
        lifeline.let_go(process.pid)


def _answering(directory: Path) -> dict[str, str]:
    """An environment in which OpenSSH is told the passphrase."""
    program = directory / "askpass"
    program.write_text(f"#!/bin/sh\necho '{PASSPHRASE}'\n")
    program.chmod(0o700)
    return {**os.environ, "SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force"}


def openssh_takes(signed: Signed, public: str, namespace: str, directory: Path) -> bool:
    armour = base64.encodebytes(base64.b64decode(signed.sig)).decode()
    (directory / "sig").write_text(f"-----BEGIN SSH SIGNATURE-----\n{armour}-----END SSH SIGNATURE-----\n")
    (directory / "signers").write_text(f"me {public}\n")
    files = ["-f", str(directory / "signers"), "-s", str(directory / "sig")]
    command = ["ssh-keygen", "-Y", "verify", *files, "-I", "me", "-n", namespace]
    return subprocess.run(command, input=base64.b64decode(signed.payload), capture_output=True).returncode == 0


@pytest.fixture(params=["memory", "file", "openssh file", "passphrase", "agent", "public half"])
def signer(
    request: pytest.FixtureRequest, tmp_path: Path, agent: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Signer:
    kind = request.param
    if kind == "memory":
        return KeySigner()
    if kind == "file":
        return open_key(tmp_path / "key")
    if kind == "openssh file":
        return operator_signer(keygen(tmp_path / "key"))
    if kind == "passphrase":
        for name, value in _answering(tmp_path).items():
            monkeypatch.setenv(name, value)
        return operator_signer(keygen(tmp_path / "key", passphrase=PASSPHRASE))
    key = keygen(tmp_path / "key")
    agent(key)
    key.unlink()
    if kind == "public half":
        return operator_signer(key.with_suffix(".pub"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return operator_signer()


class TestEverySigner:
    def test_its_signatures_are_taken_here_and_by_openssh(self, signer: Signer, tmp_path: Path) -> None:
        signed = signer.sign(PAYLOAD, sshsig.API)
        assert verify(signed, signer.public, sshsig.API) == PAYLOAD
        assert verify(signed, signer.public + " with a comment", sshsig.API) == PAYLOAD
        assert openssh_takes(signed, signer.public, sshsig.API, tmp_path)
        assert not openssh_takes(signed, signer.public, sshsig.HELLO, tmp_path)
        assert signer.public.startswith("ssh-ed25519 ")


class TestVerify:
    signer = KeySigner()
    signed = signer.sign(PAYLOAD, sshsig.API)

    def test_an_empty_payload(self) -> None:
        assert verify(self.signer.sign(b"", sshsig.API), self.signer.public, sshsig.API) == b""

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"payload": base64.b64encode(PAYLOAD + b" ").decode()}, "does not fit"),
            ({"payload": "!"}, "payload is not base64"),
            ({"payload": "ÿ"}, "payload is not base64"),
            ({"sig": "YQ"}, "signature is not base64"),
            ({"sig": ""}, "not an SSHSIG"),
            ({"sig": base64.b64encode(b"SSHSIG\0\0\0\1").decode()}, "ends early"),
            ({"sig": KeySigner().sign(PAYLOAD, sshsig.API).sig}, "another key"),
            ({"sig": signer.sign(PAYLOAD, sshsig.JOB).sig}, "opsctl-job@v1"),
        ],
    )
    def test_forgeries(self, change: dict[str, str], why: str) -> None:
        with pytest.raises(BadSignature, match=why):
            verify(replace(self.signed, **change), self.signer.public, sshsig.API)

    def test_every_bit_of_the_signature_counts(self) -> None:
        blob = base64.b64decode(self.signed.sig)
        for at in range(len(blob)):
            for bit in (1, 0x80):
                turned = blob[:at] + bytes([blob[at] ^ bit]) + blob[at + 1 :]
                with pytest.raises(BadSignature):
                    verify(replace(self.signed, sig=base64.b64encode(turned).decode()), self.signer.public, sshsig.API)

    @pytest.mark.parametrize("public", ["", "ssh-rsa AAAA", "ssh-ed25519", "ssh-ed25519 !", "ssh-ed25519 AAAA"])
    def test_other_keys(self, public: str) -> None:
        with pytest.raises(BadSignature):
            verify(self.signed, public, sshsig.API)

    def test_a_signature_by_openssh_with_an_rsa_key_is_not_ours(self, tmp_path: Path) -> None:
        key = keygen(tmp_path / "key", "rsa")
        command = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", sshsig.API]
        armour = subprocess.run(command, input=PAYLOAD, capture_output=True, check=True).stdout.decode()
        sig = "".join(armour.splitlines()[1:-1])
        with pytest.raises(BadSignature, match="ed25519"):
            verify(Signed(base64.b64encode(PAYLOAD).decode(), sig), self.signer.public, sshsig.API)


class TestKeyFiles:
    def test_a_key_is_made_once_and_read_by_openssh(self, tmp_path: Path) -> None:
        made = open_key(tmp_path / "key")
        assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
        assert open_key(tmp_path / "key").public == made.public
        shown = subprocess.run(["ssh-keygen", "-y", "-f", str(tmp_path / "key")], capture_output=True, check=True)
        assert shown.stdout.decode().split()[:2] == made.public.split()
        assert [path.name for path in tmp_path.iterdir()] == ["key"]

    def test_a_key_that_others_may_read_is_refused(self, tmp_path: Path) -> None:
        open_key(tmp_path / "key")
        (tmp_path / "key").chmod(0o640)
        with pytest.raises(Refused, match=r"mode 0640.*chmod 600"):
            open_key(tmp_path / "key")

    @pytest.mark.parametrize("content", [b"", b"rubbish", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
    def test_a_broken_key_is_never_replaced(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "key"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(Unavailable, match="key"):
            open_key(path)
        assert path.read_bytes() == content

    def test_a_directory_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="No such file"):
            open_key(tmp_path / "gone" / "key")

    def test_a_key_is_never_shown(self, tmp_path: Path) -> None:
        key = open_key(tmp_path / "key")
        secret = (tmp_path / "key").read_text().splitlines()[3]
        assert secret not in repr(key)


class TestOperator:
    def test_other_sorts_of_keys_are_refused_by_name(self, tmp_path: Path) -> None:
        for kind, shown in (("rsa", "ssh-rsa"), ("ecdsa", "ecdsa-sha2-nistp256")):
            key = keygen(tmp_path / kind, kind)
            for path in (key, key.with_suffix(".pub")):
                with pytest.raises(Refused, match=f"{shown}.*ed25519"):
                    operator_signer(path).sign(PAYLOAD, sshsig.API)

    def test_what_is_no_key(self, tmp_path: Path) -> None:
        path = tmp_path / "notes"
        path.write_text("groceries\n")
        with pytest.raises(Refused, match="no OpenSSH key"):
            operator_signer(path)
        path.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
        with pytest.raises(Unavailable, match="damaged"):
            operator_signer(path)
        with pytest.raises(Unavailable, match="No such file"):
            operator_signer(tmp_path / "gone")

    def test_the_usual_file_comes_first(
        self, tmp_path: Path, agent: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".ssh").mkdir()
        usual, other = keygen(tmp_path / ".ssh" / "id_ed25519"), keygen(tmp_path / "other")
        agent(other)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert operator_signer().public == public_of(usual)

    def test_of_several_in_the_agent_one_has_to_be_named(
        self, tmp_path: Path, agent: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        with pytest.raises(Refused, match="neither"):
            operator_signer()
        agent(keygen(tmp_path / "one"), keygen(tmp_path / "two"))
        with pytest.raises(Refused, match="several"):
            operator_signer()

    def test_a_key_that_the_agent_lacks(self, tmp_path: Path, agent: Callable[..., None]) -> None:
        key = keygen(tmp_path / "key")
        key.unlink()
        with pytest.raises(Refused, match="did not sign"):
            operator_signer(key.with_suffix(".pub")).sign(PAYLOAD, sshsig.API)

    def test_without_openssh(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        with pytest.raises(Unavailable, match="ssh-keygen"):
            KeygenSigner(KeySigner().public).sign(PAYLOAD, sshsig.API)
