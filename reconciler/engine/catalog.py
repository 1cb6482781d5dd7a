"""Catalog: everything that a commit asks for, each resource at the newest revision at which it is valid."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler.capabilities.apps import group
from reconciler.capabilities.nodes.node import ephemeral, visited
from reconciler.capabilities.trust import role
from reconciler.core import select
from reconciler.core.nodes import Declared
from reconciler.core.nodeset import EMPTY, NodeSet
from reconciler.core.parameters import History
from reconciler.core.resource import uid
from reconciler.engine.parameters import Collected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from reconciler.capabilities.nodes.association import Compiled
    from reconciler.capabilities.nodes.fleet import FleetSpec
    from reconciler.capabilities.trust.operator import OperatorSpec
    from reconciler.capabilities.trust.role import RoleSpec
    from reconciler.core.access import Grant
    from reconciler.core.condition import Condition
    from reconciler.core.node_ports import SshHost
    from reconciler.core.parameters import Stored
    from reconciler.core.parameters.history import Past
    from reconciler.core.problem import Finding
    from reconciler.core.resource import Resource
    from reconciler.documents.document import Document
    from reconciler.engine.history import Memory


@dataclass(frozen=True)
class Catalog:
    """What is desired. `commit` is the tracked one, `access_commit` the one that `access/` is read at.

    `conditions` are those of resources that are not in force as `commit` has them. `unresolved` are uids that the
    repository has and that are valid nowhere within reach; `blind` are kinds of which it may have any, for a file of
    theirs cannot be read. A group that a held association knew otherwise stands in
    `resources` a second time, as `Group/NAME@REVISION`, and the association's targets name that one.
    """

    commit: str
    access_commit: str
    fleet: FleetSpec
    resources: Mapping[str, Resource]
    compiled: Mapping[str, Compiled]
    conditions: tuple[Condition, ...] = ()
    warnings: tuple[Finding, ...] = ()
    unresolved: frozenset[str] = frozenset()
    blind: frozenset[str] = frozenset()
    parameters: Collected = field(default_factory=Collected, repr=False, compare=False)
    memory: Memory | None = field(default=None, repr=False, compare=False)

    def withheld(self, uid: str) -> bool:
        """Whether a resource that is not in the catalog may still be in the repository, and so stays as it is.

        While a file under `associations/` cannot be read and nobody knows what it declares, that is any association.
        """
        return uid.partition("/")[0] in self.blind or uid in self.unresolved

    def stored(self, past: Past) -> Stored:
        """The parameters as references ask for them; `past` is the repository, whose history is read when asked for."""
        known = self.memory.workings.past if self.memory is not None else {}
        return self.parameters.stored(lambda: History.at(past, self.commit, known))

    @functools.cached_property
    def holds_everything(self) -> bool:
        """Whether no Fleet is in force: nothing says how anything may move, so nothing does."""
        return all(resource.kind != "Fleet" for resource in self.resources.values())

    def names(self, kind: str) -> list[str]:
        """Names of the resources of a kind."""
        return [resource.name for resource in self.of(kind)]

    def of(self, kind: str) -> list[Resource]:
        """The resources of a kind, ordered by uid."""
        return self._by_kind.get(kind, [])

    @functools.cached_property
    def associations(self) -> Mapping[str, Resource]:
        """By uid."""
        return {resource.uid: resource for resource in self.of("Association")}

    @functools.cached_property
    def nodes(self) -> Mapping[str, Resource]:
        """By name."""
        return {resource.name: resource for resource in self.resources.values() if resource.kind == "Node"}

    @functools.cached_property
    def declared(self) -> Declared:
        """What the Nodes say, in columns."""
        nodes = self.nodes.values()
        return Declared(
            names=tuple(self.nodes),
            labels=tuple(node.metadata.labels for node in nodes),
            vars=tuple(node.spec.vars for node in nodes),
            withheld=frozenset(name for known in self.unresolved if (name := known.removeprefix("Node/")) != known),
            blind="Node" in self.blind,
            ephemeral=frozenset(node.name for node in nodes if ephemeral(node.spec)),
        )

    @functools.cached_property
    def visited(self) -> Mapping[str, SshHost]:
        """How the nodes are reached that the server visits, by name."""
        found = ((name, visited(name, resource.spec)) for name, resource in self.nodes.items())
        return {name: host for name, host in found if host is not None}

    @functools.cached_property
    def documents(self) -> Mapping[str, Document]:
        """By name."""
        return {resource.name: resource.spec for resource in self.of("Document")}

    @functools.cached_property
    def roles(self) -> Mapping[str, RoleSpec]:
        """By name."""
        return {resource.name: resource.spec for resource in self.of("Role")}

    @functools.cached_property
    def operators(self) -> Mapping[str, OperatorSpec]:
        """By name."""
        return {resource.name: resource.spec for resource in self.of("Operator")}

    def grants_of_role(self, name: str) -> list[Grant]:
        """What a role grants; nothing where it is not there."""
        found = self.roles.get(name)
        return list(role.grants(name, found)) if found else []

    def grants_of(self, operator: str) -> list[Grant]:
        """What an operator's roles grant. A role that is not there grants nothing."""
        spec = self.operators.get(operator)
        held = [(name, self.roles.get(name)) for name in spec.roles] if spec else []
        return [grant for name, found in held if found for grant in role.grants(name, found)]

    def members(self, index: select.Index) -> select.Members:
        """A function from a Group's name to its members in `index`, each resolved once. Empty for no such group."""
        known: dict[str, NodeSet] = {}

        def of(name: str) -> NodeSet:
            if name not in known:
                known[name] = EMPTY
                resource = self.resources.get(uid("Group", name))
                if resource is not None:
                    known[name] = group.members(resource.spec, index, of)
            return known[name]

        return of

    def resolver(self, index: select.Index) -> Callable[[Iterable[select.Target]], NodeSet]:
        """A function from targets to the nodes they select in `index`."""
        members = self.members(index)
        return lambda targets: select.resolve(targets, index, members)

    @functools.cached_property
    def depends(self) -> Mapping[str, frozenset[str]]:
        """By uid of a document or group (nested ones too), or by path of a file: the associations made of it."""
        found: dict[str, set[str]] = {}
        for known, compiled in self.compiled.items():
            groups = self._groups_behind(select.group_names(self.resources[known].spec.targets))
            for part in (compiled.document_uid, *compiled.closure, *(uid("Group", name) for name in groups)):
                found.setdefault(part, set()).add(known)
        return {part: frozenset(known) for part, known in found.items()}

    @functools.cached_property
    def _by_kind(self) -> Mapping[str, list[Resource]]:
        found: dict[str, list[Any]] = {}
        for known in sorted(self.resources):
            resource = self.resources[known]
            found.setdefault(resource.kind, []).append(resource)
        return found

    def _groups_behind(self, names: set[str]) -> set[str]:
        found: set[str] = set()
        ahead = list(names)
        while ahead:
            name = ahead.pop()
            resource = self.resources.get(uid("Group", name))
            if name not in found and resource is not None:
                found.add(name)
                ahead += group.nested(resource.spec)
        return found
