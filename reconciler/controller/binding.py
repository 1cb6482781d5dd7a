"""A saved plan binds what it says: an apply may do less than was agreed to, never more or anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from reconciler.core import nodeset
from reconciler.core.effect import Assign, Describe, Withdraw
from reconciler.core.problem import Finding, Invalid, Place, Refused
from reconciler.engine import gate as gating
from reconciler.engine.contexts import context_of
from reconciler.engine.views import PlanView, action_digest, context_digest, read_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reconciler.core.world import World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.gate import Limits
    from reconciler.engine.plan import Plan

NAMED = 5
"""What was not agreed to is named up to here, and counted beyond."""
_SAVED = TypeAdapter(PlanView)


class _Pair(NamedTuple):
    """One thing done to one node, as a saved plan binds it."""

    digest: str
    node_id: str


def read_saved(saved: Mapping[str, Any]) -> PlanView:
    """A saved plan, in its form. Raises `Invalid` for anything else."""
    try:
        return _SAVED.validate_python(saved)
    except ValidationError as error:
        finding = Finding("this is not a saved plan", Place("plan"), expected="a file that opsctl plan --out made")
        raise Invalid((finding,)) from error


def bound(plan: Plan, catalog: Catalog, saved: PlanView, bodies: Callable[[str], bytes | None]) -> list[str]:
    """Hold a plan against the saved one that was agreed to; what the saved one has and is needed no more.

    `bodies` gives the contexts that nodes have. Raises `Refused` when the fleet is at another commit than it was, or
    anything would be done that the saved plan does not name.
    """
    if saved["base"] != (plan.base or "") and plan.base != plan.commit:
        what = f"the fleet went from {saved['base'][:12] or 'nothing'} to {(plan.base or 'nothing')[:12]} meanwhile"
        raise Refused(what, "plan", "plan again")
    agreed = {_Pair(change["actionDigest"], node_id) for change in saved["changes"] for node_id in change["nodes"]}
    needed = dict(_needed(plan, catalog, bodies))
    added = sorted(needed[pair] for pair in needed.keys() - agreed)
    if added:
        shown = "; ".join(added[:NAMED]) + (f"; and {len(added) - NAMED} more" if len(added) > NAMED else "")
        raise Refused(f"the fleet has moved since this plan was made, it does not name: {shown}", "plan", "plan again")
    return sorted(
        _said(change["action"], change["uid"], name)
        for change in saved["changes"]
        for node_id, name in change["nodes"].items()
        if _Pair(change["actionDigest"], node_id) not in needed
    )


def require_named_removals(plan: Plan, world: World, limits: Limits) -> None:
    """Raises `Refused` where the plan removes more than may go without being named."""
    braked = gating.brake(plan.effects, world, limits)
    if braked:
        total = removals_of(plan)
        named = ", ".join(f"{uid} from {count} nodes" for uid, count in sorted(braked.items()))
        raise Refused(f"this would remove {named}", "removals", f"say --allow-removals {total} if that is meant")


def removals_of(plan: Plan) -> int:
    """How many nodes lose an association."""
    return sum(nodeset.size(effect.nodes) for effect in plan.effects if isinstance(effect, Withdraw))


def _needed(plan: Plan, catalog: Catalog, bodies: Callable[[str], bytes | None]) -> Iterator[tuple[_Pair, str]]:
    """Everything that a plan does to a node, and how people call it."""
    for effect in plan.effects:
        if isinstance(effect, Describe):
            yield from _described(effect, plan, catalog, bodies)
            continue
        if isinstance(effect, Assign):
            action, body_digest = "Assign", effect.body_digest
        elif isinstance(effect, Withdraw):
            action, body_digest = "Remove", ""
        else:
            continue
        digest = action_digest(action, effect.uid, body_digest)
        ids, names = plan.nodes.ids(effect.nodes), plan.nodes.names(effect.nodes)
        for node_id, name in zip(ids, names, strict=True):
            yield _Pair(digest, node_id), _said(action, effect.uid, name)


def _described(
    effect: Describe, plan: Plan, catalog: Catalog, bodies: Callable[[str], bytes | None]
) -> Iterator[tuple[_Pair, str]]:
    """New labels and vars. A node that never had any is not named by plans: what it gets follows with its first set."""
    for bit in nodeset.positions(effect.nodes):
        entry = plan.nodes.entries[bit]
        before = bodies(entry.context_digest) if entry is not None and entry.context_digest else None
        if entry is None or before is None:
            continue
        to_digest = context_digest(read_context(before), read_context(context_of(entry, catalog)))
        yield _Pair(action_digest("Describe", "", to_digest), entry.id), _said("Describe", "", entry.name)


def _said(action: str, uid: str, name: str) -> str:
    return f"{action} {uid} on {name}" if uid else f"new labels or vars of {name}"
