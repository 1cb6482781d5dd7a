"""Keys of age: identities that open, recipients that are encrypted to. The cryptography is pyrage's."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import pyrage
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from reconciler.core.problem import Finding, Invalid, Place, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from reconciler.core.cleartext import Cleartext

AskPassphrase: TypeAlias = "Callable[[str], Cleartext | None]"
"""Asks for the passphrase of what is named; None where nobody can be asked."""

_ARMOUR = "-----BEGIN AGE ENCRYPTED FILE-----"
_BINARY = b"age-encryption.org/v1\n"
_SECRET = "AGE-SECRET-KEY-1"  # noqa: S105  # how identities begin
_POST_QUANTUM = ("AGE-SECRET-KEY-PQ-", "age1pq1")
_NOT_READ = "is a post-quantum key of age, which is not read here"
_STANZA = re.compile(rb"^-> (\S+)", re.MULTILINE)


class Identity(NamedTuple):
    """A private key. `recipient` is its public half as files name it; `source` says where it came from."""

    recipient: str
    key: pyrage.x25519.Identity | pyrage.ssh.Identity
    source: str

    def __repr__(self) -> str:
        return f"Identity({self.recipient or 'SSH'}, {self.source})"


def read_identities(data: bytes, source: str, ask: AskPassphrase) -> list[Identity]:
    """The identities of a file such as `age-keygen` writes, also one that is encrypted with a passphrase.

    Raises `Invalid` where a line is no identity (without showing it), `Refused` where the passphrase is missing or
    wrong.
    """
    if data.startswith(_BINARY) or data.lstrip().startswith(_ARMOUR.encode()):
        data = _unlocked(data, source, ask)
    if b"PRIVATE KEY-----" in data:
        return [read_ssh_identity(data, source, ask)]
    found = []
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            found.append(_identity(text, source, number))
    return found


def read_ssh_identity(data: bytes, source: str, ask: AskPassphrase) -> Identity:
    """A private SSH key, ed25519 or RSA. Raises as `read_identities`."""
    try:
        key = serialization.load_ssh_private_key(data, None)
    except TypeError:
        key = _unlocked_ssh(data, source, ask)
    except (ValueError, UnsupportedAlgorithm):
        key = _other_private_key(data, source)
    encoding = serialization.Encoding
    bare = key.private_bytes(encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    public = key.public_key().public_bytes(encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    try:
        return Identity(public, pyrage.ssh.Identity.from_buffer(bare), source)
    except pyrage.IdentityError:
        raise Refused(f"{source} is no key that age takes", "", "name an ed25519 or RSA key") from None


def new_identity() -> Identity:
    """A new X25519 key."""
    key = pyrage.x25519.Identity.generate()
    return Identity(str(key.to_public()), key, "new")


def encrypt(share: bytes, recipient: str) -> str:
    """The share of a data key for one recipient, armoured. Raises `Refused` where the recipient is none."""
    armoured: bytes = pyrage.encrypt(share, [read_recipient(recipient)], armored=True)
    return armoured.decode()


def decrypt(armoured: str, identities: Sequence[Identity]) -> bytes | None:
    """What is in an armoured file; None where none of these identities opens it."""
    if not identities:
        return None
    try:
        opened: bytes = pyrage.decrypt(armoured.encode(), [identity.key for identity in identities])
    except (pyrage.DecryptError, ValueError):
        return None
    return opened


def read_recipient(text: str) -> pyrage.x25519.Recipient | pyrage.ssh.Recipient:
    """A public key: `age1...`, `ssh-ed25519 ...` or `ssh-rsa ...`. Raises `Refused`."""
    reader = pyrage.ssh.Recipient if text.startswith("ssh-") else pyrage.x25519.Recipient
    try:
        return reader.from_str(text)
    except pyrage.RecipientError:
        if text.startswith(_POST_QUANTUM):
            raise Refused(f"{text[:24]}... {_NOT_READ}", "", "use an X25519 or SSH key") from None
        raise Refused(f"{text[:80]!r} is no recipient of age", "", "expected age1..., ssh-ed25519 or ssh-rsa") from None


def obstacles(armoured: str, recipient: str) -> Iterator[str]:
    """Why nobody here could open an armoured file, whatever their keys."""
    if recipient.startswith(_POST_QUANTUM) or any(b"mlkem" in stanza for stanza in _stanzas(armoured)):
        yield f"{recipient[:24] or 'one recipient'} {_NOT_READ}"


def same_recipient(one: str, other: str) -> bool:
    """Whether two texts name one key: the comment of an SSH key does not count."""
    return one.split()[:2] == other.split()[:2]


def _identity(text: str, source: str, number: int) -> Identity:
    if text.startswith(_POST_QUANTUM[0]):
        raise _unreadable(source, number, f"this {_NOT_READ}")
    try:
        key = pyrage.x25519.Identity.from_str(text)
    except pyrage.IdentityError:
        raise _unreadable(source, number, "this line is no age identity") from None
    return Identity(str(key.to_public()), key, source)


def _unreadable(source: str, number: int, message: str) -> Invalid:
    return Invalid((Finding(message, Place(source, number, 1), f"{_SECRET}..., a comment, or an SSH key"),))


def _unlocked(data: bytes, source: str, ask: AskPassphrase) -> bytes:
    given = ask(source)
    if given is None:
        raise _locked(source)
    try:
        unlocked: bytes = pyrage.passphrase.decrypt(data, given.text())
    except (pyrage.DecryptError, ValueError):
        raise Refused(f"{source} does not open with that passphrase") from None
    return unlocked


def _unlocked_ssh(data: bytes, source: str, ask: AskPassphrase) -> serialization.ssh.SSHPrivateKeyTypes:
    given = ask(source)
    if given is None:
        raise _locked(source)
    try:
        return serialization.load_ssh_private_key(data, given.reveal())
    except (ValueError, TypeError):
        raise Refused(f"{source} does not open with that passphrase") from None


def _other_private_key(data: bytes, source: str) -> serialization.ssh.SSHPrivateKeyTypes:
    """An RSA key as older programs wrote it."""
    try:
        return serialization.load_pem_private_key(data, None)  # type: ignore[return-value]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refused(f"{source} is no private key that can be read", "", "name an OpenSSH key") from None


def _locked(source: str) -> Refused:
    return Refused(f"{source} is encrypted with a passphrase", "", "run where it can be asked for, or name another key")


def _stanzas(armoured: str) -> Iterable[bytes]:
    body = "".join(line for line in armoured.splitlines() if not line.startswith("-----"))
    try:
        head = base64.b64decode(body)
    except ValueError:
        return ()
    return _STANZA.findall(head.partition(b"\n---")[0])
