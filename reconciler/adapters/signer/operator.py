"""Which key an operator signs with, from what they named: a private key, its public half, or nothing."""

from __future__ import annotations

import base64
import binascii
import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agent.contract import sshsig
from agent.contract.sshsig import BadSignature
from reconciler.adapters.signer.key import read_key
from reconciler.adapters.signer.keygen import KeygenSigner, agent_keys
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from reconciler.core.ports import Signer

_BEGIN, _END = b"-----BEGIN OPENSSH PRIVATE KEY-----", b"-----END OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"
RULE = "operators sign with ed25519 keys"
REMEDY = "make one with ssh-keygen -t ed25519, and have it listed in access/operators.yaml"


def operator_signer(key: Path | None = None) -> Signer:
    """A private key is used here where it is open, through OpenSSH where it is not; a public one through the agent.

    Without `key`: `~/.ssh/id_ed25519`, else the agent's only ed25519 key. Raises `Refused` for other sorts of keys and
    where nothing fits, `Unavailable` for a file that cannot be read.
    """
    if key is not None:
        return _from_file(key)
    usual = Path.home() / ".ssh" / "id_ed25519"
    if usual.exists():
        return _from_file(usual)
    held = agent_keys()
    if len(held) == 1:
        return KeygenSigner(held[0])
    found = "several ed25519 keys in the SSH agent" if held else f"neither {usual} nor an ed25519 key in the SSH agent"
    raise Refused(f"no key to sign with: {found}", RULE, "name one with --key" if held else REMEDY)


def _from_file(path: Path) -> Signer:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unavailable(f"the key {path}", error.strerror or str(error)) from error
    if not data.lstrip().startswith(_BEGIN):
        return KeygenSigner(_ed25519(path, data.decode("ascii", errors="replace").strip()))
    header = _header(path, data)
    public = _ed25519(path, header.public)
    return KeygenSigner(public, path) if header.encrypted else read_key(path)


class _Header(NamedTuple):
    encrypted: bool
    public: str


def _header(path: Path, data: bytes) -> _Header:
    """What the file says before its secret part: whether that is encrypted, and the public half."""
    try:
        start, end = data.index(_BEGIN) + len(_BEGIN), data.index(_END)
        rest = base64.b64decode(b"".join(data[start:end].split()), validate=True)
        if not rest.startswith(_MAGIC):
            raise ValueError("another format")
        cipher, rest = _string(rest[len(_MAGIC) :])
        _, rest = _string(rest)  # key derivation, and its options
        _, rest = _string(rest)
        public, _ = _string(rest[4:])  # after the number of keys
        kind, _ = _string(public)
        return _Header(cipher != b"none", f"{kind.decode('ascii')} {base64.b64encode(public).decode()}")
    except (ValueError, binascii.Error, struct.error) as error:
        raise Unavailable(f"the key {path}", "it is damaged") from error


def _string(data: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack_from(">I", data)
    if len(data) < 4 + length:
        raise ValueError("it ends early")
    return data[4 : 4 + length], data[4 + length :]


def _ed25519(path: Path, public: str) -> str:
    """The public text, once it is known to be of an ed25519 key."""
    try:
        return sshsig.public_text(sshsig.public_of_text(public))
    except BadSignature:
        kind = public.split(" ", 1)[0]
        sort = f"a key of type {kind}" if kind.startswith(("ssh-", "ecdsa-", "sk-")) else "no OpenSSH key"
        raise Refused(f"{path} is {sort}", RULE, REMEDY) from None
