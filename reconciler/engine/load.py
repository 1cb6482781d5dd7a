"""Load: a commit -> the catalog of what it asks for. What is not valid in it stays as it was, and a condition says why.

`access/` is read at a commit of its own: changes there come into force only when they are signed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.capabilities.apps import group
from reconciler.capabilities.nodes.fleet import FleetSpec
from reconciler.capabilities.registry import ACCESS, kinds_at
from reconciler.core import select
from reconciler.core.resource import Resource, uid
from reconciler.engine.catalog import Catalog
from reconciler.engine.conditions import access_conditions, conditions, fleet_condition
from reconciler.engine.history import Memory, Past, settle
from reconciler.engine.parameters import KINDS as PARAMETER_KINDS
from reconciler.engine.parameters import collected
from reconciler.engine.revision import Good, Revision
from reconciler.engine.sources import Sources, Workings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reconciler.capabilities.nodes.association import Compiled
    from reconciler.engine.history import Settled, State
    from reconciler.engine.sources import View

LOOK_BACK = 200
"""First-parent commits that are searched for the last good revision of what is not valid at the newest."""


def load(
    view: View,
    commit: str,
    *,
    previous: Catalog | None = None,
    access_commit: str | None = None,
    look_back: int = LOOK_BACK,
) -> Catalog:
    """The catalog of `commit`, with `access/` as of `access_commit` (the same where None).

    `previous` is any earlier catalog; with it, the cost is what changed since. Never raises for what files hold.
    """
    access_commit = access_commit or commit
    memory = previous.memory if previous is not None else None
    workings = memory.workings.copy() if memory is not None else Workings()

    def commits(oid: str) -> Iterator[str]:
        return (found.oid for found in view.first_parents(oid, look_back))

    main = settle(
        commits(commit),
        revisions(view, workings, outside_access),
        memory.main if memory is not None else None,
        lambda found: isinstance(found.fleet(), Good),
    )
    access = settle(
        commits(access_commit),
        revisions(view, workings, below_access),
        memory.access if memory is not None else None,
    )
    kept = Memory(
        Past(commit, main.state, main.unknown),
        Past(access_commit, access.state, access.unknown),
        workings.used_by(view.tree(commit), view.tree(access_commit)),
    )
    return assemble(main, access, kept)


def below_access(path: str) -> bool:
    return path.startswith(ACCESS)


def outside_access(path: str) -> bool:
    return not path.startswith(ACCESS)


def revisions(view: View, workings: Workings, wanted: Callable[[str], bool]) -> Callable[[str], Revision]:
    """A function from a commit to the revision that its wanted files make."""

    def of(commit: str) -> Revision:
        sources = Sources(view, view.tree(commit), workings)
        return Revision(commit, sources.read(wanted), sources)

    return of


def assemble(main: Settled, access: Settled, memory: Memory | None) -> Catalog:
    """The catalog of two settled histories."""
    drawn = _InForce(main.state)
    resources = {**drawn.resources, **_InForce(access.state).resources}
    fleet = next((resource.spec for resource in resources.values() if resource.kind == "Fleet"), FleetSpec())
    kept = [*main.state.values(), *access.state.values()]
    warnings = {warning for each in kept if each.good is not None for warning in each.good.warnings}
    groups = {resource.name for resource in resources.values() if resource.kind == "Group"}
    return Catalog(
        commit=main.head.commit,
        access_commit=access.head.commit,
        fleet=fleet,
        resources=resources,
        compiled=drawn.compiled,
        conditions=(
            *fleet_condition(main),
            *conditions(main),
            *conditions(access),
            *access_conditions(access, groups),
        ),
        warnings=tuple(sorted(warnings, key=lambda finding: (finding.place, finding.message))),
        unresolved=frozenset(each.uid for each in kept if each.good is None),
        blind=frozenset(kind.name for path in main.unknown for kind in kinds_at(path)),
        parameters=collected(draft for draft in drawn.drafts if draft.kind in PARAMETER_KINDS),
        memory=memory,
    )


class _InForce:
    """The resources of a state. A group that a held resource knew otherwise is added under a name of its own."""

    def __init__(self, state: State) -> None:
        self.resources: dict[str, Resource] = {}
        self.compiled: dict[str, Compiled] = {}
        good = {known: kept.good for known, kept in state.items() if kept.good is not None}
        self.drafts = [found.draft for found in good.values()]
        self._groups = {found.draft.name: found for found in good.values() if found.draft.kind == "Group"}
        for known, found in good.items():
            self._add(known, found.draft.name, found)
            if found.compiled is not None:
                self.compiled[known] = found.compiled

    def _add(self, known: str, name: str, good: Good) -> None:
        draft = good.draft
        spec = draft.spec
        if names := self._other_names(good.groups):
            if draft.kind == "Group":
                spec = group.calling(spec, names)
            else:
                spec = spec.model_copy(update={"targets": select.calling(spec.targets, names)})
        self.resources[known] = Resource(
            known, draft.kind, name, draft.metadata, spec, draft.place, good.commit, good.fingerprint
        )

    def _other_names(self, groups: Mapping[str, Good]) -> dict[str, str]:
        """New names for those groups that differ from what goes by their name now."""
        names = {}
        for name, good in groups.items():
            now = self._groups.get(name)
            if now is None or now.fingerprint != good.fingerprint:
                names[name] = f"{name}@{good.commit[:12]}"
                if uid("Group", names[name]) not in self.resources:
                    self._add(uid("Group", names[name]), names[name], good)
        return names
