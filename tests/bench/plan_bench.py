"""Planning the fleet of `scenario`: from what a server holds in memory to the complete JSON plan, gate included."""

from __future__ import annotations

import gc
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.contract.template import Template
from agent.contract.wire import ClaimReport, Report
from reconciler.adapters.renderer import MemoryRenderer
from reconciler.core import nodeset
from reconciler.core.resource import Metadata
from reconciler.core.select import Target
from reconciler.documents import document
from reconciler.engine import gate, plan, preview
from reconciler.engine.absorb import absorb
from tests.bench.scenario import ROLES, Fleet, Size, compile_one, compiling, document_text, fleet, indexed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.core.resource import Resource
    from reconciler.engine.catalog import Catalog

_LATER = "c" * 40
_AT = 1_700_000_000_000
TURNS = 7


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
    limits = gate.Limits(catalog.fleet.max_removals)
    everyone = planned.nodes.everyone
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
        MemoryRenderer().for_plan(),
        live=True,
        previous=before.drawing if before else None,
    )
    return Done(planned, gated, drawing)


def bench_full(size: Size) -> float:
    """Seconds for a first plan. What a second one in the same process found worked out already would flatter it."""
    made = fleet(size)
    Template("{{ name }}").render({"name": "imports what a server has imported"})
    return _timed(lambda: complete(made, made.catalog).drawing.json())


def bench_load(size: Size) -> float:
    """Seconds that loading spends on a catalog beyond parsing, where nothing is known yet."""
    made = fleet(size)
    gc.collect()
    started = time.perf_counter()
    indexed(compiling(replace(made.catalog, compiled={}), made.files))
    return time.perf_counter() - started


class Again:
    """A fleet that was planned once, and commits after it."""

    def __init__(self, size: Size) -> None:
        self._made = fleet(size)
        self._pick = random.Random(2)
        self._first = complete(self._made, self._made.catalog)
        assert self._first.drawing.json()

    def document(self) -> list[float]:
        """Seconds to plan again after one document that 50 associations use says something else."""
        return [self._sample(self._with_document(f"document-{10 + turn}", f"turn {turn}")) for turn in range(TURNS)]

    def label(self) -> list[float]:
        """Seconds to plan again after 1,000 nodes of one role have another one."""
        return [self._sample(self._with_role(ROLES[turn], ROLES[-1 - turn])) for turn in range(TURNS)]

    def group(self) -> list[float]:
        """Seconds to plan again after one group, that another one nests, selects one more role."""
        return [self._sample(self._with_group(f"group-{4 * turn + 1}")) for turn in range(TURNS)]

    def _sample(self, catalog: Catalog) -> float:
        elapsed = _timed(lambda: complete(self._made, catalog, self._first).drawing.json())
        gc.collect()
        return elapsed

    def _with_document(self, name: str, says: str) -> Catalog:
        known = self._made.catalog.resources[f"Document/{name}"]
        text = document_text(name, says)
        changed = replace(known, spec=document.load(text.encode(), f"documents/{name}.yaml"), fingerprint=says)
        catalog = self._later({changed.uid: changed}, self._made.catalog.depends[known.uid])
        users = self._made.catalog.depends[known.uid]
        assert len(users) == 50, len(users)
        files = self._made.files
        fresh = {uid: compile_one(uid, catalog.resources[uid].spec, catalog, files) for uid in users}
        return indexed(replace(catalog, compiled={**catalog.compiled, **fresh}))

    def _with_role(self, role: str, other: str) -> Catalog:
        nodes = [node for node in self._made.catalog.nodes.values() if node.metadata.labels["Role"] == role]
        changed = {}
        for node in self._pick.sample(nodes, 1_000):
            metadata = Metadata(name=node.name, labels={**node.metadata.labels, "Role": other})
            changed[node.uid] = replace(node, metadata=metadata, fingerprint=f"{node.name} {other}")
        return indexed(self._later(changed))

    def _with_group(self, name: str) -> Catalog:
        known = self._made.catalog.resources[f"Group/{name}"]
        site, role = known.spec.targets
        more = Target(role.key, ROLES[: len(role.values) + 1])
        changed = replace(known, spec=known.spec.model_copy(update={"targets": (site, more)}), fingerprint=f"{name}+")
        return indexed(self._later({known.uid: changed}, self._made.catalog.depends[known.uid]))

    def _later(self, changed: Mapping[str, Resource], made_of_it: frozenset[str] = frozenset()) -> Catalog:
        """The catalog of a later commit, as loading makes it: every resource anew, what was read of files kept."""
        catalog = self._made.catalog
        resources = {uid: replace(known, revision=_LATER) for uid, known in {**catalog.resources, **changed}.items()}
        for uid in made_of_it:
            resources[uid] = replace(resources[uid], fingerprint=f"{uid} of {_LATER}")
        return replace(catalog, commit=_LATER, resources=resources)


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
        absorbed = absorb(world, report, None, _AT)
        samples.append(time.perf_counter() - started)
        assert absorbed.reported
        world = absorbed.world
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


def _timed(run: Callable[[], bytes]) -> float:
    """The larger of wall and CPU seconds. Collected before, as a server between two requests is."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    data = run()
    elapsed = max(time.perf_counter() - wall, time.process_time() - cpu)
    assert data.startswith(b'{"format":"opsctl.plan/v1"')
    assert b'"changes":[{"commit":' in data
    assert data.endswith(b"}")
    return elapsed
