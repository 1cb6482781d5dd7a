"""Our ctypes against `cryptography` and against OpenSSH itself."""

from __future__ import annotations

import base64
import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as some

from agent import crypto
from agent.contract import sshsig
from agent.contract.sshsig import HELLO, REPORT, BadSignature
from agent.contract.wire import Signed

keys = some.binary(min_size=32, max_size=32)
needs_ssh_keygen = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")


def armoured(signed: Signed) -> str:
    return f"-----BEGIN SSH SIGNATURE-----\n{signed.sig}\n-----END SSH SIGNATURE-----\n"


@given(keys, some.binary(max_size=5000))
def test_signatures_are_those_of_cryptography(secret: bytes, message: bytes) -> None:
    theirs = Ed25519PrivateKey.from_private_bytes(secret)
    assert crypto.public_of(secret) == theirs.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert crypto.sign(secret, message) == theirs.sign(message)
    assert crypto.verify(crypto.public_of(secret), message, theirs.sign(message))


@given(keys, some.binary(min_size=1, max_size=200), some.data())
def test_a_changed_message_key_or_signature_does_not_hold(secret: bytes, message: bytes, data: some.DataObject) -> None:
    public, signature = crypto.public_of(secret), crypto.sign(secret, message)
    which = data.draw(some.integers(0, 2))
    parts = [public, message, signature]
    at = data.draw(some.integers(0, len(parts[which]) * 8 - 1))
    changed = bytearray(parts[which])
    changed[at // 8] ^= 1 << (at % 8)
    parts[which] = bytes(changed)
    assert not crypto.verify(*parts)
    with pytest.raises((InvalidSignature, ValueError)):
        Ed25519PublicKey.from_public_bytes(parts[0]).verify(parts[2], parts[1])


@given(keys)
def test_sealing_keys_are_those_of_cryptography(secret: bytes) -> None:
    theirs = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert crypto.sealing_public_of(secret) == theirs


@pytest.mark.parametrize(("public", "signature"), [(b"", b"x" * 64), (b"x" * 31, b"x" * 64), (b"\xff" * 32, b"x" * 64)])
def test_malformed_keys_and_signatures_do_not_hold(public: bytes, signature: bytes) -> None:
    assert not crypto.verify(public, b"message", signature)
    assert not crypto.verify(crypto.public_of(crypto.new_key()), b"message", signature[:-1])


def test_a_private_key_of_a_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes, this is 5"):
        crypto.public_of(b"short")


def test_new_keys_differ() -> None:
    assert len({crypto.new_key() for _ in range(50)}) == 50


def test_what_is_signed_opens_only_with_that_key_and_namespace() -> None:
    signer = crypto.Signer(crypto.new_key())
    signed = signer.sign(REPORT, b"payload")
    assert crypto.opened(signed, signer.public, REPORT) == b"payload"
    with pytest.raises(BadSignature, match="not for 'opsctl-hello@v1'"):
        crypto.opened(signed, signer.public, HELLO)
    with pytest.raises(BadSignature, match="another key"):
        crypto.opened(signed, crypto.public_of(crypto.new_key()), REPORT)
    with pytest.raises(BadSignature, match="does not hold"):
        crypto.opened(dataclasses.replace(signed, payload=base64.b64encode(b"Payload").decode()), signer.public, REPORT)
    with pytest.raises(BadSignature, match="base64"):
        crypto.opened(dataclasses.replace(signed, payload="!" + signed.payload), signer.public, REPORT)
    with pytest.raises(BadSignature):
        crypto.opened(dataclasses.replace(signed, sig=signed.sig[:40]), signer.public, REPORT)


def test_a_signer_shows_its_public_half_only() -> None:
    secret = crypto.new_key()
    assert base64.b64encode(secret).decode() not in repr(crypto.Signer(secret))


@needs_ssh_keygen
def test_openssh_verifies_what_we_sign(tmp_path: Path) -> None:
    signer = crypto.Signer(crypto.new_key())
    (tmp_path / "sig").write_text(armoured(signer.sign(REPORT, b"a report\n")))
    (tmp_path / "allowed").write_text(f"node {sshsig.public_text(signer.public)}\n")
    verify = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "node", "-n", REPORT, "-s", "sig"]
    good = subprocess.run(verify, cwd=tmp_path, input=b"a report\n", capture_output=True, check=False)
    bad = subprocess.run(verify, cwd=tmp_path, input=b"a Report\n", capture_output=True, check=False)
    assert good.returncode == 0, good.stderr
    assert bad.returncode != 0


@needs_ssh_keygen
def test_we_verify_what_openssh_signs(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    (tmp_path / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "payload").write_bytes(b"a set")
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", "key", "-n", HELLO, "payload"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    armour = (tmp_path / "payload.sig").read_text().split("\n")
    signed = Signed(base64.b64encode(b"a set").decode(), "".join(armour[1:-2]))
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert crypto.opened(signed, public, HELLO) == b"a set"


def test_ssl_is_undisturbed_by_a_signature_that_does_not_hold() -> None:
    import ssl

    assert not crypto.verify(crypto.public_of(crypto.new_key()), b"m", b"\0" * 64)
    ssl.create_default_context().load_default_certs()  # would raise a stale error of ours
