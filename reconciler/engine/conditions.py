"""Conditions: why a resource is not in force as the newest commit has it. Each finding stands in one condition only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.capabilities.registry import KINDS
from reconciler.core.access import NO_FILES
from reconciler.core.condition import Condition
from reconciler.core.problem import Finding, nearest
from reconciler.documents import document
from reconciler.engine.revision import Bad

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.core import select
    from reconciler.core.manifest import Loc
    from reconciler.engine.history import Kept, Settled
    from reconciler.engine.revision import Good

READY = "Ready"


def conditions(settled: Settled) -> Iterator[Condition]:
    """One for each resource and each file of the newest revision that is not valid, and for each that it may hide."""
    head, state = settled.head, settled.state
    told: set[Finding] = set()
    for path, findings in sorted(head.unreadable.items()):
        yield _not_ready(path, "Unreadable", f"cannot be read: {findings[0].message}", findings)
    for uid in sorted(head.known):
        verdict = head.verdict(uid)
        if isinstance(verdict, Bad):
            findings = () if verdict.cause else tuple(each for each in verdict.findings if each not in told)
            told.update(findings)
            why = f"{verdict.cause} is not valid" if verdict.cause else verdict.findings[0].message
            yield _not_ready(uid, verdict.reason, f"{_standing(state.get(uid))}: {why}", findings)
    for uid, kept in sorted(state.items()):
        if uid not in head.known and kept.path in head.unreadable:
            yield _not_ready(uid, "Unreadable", f"{_standing(kept)}: {kept.path} cannot be read")


def fleet_condition(settled: Settled) -> Iterator[Condition]:
    """Why nothing at all moves, where that is so for want of valid settings."""
    fleet = settled.head.fleet()
    if isinstance(fleet, Bad):
        missing = not any(True for _ in settled.head.of("Fleet"))
        findings = fleet.findings if missing else ()
        yield _not_ready("Fleet", "HoldsEverything", f"nothing moves: {fleet.findings[0].message}", findings)


def access_conditions(settled: Settled, groups: set[str]) -> Iterator[Condition]:
    """References of roles and operators in force that lead nowhere: these grant nothing, the rest of them does."""
    goods = [kept.good for _, kept in sorted(settled.state.items()) if kept.good is not None]
    roles = {good.draft.name for good in goods if good.draft.kind == "Role"}
    for good in goods:
        findings = tuple(_of_operator(good, roles) if good.draft.kind == "Operator" else _of_role(good, groups))
        if findings:
            why = f"in force, but part of it grants nothing: {findings[0].message}"
            yield _not_ready(good.draft.uid, "UnknownReference", why, findings)


def _of_operator(good: Good, roles: set[str]) -> Iterator[Finding]:
    for position, name in enumerate(good.draft.spec.roles):
        if name not in roles:
            yield _leads_nowhere(good, f"there is no Role `{name}`", ("spec", "roles", position), nearest(name, roles))


def _of_role(good: Good, groups: set[str]) -> Iterator[Finding]:
    kinds = {"*", document.KIND, *KINDS, *NO_FILES}
    for position, grant in enumerate(good.draft.spec.grants):
        loc: Loc = ("spec", "grants", position)
        for at, kind in enumerate(grant.kinds):
            if kind not in kinds:
                yield _leads_nowhere(good, f"there is no kind `{kind}`", (*loc, "kinds", at), nearest(kind, kinds))
        for name, where in _groups(grant.nodes):
            if name not in groups:
                message = f"there is no Group `{name}`"
                yield _leads_nowhere(good, message, (*loc, "nodes", *where), nearest(name, groups))


def _groups(targets: tuple[select.Target, ...]) -> Iterator[tuple[str, Loc]]:
    for position, target in enumerate(targets):
        if target.key == "group":
            for at, name in enumerate(target.values):
                yield name, (position, "values", at)


def _leads_nowhere(good: Good, message: str, loc: Loc, near: str) -> Finding:
    return Finding(message, good.draft.places.of(loc), nearest=near)


def _not_ready(uid: str, reason: str, message: str, findings: tuple[Finding, ...] = ()) -> Condition:
    return Condition(uid, READY, "False", reason, message, findings)


def _standing(kept: Kept | None) -> str:
    if kept is None or kept.good is None:
        return "not in force"
    return f"stays at {kept.good.commit[:12]}"
