"""One encrypted value: `ENC[AES256_GCM,data:...,iv:...,tag:...,type:...]`."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, NamedTuple, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reconciler.adapters.sops.values import KINDS, Kind, Value, as_decrypted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NONCE_BYTES = 32
TAG_BYTES = 16

_TOKEN = re.compile(
    r"ENC\[AES256_GCM,data:(?P<data>[A-Za-z0-9+/]*={0,2}),iv:(?P<iv>[A-Za-z0-9+/]+={0,2}),"
    r"tag:(?P<tag>[A-Za-z0-9+/]+={0,2}),type:(?P<kind>[a-z]+)\]\Z"
)


class Token(NamedTuple):
    """What is written of an encrypted value."""

    data: bytes
    nonce: bytes
    tag: bytes
    kind: Kind


class Tampered(ValueError):
    """A value does not authenticate: it, its tag, its place in the file or the key is not what it was made with."""


def looks_encrypted(text: str) -> bool:
    """Whether somebody meant this to be an encrypted value."""
    return text.startswith("ENC[AES256_GCM,")


def parse(text: str) -> Token:
    """Read a token. Raises `ValueError` saying what is wrong with it."""
    found = _TOKEN.match(text)
    if found is None:
        raise ValueError("an encrypted value is incomplete")
    if found["kind"] not in KINDS:
        raise ValueError(f"the type `{found['kind']}` of an encrypted value is unknown")
    try:
        data, nonce, tag = (_decoded(found[name]) for name in ("data", "iv", "tag"))
    except binascii.Error:
        raise ValueError("an encrypted value is no base64") from None
    if len(tag) != TAG_BYTES or not 8 <= len(nonce) <= 128:
        raise ValueError("an encrypted value has a tag or nonce of the wrong length")
    return Token(data, nonce, tag, cast("Kind", found["kind"]))


def aad(path: Sequence[str | int]) -> bytes:
    """What binds a value to its place: the keys of its path, each followed by a colon. Positions in lists are not."""
    return "".join(f"{step}:" for step in path if isinstance(step, str)).encode()


def opened(token: Token, key: AESGCM, place: bytes) -> Value:
    """The value of a token. Raises `Tampered`, or `ValueError` where it is none of its kind."""
    try:
        plain = key.decrypt(token.nonce, token.data + token.tag, place)
    except InvalidTag:
        raise Tampered("does not authenticate") from None
    try:
        return as_decrypted(token.kind, plain)
    except ValueError:
        raise ValueError(f"an encrypted value is no {token.kind}") from None


def sealed(value: Value, key: AESGCM, place: bytes, random: Callable[[int], bytes]) -> str:
    """The token of a value, under a fresh nonce."""
    nonce = random(NONCE_BYTES)
    whole = key.encrypt(nonce, value.data, place)
    data, tag = whole[:-TAG_BYTES], whole[-TAG_BYTES:]
    return f"ENC[AES256_GCM,data:{_encoded(data)},iv:{_encoded(nonce)},tag:{_encoded(tag)},type:{value.kind}]"


def _decoded(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if _encoded(data) != text:
        raise binascii.Error("not canonical")
    return data


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
