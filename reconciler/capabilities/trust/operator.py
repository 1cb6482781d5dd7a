"""Operator: a person (or a job) that signs requests, with the keys it is known by and the roles it holds."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from agent.contract.sshsig import BadSignature, public_of_text
from reconciler.core.fields import OURS
from reconciler.core.resource import Model, Name
from reconciler.core.typed.markers import Wrong

# --- Model ---------------------------------------------------------------------------------------------------------


def _public_key(text: str) -> str:
    try:
        public_of_text(text)
    except BadSignature as error:
        raise Wrong(str(error), expected=_EXPECTED) from error
    return text


_EXPECTED = "an ssh-ed25519 public key, as the line of an id_ed25519.pub file"
PublicKey = Annotated[
    str,
    AfterValidator(_public_key),
    Field(json_schema_extra={"pattern": "^ssh-ed25519 ", "x-expected": _EXPECTED}),
]


class OperatorSpec(Model):
    """Keys and roles of one operator."""

    description: str = ""
    """For people: who this is, how to reach them."""
    keys: tuple[PublicKey, ...] = Field(default=(), json_schema_extra=OURS)
    """SSH public keys (ssh-ed25519), one line each; a key belongs to one operator only. Without one nobody gets in."""
    roles: tuple[Name, ...] = Field(default=(), json_schema_extra=OURS)
    """Names of the roles held; without one, nothing is allowed."""


# --- Plan ----------------------------------------------------------------------------------------------------------


def public_keys(spec: OperatorSpec) -> tuple[bytes, ...]:
    """The raw 32-byte keys, without comments: what requests are matched by."""
    return tuple(public_of_text(line) for line in spec.keys)
