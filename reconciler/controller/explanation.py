"""Why a node is as it is: the engine's reasons, each with the commit that wrote it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, TypeVar

from agent.contract.canonical import instant
from reconciler.core.world import World
from reconciler.engine.explain import explain
from reconciler.engine.plan import resolve_targets

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.core.nodes import NodeEntry, Nodes
    from reconciler.core.ports import Commit, Source, Store
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.explain import Reason
    from reconciler.engine.gate import Gated
    from reconciler.engine.plan import Plan

_T = TypeVar("_T")


def of_node(
    entry: NodeEntry, claim: str | None, catalog: Catalog, world: World, judged: tuple[Plan, Gated], store: Store
) -> list[Reason]:
    """Reasons for an enrolled node."""
    plan, gated = judged
    rows = store.states(node_ids=[entry.id])
    return explain(entry.name, claim, catalog, plan, gated.verdicts, world, rows, gated.frozen)


def of_declared(name: str, claim: str | None, catalog: Catalog, plan: Plan, declared: Nodes) -> list[Reason]:
    """Reasons for a node that Git declares and nobody enrolled."""
    seen = replace(plan, nodes=declared, targets=resolve_targets(catalog, declared), conflicts=())
    return explain(name, claim, catalog, seen, (), World("", 0), ())


def told(reasons: list[Reason], source: Source) -> list[dict[str, Any]]:
    """Reasons as people read them. Git is asked once for each file."""
    history = _History(source)
    return [_reason(reason, history.commit_of(reason)) for reason in reasons]


class _History:
    """Who wrote what, each file looked at once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lines: dict[tuple[str, str], list[str]] = {}
        self._files: dict[tuple[str, str], str] = {}

    def commit_of(self, reason: Reason) -> Commit:
        """The newest commit that wrote the step, or a file that it takes its content from."""
        written = self._known(self._lines, (reason.revision, reason.place.path), self._source.lines_written)
        oids = set(written[max(0, reason.place.line - 1) : reason.until or None])
        oids |= {self._known(self._files, (reason.revision, path), self._last_change) for path in reason.sources}
        return max((self._source.commit(oid) for oid in oids), key=lambda found: found.at)

    def _last_change(self, revision: str, path: str) -> str:
        return self._source.last_change(revision, path, 0).oid

    @staticmethod
    def _known(known: dict[tuple[str, str], _T], key: tuple[str, str], find: Callable[[str, str], _T]) -> _T:
        if key not in known:
            known[key] = find(*key)
        return known[key]


def _reason(reason: Reason, commit: Commit) -> dict[str, Any]:
    return asdict(reason) | {
        "place": str(reason.place),
        "declared": str(reason.declared),
        "since": instant(reason.since) if reason.since else None,
        "commit": commit.oid,
        "author": commit.author,
        "committedAt": instant(commit.at),
        "subject": commit.subject,
    }
