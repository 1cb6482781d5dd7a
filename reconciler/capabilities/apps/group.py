"""Group: a named set of nodes, by what they are labelled with or by list; groups nest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints, model_validator

from reconciler.core import select
from reconciler.core.fields import OURS, TargetField
from reconciler.core.nodeset import EMPTY, NodeSet
from reconciler.core.resource import Model
from reconciler.core.typed.markers import Wrong

if TYPE_CHECKING:
    from collections.abc import Mapping

# --- Model ---------------------------------------------------------------------------------------------------------

Member = Annotated[str, StringConstraints(pattern=r"^(group:)?[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
_GROUP = "group:"


class GroupSpec(Model):
    """The nodes that all `targets` select, and the `members`; either may be left out."""

    description: str = ""
    """For people."""
    targets: tuple[TargetField, ...] = Field(default=(), json_schema_extra=OURS)
    """Nodes that every one of these targets selects."""
    members: tuple[Member, ...] = Field(
        default=(), json_schema_extra={**OURS, "x-expected": "a list of node names and `group:NAME`"}
    )
    """Nodes by name, and nested groups as `group:NAME`."""

    @model_validator(mode="after")
    def _selects_something(self) -> GroupSpec:
        if not self.targets and not self.members:
            raise Wrong("the group selects nothing", expected="`targets` or `members`")
        return self


# --- Plan ----------------------------------------------------------------------------------------------------------


def members(spec: GroupSpec, index: select.Index, group: select.Members) -> NodeSet:
    """The nodes of a group now. `group` gives those of a nested one; cycles were refused at load."""
    found = select.resolve(spec.targets, index, group) if spec.targets else EMPTY
    found |= index.listed(member for member in spec.members if not member.startswith(_GROUP))
    for member in spec.members:
        if member.startswith(_GROUP):
            found |= group(member.removeprefix(_GROUP))
    return found


def nested(spec: GroupSpec) -> set[str]:
    """Names of the groups that this one is made of."""
    return select.group_names(spec.targets) | {
        member.removeprefix(_GROUP) for member in spec.members if member.startswith(_GROUP)
    }


def calling(spec: GroupSpec, names: Mapping[str, str]) -> GroupSpec:
    """The group with the groups it is made of called by other names."""
    renamed = tuple(
        _GROUP + names.get(member.removeprefix(_GROUP), member.removeprefix(_GROUP))
        if member.startswith(_GROUP)
        else member
        for member in spec.members
    )
    return spec.model_copy(update={"targets": select.calling(spec.targets, names), "members": renamed})
