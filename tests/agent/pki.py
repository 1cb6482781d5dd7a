"""A fleet's CA, a server certificate and a controller key, made with `cryptography`, which the agent does not use."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from agent.contract import sshsig
from agent.contract.wire import Signed

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """A CA."""

    def __init__(self, name: str = "opsctl test CA") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.certificate.public_bytes(Encoding.DER)).hexdigest()

    def serve_as(
        self,
        directory: Path,
        address: str = "127.0.0.1",
        begins: datetime.timedelta = -DAY,
        ends: datetime.timedelta = 7 * DAY,
    ) -> Path:
        """A file with a key and a certificate for an address, valid from `begins` to `ends` from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name("server"))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + begins)
            .not_valid_after(NOW + ends)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        path = directory / f"server-{certificate.serial_number:x}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        return path


class ControllerKey:
    """An Ed25519 key that signs in SSHSIG namespaces."""

    def __init__(self, secret: bytes | None = None) -> None:
        """A key of 32 given bytes, or a new one."""
        self._key = Ed25519PrivateKey.from_private_bytes(secret) if secret else Ed25519PrivateKey.generate()
        self._public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.text = sshsig.public_text(self._public)

    def sign(self, namespace: str, payload: bytes) -> Signed:
        raw = self._key.sign(sshsig.message_to_sign(payload, namespace))
        blob = sshsig.blob(self._public, namespace, raw)
        return Signed(base64.b64encode(payload).decode(), base64.b64encode(blob).decode())


def verified(signed: Signed, key_text: str, namespace: str) -> bytes:
    """The payload signed by the key of that OpenSSH text. Fails the test otherwise."""
    payload = base64.b64decode(signed.payload, validate=True)
    parts = sshsig.parts(base64.b64decode(signed.sig, validate=True))
    assert parts.namespace == namespace
    public = sshsig.public_of_text(key_text)
    assert parts.public == public
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(parts.signature, sshsig.message_to_sign(payload, namespace))
    except InvalidSignature:
        raise AssertionError("the signature does not hold") from None
    return payload
