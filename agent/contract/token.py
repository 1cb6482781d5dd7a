"""The text form of a join token: `opsctl1.` and base64url of its canonical JSON."""

from __future__ import annotations

import base64
import binascii
import json

from agent.contract.canonical import canonical
from agent.contract.codec import Malformed, from_wire, to_wire
from agent.contract.wire import Token

_PREFIX = "opsctl1."


def encode_token(token: Token) -> str:
    return _PREFIX + base64.urlsafe_b64encode(canonical(to_wire(token))).decode().rstrip("=")


def decode_token(text: str) -> Token:
    """Raises `Malformed`, never naming the token's content."""
    text = text.strip()
    if not text.startswith(_PREFIX):
        raise Malformed("not a join token (it starts with %r)" % _PREFIX)
    body = text[len(_PREFIX) :]
    try:
        value = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (binascii.Error, ValueError):
        raise Malformed("the join token is damaged (was it copied whole?)") from None
    return from_wire(Token, value, "token")
