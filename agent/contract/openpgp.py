"""OpenPGP public keys as files: bytes, or those bytes as armoured text (RFC 4880, section 6). Nothing is verified."""

from __future__ import annotations

import base64
import binascii
import re

_ARMOUR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n(?:[^\r\n]+: [^\r\n]*\r?\n)*[ \t]*\r?\n(.*?)"
    rb"(?:\r?\n=[A-Za-z0-9+/]{4})?[ \t]*\r?\n-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL,
)
_PUBLIC_KEY, _SECRET_KEY = 6, 5
_WIDTH = 64


class NotAKey(ValueError):
    """The bytes are no public key; the text says why, and never what they are."""


def binary(data: bytes) -> bytes:
    """The key's bytes, of armoured text or as they are. Raises NotAKey."""
    if b"PRIVATE KEY BLOCK" in data:
        raise NotAKey("it is a private key")
    if b"-----BEGIN" in data:
        blocks = _ARMOUR.findall(data)
        if not blocks:
            raise NotAKey("it is no armoured public key")
        try:
            key = b"".join(base64.b64decode(b"".join(block.split()), validate=True) for block in blocks)
        except binascii.Error:
            raise NotAKey("its armour is damaged") from None
    else:
        key = data
    tag = _tag(key)
    if tag == _SECRET_KEY:
        raise NotAKey("it is a private key")
    if tag != _PUBLIC_KEY:
        raise NotAKey("it does not begin with a public key")
    return key


def armoured(data: bytes) -> bytes:
    """The key as text, always the same for the same key. Raises NotAKey."""
    key = binary(data)
    text = base64.b64encode(key).decode("ascii")
    lines = [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
    check = base64.b64encode(_crc24(key).to_bytes(3, "big")).decode("ascii")
    begin, end = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
    return "\n".join([begin, "", *lines, "=" + check, end, ""]).encode("ascii")


def _tag(key: bytes) -> int:
    """What the first packet is; -1 where there is none."""
    if not key or not key[0] & 0x80:
        return -1
    return key[0] & 0x3F if key[0] & 0x40 else (key[0] >> 2) & 0x0F


def _crc24(data: bytes) -> int:
    value = 0xB704CE
    for byte in data:
        value ^= byte << 16
        for _ in range(8):
            value <<= 1
            if value & 0x1000000:
                value ^= 0x1864CFB
    return value & 0xFFFFFF
