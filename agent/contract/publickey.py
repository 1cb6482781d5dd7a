"""OpenSSH public keys as people paste them: `TYPE BASE64 [COMMENT]`, the line of a `.pub` file."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct

from agent.contract.record import NamedTuple


class NotAKey(ValueError):
    """The text is no public key; it says why."""


class PublicKey(NamedTuple):
    """`blob` is the base64 as written; `fingerprint` is what `ssh-keygen -l` shows."""

    kind: str
    blob: str
    comment: str
    fingerprint: str


def parse(text: str) -> PublicKey:
    """Raises `NotAKey`."""
    if "\n" in text.strip() or "\r" in text.strip():
        raise NotAKey("it has more than one line")
    words = text.split(None, 2)
    if len(words) < 2:
        raise NotAKey("it has not the form TYPE BASE64 [COMMENT]")
    if "PRIVATE" in text:
        raise NotAKey("it is a private key")
    kind, blob, comment = words[0], words[1], words[2].strip() if len(words) > 2 else ""
    try:
        data = base64.b64decode(blob, validate=True)
    except binascii.Error:
        raise NotAKey("its second word is no base64") from None
    if not data.startswith(struct.pack(">I", len(kind)) + kind.encode("utf-8", "replace")):
        raise NotAKey("its second word is not a key of type %s" % kind)
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    return PublicKey(kind, blob, comment, "SHA256:" + digest)
