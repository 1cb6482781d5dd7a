"""Planning the fleet of `scenario`: from typed objects in memory to the complete JSON plan, gate included."""

from __future__ import annotations

import gc
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.contract.wire import ClaimReport, Report
from reconciler.core import nodeset
from reconciler.core.resource import Metadata
from reconciler.engine import gate, plan, preview
from reconciler.engine.absorb import absorb
from tests.bench.scenario import AFTER, DOCUMENTS, Fleet, Size, compile_one, compiling, fleet

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.core.resource import Resource
    from reconciler.engine.catalog import Catalog

_CHANGE = "c" * 40


@dataclass(frozen=True, slots=True)
class Done:
    """One complete plan, for the next one to start from."""

    plan: plan.Plan
    gated: gate.Gated
    drawing: preview.Drawing


def complete(made: Fleet, catalog: Catalog, before: Done | None = None) -> Done:
    """Plan, gate, draw: what `opsctl plan` asks of the server."""
    planned = plan.plan(catalog, made.world, before.plan if before else None)
    world = replace(made.world, nodes=planned.nodes)
    everyone = planned.nodes.everyone
    limits = gate.Limits(catalog.fleet.max_removals)
    gated = gate.gate(
        planned.effects, catalog, world, lambda _verb, _kind: everyone, limits, before.gated if before else None
    )
    drawing = preview.draw(
        planned,
        gated,
        catalog,
        made.world,
        made.kept.get,
        made.files,
        live=True,
        previous=before.drawing if before else None,
    )
    return Done(planned, gated, drawing)


def bench_full(size: Size, runs: int = 7) -> list[float]:
    """Seconds for a first plan, every association compiled from its document, nothing remembered."""
    made = fleet(size)
    bare = replace(made.catalog, compiled={})

    def run() -> bytes:
        return complete(made, compiling(bare, made.files)).drawing.json()

    return [_timed(run) for _ in range(runs)]


def bench_again_document(size: Size, runs: int = 9) -> list[float]:
    """One document that 50 associations use says something else: they are compiled, everything is planned."""
    made = fleet(size)
    first = complete(made, made.catalog)
    first.drawing.json()
    samples = []
    for turn in range(runs):
        name = f"document-{turn % DOCUMENTS}"
        found = made.catalog.resources[f"Document/{name}"]
        content = found.spec.content.model_copy(update={"description": f"turn {turn}"})
        steps = tuple(step.model_copy(update={"name": f"{step.name}{turn}"}) for step in content.main_steps)
        spec = replace(found.spec, content=content.model_copy(update={"main_steps": steps}))
        catalog = _with(made.catalog, [replace(found, spec=spec, fingerprint=f"document {turn}")])
        users = [uid for uid, resource in made.catalog.associations.items() if resource.spec.document == name]
        assert len(users) == 50, len(users)

        def run(catalog: Catalog = catalog, users: list[str] = users) -> bytes:
            fresh = {uid: compile_one(uid, catalog.resources[uid].spec, catalog, made.files) for uid in users}
            now = replace(catalog, compiled={**catalog.compiled, **fresh})
            return complete(made, now, first).drawing.json()

        samples.append(_timed(run))
    return samples


def bench_again_label(size: Size, runs: int = 9) -> list[float]:
    """One label of 1,000 nodes changes."""
    made = fleet(size)
    first = complete(made, made.catalog)
    first.drawing.json()
    pick = random.Random(2)
    nodes = [resource for resource in made.catalog.resources.values() if resource.kind == "Node"]
    samples = []
    for turn in range(runs):
        changed = [
            replace(
                node,
                metadata=Metadata(name=node.name, labels={**node.metadata.labels, "Role": f"role-{turn:02d}"}),
                fingerprint=f"{node.name} {turn}",
            )
            for node in pick.sample(nodes, min(1_000, len(nodes)))
        ]
        catalog = _with(made.catalog, changed)
        samples.append(_timed(lambda catalog=catalog: complete(made, catalog, first).drawing.json()))  # type: ignore[misc]
    return samples


def bench_again_group(size: Size, runs: int = 9) -> list[float]:
    """One group, which others nest and associations target, gets another node."""
    made = fleet(size)
    first = complete(made, made.catalog)
    first.drawing.json()
    samples = []
    for turn in range(runs):
        group = made.catalog.resources[f"Group/group-{turn * 4 + 2}"]
        spec = group.spec.model_copy(update={"members": (f"node-{turn:07d}",)})
        users = [
            replace(resource, fingerprint=f"{resource.uid} {turn}")
            for resource in made.catalog.associations.values()
            if any(target.key == "group" for target in resource.spec.targets)
        ]
        catalog = _with(made.catalog, [replace(group, spec=spec, fingerprint=f"group {turn}"), *users])
        samples.append(_timed(lambda catalog=catalog: complete(made, catalog, first).drawing.json()))  # type: ignore[misc]
    return samples


def bench_absorb(size: Size, reports: int = 5_000) -> list[float]:
    """Seconds for one report, in World of the whole fleet."""
    made = fleet(size)
    world = made.world
    pick = random.Random(3)
    uids = sorted(world.columns)
    wanted = []
    for number in range(reports):
        uid = pick.choice(uids)
        digest, nodes = max(world.columns[uid].given.items(), key=lambda item: nodeset.size(item[1]))
        node_id = world.nodes.ids(nodeset.first(nodes, 1 + number % 5))[-1]
        wanted.append(_report(node_id, uid, digest, number))
    samples = []
    for report in wanted:
        started = time.perf_counter()
        world = absorb(world, report, None, 1_700_000_000_000).world
        samples.append(time.perf_counter() - started)
    return samples


def _report(node_id: str, uid: str, body_digest: str, seq: int) -> Report:
    at = "2026-01-01T00:00:00.000Z"
    claims = [ClaimReport(f"path:/etc/{number}", f"step{number}", "Unchanged") for number in range(5)]
    return Report(
        protocol=1,
        fleet_id="bench",
        node_id=node_id,
        boot_id="boot",
        incarnation=1,
        seq=seq,
        uid=uid,
        generation=2,
        body_digest=body_digest,
        context_digest="",
        agent_version="0",
        status="Success" if seq % 3 else "Failed",
        claims=claims,
        cause="Interval",
        started_at=at,
        finished_at=at,
    )


def _with(catalog: Catalog, changed: list[Resource]) -> Catalog:
    """The catalog of a later commit, with these resources instead of theirs."""
    assert catalog.commit == AFTER
    resources = {**catalog.resources, **{resource.uid: resource for resource in changed}}
    return replace(catalog, commit=_CHANGE, resources=resources)


def _timed(run: Callable[[], bytes]) -> float:
    """The larger of wall and CPU seconds. Collected before, as a server between two requests is."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    data = run()
    elapsed = max(time.perf_counter() - wall, time.process_time() - cpu)
    assert data.startswith(b"{") and data.endswith(b"}\n" if data.endswith(b"\n") else b"}")  # noqa: PT018
    return elapsed
