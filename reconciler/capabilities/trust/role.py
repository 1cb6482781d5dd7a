"""Role: what its holders may do: verb x kind x nodes. Nothing is allowed that no grant allows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.core.access import Grant
from reconciler.core.fields import OURS, TargetField
from reconciler.core.resource import Model

# --- Model ---------------------------------------------------------------------------------------------------------

Verb = Literal[
    "*",
    "read",
    "plan",
    "apply",
    "enroll",
    "retire",
    "explain",
    "run",
    "cancel",
    "start",
    "approve",
    "signal",
    "stop",
    "decrypt",
    "session",
    "forward",
    "terminate",
]


ParameterPath = Annotated[str, Field(pattern="^/", json_schema_extra={"x-expected": "a level, as `/prod`"})]


class GrantSpec(Model):
    """These verbs, on these kinds, on these nodes."""

    verbs: tuple[Verb, ...] = Field(min_length=1, json_schema_extra=OURS)
    """What may be done; `*` is everything."""
    kinds: tuple[str, ...] = Field(default=("*",), min_length=1, json_schema_extra=OURS)
    """The kinds it may be done to; `*` is every kind."""
    nodes: tuple[TargetField, ...] = Field(default=(), json_schema_extra=OURS)
    """The nodes it may touch: those that all of these select. None where absent."""
    parameters: tuple[ParameterPath, ...] = Field(default=(), json_schema_extra=OURS)
    """The parameters it may touch: these, and all below these levels, as `/prod`. None where absent."""


class RoleSpec(Model):
    """A set of grants that operators hold together."""

    description: str = ""
    """For people."""
    grants: tuple[GrantSpec, ...] = Field(min_length=1, json_schema_extra=OURS)
    """A role allows what any of its grants allows."""


# --- Plan ----------------------------------------------------------------------------------------------------------


def grants(name: str, spec: RoleSpec) -> tuple[Grant, ...]:
    """The role as access questions are answered with."""
    return tuple(
        Grant(name, frozenset(grant.verbs), frozenset(grant.kinds), grant.nodes, grant.parameters)
        for grant in spec.grants
    )
