"""Preview: a Plan as people and programs read it (`opsctl.plan/v1`), equal changes grouped, nodes named.

It shows what the gate lets through now, what waits and for what, and what stands in the way. Nodes that are offline are
listed as unknown: what they are is not known, only what they were given.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from reconciler.core import nodeset
from reconciler.core.effect import Assign, Describe, Withdraw
from reconciler.core.jsontext import json_of
from reconciler.engine.difference import Differ
from reconciler.engine.rows import Rows, RowsMemory
from reconciler.engine.views import FORMAT, PlanView, SummaryView

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.core.effect import Effect
    from reconciler.core.ports import Render
    from reconciler.core.world import World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.difference import Contents
    from reconciler.engine.gate import Gated
    from reconciler.engine.plan import Plan
    from reconciler.engine.reading import Bodies
    from reconciler.engine.rows import Piece


@dataclass(frozen=True, slots=True)
class Drawing:
    """A plan's document as JSON text. `memory` serves the drawing after this one."""

    text: bytes
    memory: RowsMemory = field(repr=False, compare=False)

    def json(self) -> bytes:
        """The whole document."""
        return self.text

    def view(self) -> PlanView:
        """The document, read."""
        return cast("PlanView", json.loads(self.text))


def draw(
    plan: Plan,
    gated: Gated,
    catalog: Catalog,
    world: World,
    bodies: Bodies,
    contents: Contents,
    render: Render,
    *,
    live: bool,
    previous: Drawing | None = None,
) -> Drawing:
    """The whole plan. `live` tells whether World is a server's; otherwise every node is unknown.

    With any earlier drawing, only what differs is drawn again, and the result is the same.
    """
    memory = previous.memory if previous is not None else RowsMemory()
    rows = Rows(plan, catalog, world, bodies, Differ(contents, render), memory, live=live)
    changes = [rows.changes(effect) for effect in plan.effects]
    waiting = [rows.waiting(verdict) for verdict in gated.verdicts]
    summary = SummaryView(
        nodes=nodeset.size(plan.nodes.everyone),
        online=nodeset.size(world.online),
        associations=len(plan.targets),
        assign=_counted(Assign, changes, plan.effects),
        remove=_counted(Withdraw, changes, plan.effects),
        describe=nodeset.size(plan.nodes.moving),
        conflicts=len(plan.conflicts),
        waiting=sum(piece.nodes for piece in waiting),
    )
    fields = {
        "format": FORMAT,
        "commit": plan.commit,
        "base": plan.base or "",
        "sequence": plan.sequence,
        "live": live,
        "summary": summary,
        "warnings": [str(finding) for finding in (*plan.warnings, *catalog.warnings)],
        "errors": [str(finding) for condition in catalog.conditions for finding in condition.findings],
        "notEnrolled": plan.not_enrolled,
    }
    lists = {
        b"changes": _changes(changes, plan),
        b"waiting": _listed(waiting),
        b"conflicts": _listed(rows.conflict(conflict) for conflict in plan.conflicts),
        b"standing": _listed(rows.standing(*of) for of in sorted(world.columns.items())),
    }
    texts = [json_of(fields)[:-1]]
    for name, listed in lists.items():
        texts += (b',"%b":[' % name, *listed, b"]")
    return Drawing(b"".join([*texts, b"}"]), rows.memory)


def _counted(kind: type[Assign | Withdraw], pieces: Iterable[Piece], effects: Iterable[Effect]) -> int:
    return sum(piece.nodes for piece, effect in zip(pieces, effects, strict=True) if isinstance(effect, kind))


def _listed(pieces: Iterable[Piece]) -> list[bytes]:
    """Texts of a list's rows, with commas between them."""
    rows = [part for piece in pieces for text in piece.texts for part in (text, b",")]
    return rows[:-1]


def _changes(pieces: Iterable[Piece], plan: Plan) -> list[bytes]:
    """As `_listed`, of all effects, each row begun with the commit that asks for it."""
    rows: list[bytes] = []
    for piece, effect in zip(pieces, plan.effects, strict=True):
        commit = effect.commit if isinstance(effect, Assign) else plan.commit if isinstance(effect, Describe) else ""
        head = b'{"commit":%b,' % json_of(commit)
        for text in piece.texts:
            rows += (head, text, b",")
    return rows[:-1]
