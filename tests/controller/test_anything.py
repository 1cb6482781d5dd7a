"""Whatever happens, in whatever order: nodes, commits, reports, failures, restarts; and what holds after each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.contract.claims import claims_of, meet
from agent.contract.codec import from_wire
from agent.contract.inputs import ACTIONS
from reconciler.controller.restart import load_world
from reconciler.core import nodeset, rate
from reconciler.core.problem import Refused, Unavailable
from tests.controller.house import ROOT, Crash, House, Machine, seen
from tests.engine.repository import FLEET, association, node

if TYPE_CHECKING:
    from agent.contract.claims import Claim
    from agent.contract.wire import Report

NAMES = tuple(f"n-{number}" for number in range(6))
PATHS = ("/etc/a", "/etc/b")
UIDS = ("Association/one", "Association/two", "Association/three")


CONCURRENCY = st.sampled_from(['"1"', '"2"', '"100%"'])


def document(paths: tuple[str, ...], text: str) -> str:
    steps = "".join(
        f"- name: step{number}\n  action: ops:file\n  inputs: {{path: {path}, content: {text}}}\n"
        for number, path in enumerate(paths)
    )
    return f'schemaVersion: "2.2"\nmainSteps:\n{steps}'


edits = st.one_of(
    st.tuples(
        st.sampled_from([f"documents/{name}.yaml" for name in ("one", "two", "three")]),
        st.builds(document, st.sampled_from([PATHS[:1], PATHS[1:], PATHS]), st.sampled_from(["x", "y"])),
    ),
    st.sampled_from(["one", "two", "three"]).flatmap(
        lambda name: st.tuples(
            st.just(f"associations/{name}.yaml"),
            st.none()
            | st.builds(
                lambda targets, concurrency, errors: association(
                    name, name, targets, maxConcurrency=concurrency, maxErrors=errors
                ),
                st.sampled_from(['"*"', '"tag:Env=a"', '"tag:Env=b"']),
                CONCURRENCY,
                st.sampled_from(['"0"', '"1"', '"100%"']),
            ),
        )
    ),
    st.sampled_from(NAMES).flatmap(
        lambda name: st.tuples(
            st.just(f"nodes/{name}.yaml"),
            st.builds(lambda labels: node(name, labels), st.sampled_from(["{}", "{Env: a}", "{Env: b}"])),
        )
    ),
    st.tuples(st.just("fleet.yaml"), st.sampled_from([FLEET, FLEET + "spec: {maxRemovals: 100}\n", "kind: ["])),
)


def _quiet(_: object) -> None:
    """What stands around a commit where nothing is to happen."""


class Anything(RuleBasedStateMachine):
    """`house` and what an onlooker remembers of it."""

    def __init__(self) -> None:
        super().__init__()
        self.newest: dict[str, int] = {}
        self.last_given: dict[tuple[str, str], int] = {}
        self.acknowledged: dict[tuple[str, str], Report] = {}
        self.history: list[tuple[Machine, Report]] = []
        self.flying: dict[str, set[str]] = {}
        self.away: dict[str, set[str]] = {}
        self.claims: dict[str, list[Claim]] = {}

    @initialize()
    def begin(self) -> None:
        files = {
            "fleet.yaml": FLEET,
            "documents/one.yaml": document(PATHS[:1], "x"),
            "documents/two.yaml": document(PATHS[1:], "x"),
            "documents/three.yaml": document(PATHS[:1], "x"),
            "associations/one.yaml": association("one", "one", maxConcurrency='"2"', maxErrors='"1"'),
        }
        self.house = House(files)
        self.house.join(*NAMES[:3])

    def machines(self) -> list[Machine]:
        return list(self.house.machines.values())

    # -- what may happen -----------------------------------------------------------------------------------------

    @rule(changes=st.lists(edits, min_size=1, max_size=3), seconds=st.sampled_from([0, 61]))
    def commit(self, changes: list[tuple[str, str | None]], seconds: int) -> None:
        self.house.push(dict(changes))
        if seconds:
            self.house.controller.pushed()
        self.house.tick(1)

    @rule(first=st.sampled_from([PATHS[:1], PATHS[1:]]), one=CONCURRENCY, other=CONCURRENCY)
    def trade(self, first: tuple[str, ...], one: str, other: str) -> None:
        """Two associations on everybody, and what each of them owns: maybe the other way round from now on."""
        second = PATHS[1:] if first == PATHS[:1] else PATHS[:1]
        self.house.push(
            {
                "documents/one.yaml": document(first, "x"),
                "documents/two.yaml": document(second, "x"),
                "associations/one.yaml": association("one", "one", maxConcurrency=one, maxErrors='"100%"'),
                "associations/two.yaml": association("two", "two", maxConcurrency=other, maxErrors='"100%"'),
            }
        )
        self.house.controller.pushed()
        self.house.tick(1)

    @rule(name=st.sampled_from(NAMES), labels=st.sampled_from([{}, {"Env": "a"}]))
    def enrol(self, name: str, labels: dict[str, str]) -> None:
        if name not in self.house.machines:
            self.house.join(name, labels=labels)

    @rule(name=st.sampled_from(NAMES))
    def come_or_go(self, name: str) -> None:
        machine = self.house.machines.get(name)
        if machine is None:
            return
        if machine.online:
            machine.disconnect()
        else:
            machine.connect()

    @rule(name=st.sampled_from(NAMES), uid=st.sampled_from(UIDS), what=st.sampled_from(["fails", "drifts", ""]))
    def turn(self, name: str, uid: str, what: str) -> None:
        """From now on the node fails at it, or finds it drifted, or is well."""
        machine = self.house.machines.get(name)
        if machine is not None:
            for word in ("fails", "drifts"):
                getattr(machine, word).discard(uid)
            if what:
                getattr(machine, what).add(uid)

    @rule(name=st.sampled_from(NAMES))
    def work(self, name: str) -> None:
        machine = self.house.machines.get(name)
        if machine is not None and machine.online:
            before = list(machine.unsent)
            machine.work()
            self.remember(machine, [*before, *(report for report in machine.written if report not in before)])
            machine.written.clear()
        self.house.tick(0.5)

    @rule(data=st.data())
    def say_again(self, data: st.DataObject) -> None:
        """A report whose acknowledgement was lost, or one that lay somewhere for long."""
        if self.history:
            machine, report = data.draw(st.sampled_from(self.history))
            self.house.intake.reported(machine.id, report)

    @rule(removals=st.sampled_from([0, 100]))
    def apply(self, removals: int) -> None:
        try:
            self.house.apply(removals=removals)
        except Refused:
            assert not removals

    @rule(name=st.sampled_from(NAMES))
    def retire(self, name: str) -> None:
        if name in self.house.machines:
            self.house.service.retire(ROOT, name)
            self.house.tick(0.5)
            del self.house.machines[name]

    @rule(seconds=st.sampled_from([1, 30, 301]))
    def wait(self, seconds: int) -> None:
        self.house.tick(seconds)

    @rule(back=st.booleans())
    def restart(self, back: bool) -> None:
        self.house.restart()
        for machine in self.machines() if back else ():
            machine.connect()

    @rule(at=st.integers(1, 3), kept=st.booleans(), what=st.sampled_from(["crash", "fail"]), removals=st.booleans())
    def stumble(self, at: int, kept: bool, what: str, removals: bool) -> None:
        """The store fails at its next commits, or the process ends at one, while everybody is at work."""
        left = [at]

        def strike(_: Any) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Crash if what == "crash" else Unavailable("the store", "no room")

        setattr(self.house.disk, "after" if kept else "before", strike)
        try:
            for machine in self.machines():
                if machine.online:
                    machine.work()
                    machine.written.clear()
            self.house.apply(removals=100 if removals else 0)
            self.house.tick(1)
        except Crash:
            self.house.restart()
        except (Unavailable, Refused):
            pass  # whoever asked is told; what is checked is what everybody knows after it
        self.house.disk.before = self.house.disk.after = _quiet
        self.house.tick(31)

    def remember(self, machine: Machine, sent: list[Report]) -> None:
        for report in sent:
            self.history.append((machine, report))
            if report.cause != "Removed":
                self.acknowledged[machine.id, report.uid] = report

    # -- what holds ----------------------------------------------------------------------------------------------

    @invariant()
    @precondition(lambda self: hasattr(self, "house"))
    def world_is_what_the_store_says(self) -> None:
        from tests.controller.house import FLEET_ID

        assert seen(load_world(self.house.disk, FLEET_ID)) == seen(self.house.world)

    @invariant()
    @precondition(lambda self: hasattr(self, "house"))
    def no_generation_is_used_again(self) -> None:
        for uid, release in self.house.world.releases.items():
            assert release.generation >= self.newest.get(uid, 0)
            self.newest[uid] = release.generation
        for row in self.house.disk.assignments():
            pair = (row.node_id, row.uid)
            assert row.generation >= self.last_given.get(pair, 0)
            self.last_given[pair] = row.generation

    @invariant()
    @precondition(lambda self: hasattr(self, "house"))
    def nobody_is_given_what_conflicts(self) -> None:
        for machine in self.machines():
            owned: list[tuple[str, Claim]] = []
            for row in self.house.disk.assignments_of(machine.id):
                for claim in self.claims_of(row.body_digest):
                    rivals = [uid for uid, other in owned if uid != row.uid and meet(claim, other)]
                    assert not rivals, f"{machine.name} has {claim} from {row.uid} and {rivals}"
                    owned.append((row.uid, claim))

    @invariant()
    @precondition(lambda self: hasattr(self, "house"))
    def no_more_than_max_concurrency_start(self) -> None:
        """Those that were given it while they were offline return to a budget of their own."""
        world, catalog = self.house.world, self.house.state.catalog
        for uid, release in world.releases.items():
            columns = world.of(uid)
            given = columns.on(release.body_digest)
            key = f"{uid} {release.generation}"
            silent = set(world.nodes.ids(given & ~columns.reported))
            online = set(world.nodes.ids(world.online))
            before = self.flying.get(key, set())
            away = {id_ for id_ in self.away.get(key, set()) | (silent - before - online) if id_ in silent}
            fresh = silent - before - away
            if fresh and uid in catalog.compiled and catalog.compiled[uid].body_digest == release.body_digest:
                spec = catalog.resources[uid].spec
                targets = nodeset.size(given | self.house.state.plan.targets.get(uid, 0))
                assert len(silent - away) <= rate.concurrency(spec.max_concurrency, targets)
            self.flying[key], self.away[key] = silent, away

    @invariant()
    @precondition(lambda self: hasattr(self, "house"))
    def what_was_acknowledged_is_kept(self) -> None:
        for (node_id, uid), report in self.acknowledged.items():
            row = self.house.disk.assignment(node_id, uid)
            if row is not None and row.generation == report.generation and row.status:
                assert row.seq >= report.seq

    def claims_of(self, body_digest: str) -> list[Claim]:
        if body_digest not in self.claims:
            body = json.loads(self.house.disk.body(body_digest) or b"{}")
            self.claims[body_digest] = [
                claim
                for step in body["steps"]
                for claim in claims_of(step["action"], from_wire(ACTIONS[step["action"]].inputs, step["inputs"]))
            ]
        return self.claims[body_digest]


Anything.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_anything = Anything.TestCase
