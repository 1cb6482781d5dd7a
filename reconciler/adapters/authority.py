"""The fleet's own CA, and the server's certificate that it signs: P-256, which any OpenSSL since 1.1.1 takes.

The CA's key and certificate are one private file, and so are the server's: neither pair can come apart in a crash.
`ca.pem` is a copy for those who are to trust it; its digest travels in join tokens.
"""

from __future__ import annotations

import datetime
import ipaddress
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.contract.canonical import digest
from reconciler.adapters.private_files import EVERYONE_READS, make_private, read_private, write_whole
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CA_LIFE = datetime.timedelta(days=3650)
SERVER_LIFE = datetime.timedelta(days=90)
RENEW_BEFORE = datetime.timedelta(days=30)
CLOCK_SKEW = datetime.timedelta(days=3)
"""How far a client's clock may be behind the server's when a certificate is new."""
LOCAL_NAMES = ("127.0.0.1", "::1", "localhost")

_General: TypeAlias = x509.DNSName | x509.IPAddress


@dataclass(frozen=True, slots=True)
class _Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def pem(self) -> bytes:
        private = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self.certificate.public_bytes(Encoding.PEM) + private


class Authority:
    """A fleet's CA, kept in one directory. Instants are Unix milliseconds.

    Opening makes what is not there; a CA that is there is never replaced, however broken. Raises `Unavailable` for
    files that cannot be used, `Refused` for keys that others may read.
    """

    def __init__(self, directory: Path, fleet_id: str, at: int) -> None:
        self._directory = directory
        make_private(directory)
        file = directory / "ca.key"
        if not file.exists():
            write_whole(file, _new_ca(fleet_id, _moment(at)).pem())
        self._ca = _read(file)
        if not self.ca_path.exists() or self.ca_path.read_bytes() != self.ca_pem:
            write_whole(self.ca_path, self.ca_pem, EVERYONE_READS)

    @property
    def ca_path(self) -> Path:
        return self._directory / "ca.pem"

    @property
    def ca_pem(self) -> bytes:
        return self._ca.certificate.public_bytes(Encoding.PEM)

    @property
    def ca_digest(self) -> str:
        """Of the DER certificate: what join tokens carry."""
        return digest(self._ca.certificate.public_bytes(Encoding.DER))

    @property
    def chain_path(self) -> Path:
        """The server's certificate, once `ensure_server` was called."""
        return self._directory / "server.pem"

    @property
    def key_path(self) -> Path:
        """Its key: the same file, so that a crash never leaves one without the other."""
        return self.chain_path

    def ensure_server(self, names: Iterable[str], at: int) -> bool:
        """See to a certificate for the server under these names, the machine's and the local ones; whether it is new.

        The one that is there stays while it has all the names and is far from its end. To be called at the start and
        every few hours. Raises `Refused` for what is neither a host name nor an address.
        """
        wanted = [_general(name) for name in dict.fromkeys((*LOCAL_NAMES, *names))]
        wanted += [name for name in machine_names() if name not in wanted]
        now = _moment(at)
        if self._usable(wanted, now):
            return False
        write_whole(self.chain_path, self._issue(wanted, now).pem())
        return True

    def _usable(self, wanted: list[_General], now: datetime.datetime) -> bool:
        if not self.chain_path.exists():
            return False
        try:
            certificate = _read(self.chain_path).certificate
            certificate.verify_directly_issued_by(self._ca.certificate)
        except (Unavailable, ValueError, TypeError, InvalidSignature):
            return False  # it can be made again
        lasting = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_BEFORE
        return lasting and set(wanted) <= _names(certificate)

    def _issue(self, wanted: list[_General], now: datetime.datetime) -> _Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        authority = self._ca.certificate
        until = min(now + SERVER_LIFE, authority.not_valid_after_utc)
        if until <= now:
            raise Unavailable("the fleet's CA", f"it ended on {authority.not_valid_after_utc:%Y-%m-%d}")
        builder = (
            _builder("opsctl server", key, max(now - CLOCK_SKEW, authority.not_valid_before_utc), until)
            .issuer_name(authority.subject)
            .add_extension(x509.SubjectAlternativeName(wanted), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_authority_id(self._ca.key), critical=False)
        )
        return _Pair(builder.sign(self._ca.key, hashes.SHA256()), key)


def machine_names() -> list[_General]:
    """What this machine calls itself, whole and short; nothing is asked of the network."""
    name = socket.gethostname()
    found: list[_General] = []
    for part in dict.fromkeys((name, name.split(".")[0])):
        with suppress(Refused):  # a machine may be called anything
            found.append(_general(part))
    return found


def _new_ca(fleet_id: str, now: datetime.datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = f"opsctl CA of {fleet_id}"[:64]
    builder = (
        _builder(name, key, now - CLOCK_SKEW, now + CA_LIFE)
        .issuer_name(_name(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .add_extension(_authority_id(key), critical=False)
    )
    return _Pair(builder.sign(key, hashes.SHA256()), key)


def _builder(
    name: str, key: ec.EllipticCurvePrivateKey, start: datetime.datetime, end: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _authority_id(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _read(file: Path) -> _Pair:
    data = read_private(file)
    try:
        certificate, key = x509.load_pem_x509_certificate(data), load_pem_private_key(data, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise ValueError("its key and certificate do not belong together")
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Unavailable(f"the certificate and key in {file}", str(error)) from error
    return _Pair(certificate, key)


def _names(certificate: x509.Certificate) -> set[_General]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return {name for name in extension.value if isinstance(name, x509.DNSName | x509.IPAddress)}


def _general(name: str) -> _General:
    """A host name or an address, as a certificate names it."""
    with suppress(ValueError):  # then it is a host name
        return x509.IPAddress(ipaddress.ip_address(name.removeprefix("[").removesuffix("]")))
    try:
        ascii_name = name.encode("idna").decode("ascii").rstrip(".").lower()
        if not ascii_name or not all(character.isalnum() or character in "-._" for character in ascii_name):
            raise ValueError("not a host name")
        return x509.DNSName(ascii_name)
    except ValueError:
        raise Refused(f"{name!r} is neither a host name nor an address", "names of the server") from None


def _moment(at: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at // 1000, tz=datetime.UTC)
