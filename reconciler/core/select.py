"""Targets: SSM's `{key, values}` pairs, resolved to node sets over World's indexes.

`tag:Env` compares a label, `tag-key` asks for a label whatever its value, `InstanceIds` and `name` list nodes,
`group` names a Group, `*` is every node. Several targets of one association are intersected (as SSM does); several
values of one target are united.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from reconciler.core.nodeset import EMPTY, NodeSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Members = Callable[[str], NodeSet]
"""A Group's name -> its nodes."""


@dataclass(frozen=True, slots=True)
class Target:
    """One `{key, values}` pair, normalised: short forms are rewritten by `parse_short`."""

    key: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return "*" if self.key == "*" else f"{self.key}={','.join(self.values)}"


class Index(Protocol):
    """What resolving asks of World."""

    @property
    def everyone(self) -> NodeSet: ...
    def labelled(self, key: str, value: str) -> NodeSet: ...
    def having(self, key: str) -> NodeSet: ...
    def listed(self, names: Iterable[str]) -> NodeSet:
        """The nodes of these names or ids; there need be none of a name."""


def parse_short(text: str) -> Target:
    """`tag:Env=prod,stage`, `group:web`, `*`, or nodes' names with commas between them, as a Target."""
    if text == "*":
        return Target("*", ())
    key, equals, values = text.partition("=")
    if equals:
        return Target(key.strip(), tuple(value.strip() for value in values.split(",")))
    if text.startswith("group:"):
        return Target("group", (text.removeprefix("group:"),))
    return Target("name", tuple(name.strip() for name in text.split(",")))


KEYS = ("*", "InstanceIds", "group", "name", "tag-key", "tag:<Label>")


def known_key(key: str) -> bool:
    return key in KEYS[:-1] or (key.startswith("tag:") and len(key) > 4)


Sought = tuple[tuple[NodeSet, ...], ...]
"""By target, the sets of nodes that it unites."""


def resolve(targets: Iterable[Target], index: Index, group: Members) -> NodeSet:
    """The nodes that every target selects. `group` gives a Group's members."""
    return meeting(sought(targets, index, group))


def sought(targets: Iterable[Target], index: Index, group: Members) -> Sought:
    """All that resolving these targets depends on: while it is the same, so are the nodes."""
    return tuple(_united(target, index, group) for target in targets)


def meeting(sets: Sought) -> NodeSet:
    """The nodes that are in any set of every target."""
    found: NodeSet | None = None
    for united in sets:
        chosen = EMPTY
        for nodes in united:
            chosen |= nodes
        found = chosen if found is None else found & chosen
        if not found:
            return EMPTY
    return found or EMPTY


def _united(target: Target, index: Index, group: Members) -> tuple[NodeSet, ...]:
    if target.key == "*" or (target.key == "InstanceIds" and "*" in target.values):
        return (index.everyone,)
    if target.key.startswith("tag:"):
        label = target.key[4:]
        return tuple([index.labelled(label, value) for value in target.values])
    if target.key == "tag-key":
        return tuple([index.having(value) for value in target.values])
    if target.key == "group":
        return tuple([group(value) for value in target.values])
    return (index.listed(target.values),)


def group_names(targets: Iterable[Target]) -> set[str]:
    """Names of the groups that these targets refer to."""
    return {value for target in targets if target.key == "group" for value in target.values}


def calling(targets: Iterable[Target], names: Mapping[str, str]) -> tuple[Target, ...]:
    """Targets with groups called by other names."""
    return tuple(
        Target(target.key, tuple(names.get(value, value) for value in target.values))
        if target.key == "group"
        else target
        for target in targets
    )
