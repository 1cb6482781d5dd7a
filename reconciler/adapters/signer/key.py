"""A key in this process: the controller's, and an operator's that no passphrase protects."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)

from agent.contract import sshsig
from agent.contract.wire import Signed
from reconciler.adapters.private_files import read_private, write_whole
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from pathlib import Path


class KeySigner:
    """A `Signer`. Without a key it makes one that lives as long as the object: the in-memory adapter."""

    def __init__(self, key: Ed25519PrivateKey | None = None) -> None:
        self._key = key or Ed25519PrivateKey.generate()
        self._public = self._key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"KeySigner({self.public})"

    @property
    def public(self) -> str:
        return sshsig.public_text(self._public)

    def sign(self, payload: bytes, namespace: str) -> Signed:
        signature = self._key.sign(sshsig.message_to_sign(payload, namespace))
        blob = sshsig.blob(self._public, namespace, signature)
        return Signed(base64.b64encode(payload).decode(), base64.b64encode(blob).decode())

    def private_bytes(self) -> bytes:
        """The key file's content, in OpenSSH's format."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def open_key(path: Path) -> KeySigner:
    """The key in this file, made where there is none. One that is there is never replaced, however broken.

    Raises `Unavailable` for a file that cannot be read, `Refused` for one that others may read or that holds another
    sort of key.
    """
    if not path.exists():
        write_whole(path, KeySigner().private_bytes())
    return read_key(path)


def read_key(path: Path) -> KeySigner:
    """The key in this file, which no passphrase protects."""
    data = read_private(path)
    try:
        key = load_ssh_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Unavailable(f"the key in {path}", "it is not a readable OpenSSH private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Refused(f"{path} does not hold an ed25519 key", "keys are ed25519", "ssh-keygen -t ed25519")
    return KeySigner(key)
