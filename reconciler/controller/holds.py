"""The fleet's freeze as a hold on every node: numbered, kept, and pushed when it begins, changes or is taken back.

A freeze that ends by itself needs nothing: nodes end their hold by their own clocks, and the gate by the server's.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from agent.contract.canonical import canonical, milliseconds
from reconciler.capabilities.nodes import fleet
from reconciler.controller.state import HoldRecord
from reconciler.core.access import RECONCILER
from reconciler.core.records import AuditRow, Changes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.controller.keeper import Keeper
    from reconciler.controller.state import State
    from reconciler.core.ports import Clock

HOLD = "hold"
"""The name of the setting that the store keeps."""


class Holds:
    """Runs on the loop."""

    def __init__(self, state: State, keeper: Keeper, clock: Clock) -> None:
        self._state, self._keeper, self._clock = state, keeper, clock

    def settle(self) -> None:
        """See to it that nodes are held as the commit in force says. Raises what the store does."""
        state, now = self._state, self._clock.now_ms()
        catalog = state.catalog
        if catalog is None or catalog.holds_everything:
            return
        frozen = fleet.frozen(catalog.fleet, now)
        if state.gated is not None and frozen != state.gated.frozen:
            state.dirty = True
        before = state.hold
        freeze = catalog.fleet.freeze if frozen else None
        wanted = (freeze.reason, freeze.until) if freeze is not None else None
        if wanted == (before.of(now) if before is not None else None):
            return
        reason, until = wanted or ("", "")
        number = before.number + 1 if before is not None else 1
        lasting = max(before.lasting if before is not None else 0, milliseconds(until) if until else 0)
        hold = HoldRecord(number, reason, until, lasting)
        audit = AuditRow(now, RECONCILER.name, "freeze", "Fleet", frozen or "lifted", detail=catalog.commit)
        everyone = tuple(state.world.nodes.bits)
        self._keeper.commit(Changes(at=now, settings={HOLD: _kept(hold)}, audit=(audit,)), None, everyone)
        state.hold = hold


def hold_in(settings: Mapping[str, str]) -> HoldRecord | None:
    """The newest hold that was put on the fleet."""
    text = settings.get(HOLD)
    return HoldRecord(**json.loads(text)) if text else None


def _kept(hold: HoldRecord) -> str:
    return canonical(asdict(hold)).decode()
