"""Applying: what a person asked to have done, bound to the plan they saw, and how far it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.core import nodeset
from reconciler.core.effect import Assign, Withdraw
from reconciler.core.nodeset import EMPTY
from reconciler.core.problem import Finding, Invalid, Place, Refused
from reconciler.engine import gate as gating
from reconciler.engine.preview import FORMAT, action_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.controller.state import Apply, State
    from reconciler.core.access import Subject
    from reconciler.core.effect import Cause
    from reconciler.core.nodeset import NodeSet
    from reconciler.core.world import Nodes, World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.gate import Limits
    from reconciler.engine.plan import Plan

APPLIES_REMEMBERED = 50

Pairs = dict[tuple[str, str], "NodeSet"]


def pairs_of(plan: Plan) -> Pairs:
    """What a plan would give: (uid, body digest) -> nodes."""
    return {(effect.uid, effect.body_digest): effect.nodes for effect in plan.effects if isinstance(effect, Assign)}


def bound(plan: Plan, saved: Mapping[str, Any]) -> list[str]:
    """Hold a plan against the saved one that was agreed to; what the saved one had and is needed no more.

    Raises `Refused` when the fleet is at another commit than it was, or anything would be done that the saved plan does
    not name; `Invalid` for what is no plan.
    """
    if saved.get("format") != FORMAT:
        finding = Finding("this is not a saved plan", Place("plan"), expected=f"a file of format {FORMAT}")
        raise Invalid((finding,))
    moved = saved["base"] != (plan.base or "") and plan.base != plan.commit
    if moved:
        what = f"the fleet went from {saved['base'][:12] or 'nothing'} to {(plan.base or 'nothing')[:12]} meanwhile"
        raise Refused(what, "plan", "plan again")
    agreed = {(change["actionDigest"], node_id) for change in saved["changes"] for node_id in change["nodes"]}
    needed = set()
    names = {}
    for effect in plan.effects:
        if isinstance(effect, Assign | Withdraw):
            action = "Assign" if isinstance(effect, Assign) else "Remove"
            body_digest = effect.body_digest if isinstance(effect, Assign) else ""
            digest = action_digest(action, effect.uid, body_digest)
            for node_id in plan.nodes.ids(effect.nodes):
                needed.add((digest, node_id))
                names[digest, node_id] = f"{action} {effect.uid} on {node_id}"
    added = sorted(names[pair] for pair in needed - agreed)
    if added:
        shown = "; ".join(added[:5]) + (f"; and {len(added) - 5} more" if len(added) > 5 else "")
        raise Refused(f"the fleet has moved since this plan was made, it does not name: {shown}", "plan", "plan again")
    return sorted(
        f"{change['action']} {change['uid']} on {name}"
        for change in saved["changes"]
        for node_id, name in change["nodes"].items()
        if change["action"] != "Describe" and (change["actionDigest"], node_id) not in needed
    )


def unbraked(plan: Plan, world: World, limits: Limits) -> None:
    """Raises `Refused` where the plan removes more than may go without being named."""
    braked = gating.brake(plan.effects, world, limits)
    if braked:
        total = sum(nodeset.size(effect.nodes) for effect in plan.effects if isinstance(effect, Withdraw))
        named = ", ".join(f"{uid} from {count} nodes" for uid, count in sorted(braked.items()))
        raise Refused(f"this would remove {named}", "removals", f"say --allow-removals {total} if that is meant")


def record(plan: Plan, catalog: Catalog, world: World, cause: Cause, subject: Subject, dropped: list[str]) -> Apply:
    """What `progress` follows: what the plan gives, and what was given by itself before and is not answered yet."""
    from reconciler.controller.state import Apply

    pairs = pairs_of(plan)
    for pair, nodes in _under_way(plan, catalog, world).items():
        pairs[pair] = pairs.get(pair, EMPTY) | nodes
    removals = sum(nodeset.size(effect.nodes) for effect in plan.effects if isinstance(effect, Withdraw))
    return Apply(cause.id, subject.name, plan.commit, cause.at, pairs, removals, dropped)


def _under_way(plan: Plan, catalog: Catalog, world: World) -> Pairs:
    """Under `sync: auto` a commit is on its way before anybody applies it."""
    found: Pairs = {}
    for uid, targets in plan.targets.items():
        digest, columns = catalog.compiled[uid].body_digest, world.of(uid)
        if nodes := columns.on(digest) & ~columns.reported & targets:
            found[uid, digest] = nodes
    return found


def remember(state: State, apply: Apply) -> None:
    state.applies[apply.id] = apply
    while len(state.applies) > APPLIES_REMEMBERED:
        del state.applies[next(iter(state.applies))]


def progress(state: State, apply: Apply) -> dict[str, Any]:
    """How far it has come, counted in (node, association) pairs. `finished` once nothing online is left to answer."""
    world = state.world
    totals = dict.fromkeys(("total", "done", "failed", "drifted", "running", "waiting", "offline", "held"), 0)
    rows = []
    for (uid, body_digest), nodes in sorted(apply.pairs.items()):
        counts, failed = _count(world, uid, body_digest, nodes)
        rows.append({"uid": uid, **counts, "failedNodes": failed})
        for key, value in counts.items():
            totals[key] += value
    superseded = world.revision != apply.commit
    return {
        "apply": apply.id,
        "commit": apply.commit,
        "subject": apply.subject,
        "at": apply.at,
        "removals": apply.removals,
        "dropped": apply.dropped,
        "superseded": superseded,
        "finished": superseded or not (totals["running"] or totals["waiting"]),
        **totals,
        "associations": rows,
        "waits": waits(state),
    }


def waits(state: State) -> list[dict[str, Any]]:
    """What the gate let wait in the last round: how many nodes, and for what."""
    return [
        {"uid": verdict.uid, "rule": verdict.rule, "reason": verdict.reason, "nodes": nodeset.size(verdict.nodes)}
        for verdict in (state.gated.verdicts if state.gated else ())
    ]


def _count(world: World, uid: str, body_digest: str, nodes: NodeSet) -> tuple[dict[str, int], list[str]]:
    columns = world.of(uid)
    given = columns.on(body_digest) & nodes
    reported = given & columns.reported
    held = nodes & ~given if gating.suspended(world, uid, body_digest) else EMPTY
    outstanding = nodes & ~reported & ~held
    size = nodeset.size
    failed = reported & columns.failed
    return {
        "total": size(nodes),
        "done": size(reported & ~columns.failed),
        "failed": size(failed),
        "drifted": size(reported & columns.drifted),
        "running": size(outstanding & given & world.online),
        "waiting": size(outstanding & ~given & world.online),
        "offline": size(outstanding & ~world.online),
        "held": size(held),
    }, _names(world.nodes, failed)


def _names(nodes: Nodes, chosen: NodeSet, limit: int = 20) -> list[str]:
    return nodes.names(nodeset.first(chosen, limit))
