"""The bytes of OpenSSH's SSHSIG format for Ed25519: what is signed, and the blob that carries the signature.

Source: openssh PROTOCOL.sshsig. Only `ssh-ed25519` with sha512. Signing and verifying themselves are each side's own.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Tuple

from agent.contract.record import NamedTuple

_MAGIC = b"SSHSIG"
_KEY_TYPE = b"ssh-ed25519"
_HASH = b"sha512"

HELLO = "opsctl-hello@v1"
ASSIGNMENTS = "opsctl-assignments@v1"
JOB = "opsctl-job@v1"
HOLD = "opsctl-hold@v1"
TICKET = "opsctl-ticket@v1"
REVOCATION = "opsctl-revocation@v1"
REPORT = "opsctl-report@v1"
KEYS = "opsctl-keys@v1"
RELEASE = "opsctl-release@v1"
API = "opsctl-api@v1"


_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


class BadSignature(ValueError):
    """The signature is not one, not by that key, or not for that namespace."""


class Parts(NamedTuple):
    """What a blob holds: the signer's raw 32-byte public key, the namespace, the raw 64-byte signature."""

    public: bytes
    namespace: str
    signature: bytes


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _take(data: bytes) -> Tuple[bytes, bytes]:
    if len(data) < 4:
        raise BadSignature("the signature blob ends early")
    (length,) = struct.unpack_from(">I", data)
    if len(data) < 4 + length:
        raise BadSignature("the signature blob ends early")
    return data[4 : 4 + length], data[4 + length :]


def message_to_sign(payload: bytes, namespace: str) -> bytes:
    """The bytes that the Ed25519 key signs."""
    hashed = hashlib.sha512(payload).digest()
    return _MAGIC + _string(namespace.encode()) + _string(b"") + _string(_HASH) + _string(hashed)


def public_blob(public: bytes) -> bytes:
    """OpenSSH's encoding of a raw 32-byte Ed25519 public key."""
    return _string(_KEY_TYPE) + _string(public)


def public_text(public: bytes) -> str:
    """`ssh-ed25519 AAAA...` of a raw public key."""
    return "ssh-ed25519 " + base64.b64encode(public_blob(public)).decode()


def public_of_text(text: str) -> bytes:
    """The raw 32 bytes of `ssh-ed25519 AAAA... [comment]`. Raises BadSignature for any other key."""
    words = text.split()
    if len(words) < 2 or words[0] != "ssh-ed25519":
        raise BadSignature("not an ssh-ed25519 public key")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except ValueError as error:
        raise BadSignature("the public key is not base64") from error
    return _public_of_blob(blob)


def _public_of_blob(blob: bytes) -> bytes:
    kind, rest = _take(blob)
    public, rest = _take(rest)
    if kind != _KEY_TYPE or len(public) != 32 or rest:
        raise BadSignature("not an ssh-ed25519 key")
    return public


def blob(public: bytes, namespace: str, signature: bytes) -> bytes:
    """The binary SSHSIG of a raw 64-byte signature."""
    return (
        _MAGIC
        + struct.pack(">I", 1)
        + _string(public_blob(public))
        + _string(namespace.encode())
        + _string(b"")
        + _string(_HASH)
        + _string(_string(_KEY_TYPE) + _string(signature))
    )


def parts(data: bytes) -> Parts:
    """The parts of a binary SSHSIG. Raises BadSignature for any form but ours."""
    if data[:6] != _MAGIC or data[6:10] != struct.pack(">I", 1):
        raise BadSignature("not an SSHSIG of version 1")
    key, rest = _take(data[10:])
    namespace, rest = _take(rest)
    reserved, rest = _take(rest)
    hashed, rest = _take(rest)
    signature, rest = _take(rest)
    kind, inner = _take(signature)
    raw, inner = _take(inner)
    if reserved or rest or inner or hashed != _HASH or kind != _KEY_TYPE or len(raw) != 64:
        raise BadSignature("not an ed25519 SSHSIG with sha512")
    try:
        return Parts(_public_of_blob(key), namespace.decode(), raw)
    except UnicodeDecodeError as error:
        raise BadSignature("the namespace is not text") from error


def armoured(data: bytes) -> str:
    """A binary SSHSIG as the text that a signature's file holds."""
    text = base64.b64encode(data).decode()
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def dearmoured(text: str) -> bytes:
    """The binary SSHSIG in a signature's file. Raises BadSignature."""
    lines = text.strip().splitlines()
    if len(lines) < 2 or lines[0] != _BEGIN or lines[-1] != _END:
        raise BadSignature("not an SSH signature")
    try:
        return base64.b64decode("".join(lines[1:-1]), validate=True)
    except ValueError as error:
        raise BadSignature("the signature is not base64") from error
