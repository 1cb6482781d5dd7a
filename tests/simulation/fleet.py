"""Nodes that run a script by its schedule under permits: `agent.agenda` on one side, `engine.permits` on the other.

Time passes in whole seconds. A node asks at its place in the splay, runs for a while once it may, and says how it went.
Nodes go away and come back, join late, and forget what they asked for; the server is restarted on what it has kept.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.contract.canonical import instant
from agent.contract.wire import Assignment, Interval
from agent.rounds import agenda
from agent.state.permits import Answer
from reconciler.capabilities.nodes import fleet
from reconciler.core import nodeset
from reconciler.core import permits as permitting
from reconciler.core.indexing import index
from reconciler.core.nodes import NodeEntry
from reconciler.core.permits import NO_PERMITS, Begun, Run, Word
from reconciler.core.records import PermitRow
from reconciler.core.world import Columns, Release, World
from reconciler.engine.leave import leaves
from reconciler.engine.permits import Request, decide, exceeded
from tests.engine.repository import Told, association

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.state.journal import RunInstant

UID = "Association/scan"
PERIOD = 900
BORN = 1_800_000_000
"""Unix seconds, a multiple of the period."""
SCRIPT = """\
schemaVersion: "2.2"
mainSteps:
- name: scan
  action: aws:runShellScript
  inputs: {runCommand: [scan], timeoutSeconds: 60}
"""


@dataclass(frozen=True)
class Story:
    """What happens. Shares are of all nodes; `frozen` are seconds after the beginning."""

    nodes: int
    instants: int
    concurrency: str = "10%"
    errors: str = "5%"
    failing: float = 0.02
    away: float = 0.05
    late: float = 0.02
    vanish: float = 0.001
    restarts: bool = True
    frozen: tuple[int, int] | None = None


@dataclass
class Kept:
    """What came of one instant of the schedule."""

    begun: list[int] = field(default_factory=list)
    failed: int = 0
    over: int = 0
    begun_after_stop: int = 0


class Simulation:
    """One story, told once. Afterwards `instants` has what came of each run, `widest` how many ran at once at most."""

    def __init__(self, story: Story, seed: int) -> None:
        self.story, self._random = story, random.Random(seed)
        self.now = BORN - PERIOD // 2
        limits = {"maxConcurrency": f'"{story.concurrency}"', "maxErrors": f'"{story.errors}"'}
        every = f"rate({PERIOD // 60} minutes)"
        told = Told()
        files = {
            "fleet.yaml": _fleet(story),
            "documents/scan.yaml": SCRIPT,
            "associations/scan.yaml": association("scan", "scan", scheduleExpression=every, **limits),
        }
        self.catalog = told.load(told.edit(dict(files)))
        self.compiled, self.spec = self.catalog.compiled[UID], self.catalog.resources[UID].spec
        (leave,) = leaves(self.catalog)
        self.item = Assignment(1, self.compiled.body_digest, leave.permit, [Interval()], leave.splay)
        self.expression = every
        count = story.nodes
        self.ids = [f"mi-{number:017x}" for number in range(count)]
        nodes = index(NodeEntry(id_, id_, {}) for id_ in self.ids)
        late = self._some(story.late)
        joined = nodes.everyone & ~nodeset.of(late)
        self.world = World(
            "fl",
            1,
            nodes=nodes,
            columns={UID: Columns({self.compiled.body_digest: joined})},
            releases={UID: Release(1, self.compiled.body_digest, "c")},
        )
        begun = agenda.first_instant(1, self.now * 1000)
        self.taken: list[RunInstant] = [begun] * count
        self.place = [int(agenda.place(id_, UID) * leave.splay * 1000) for id_ in self.ids]
        self.online = [True] * count
        for bit in late:
            self.online[bit] = False
        self.asked: dict[int, Run] = {}
        self.queue: dict[int, Run] = {}
        self.kept: dict[int, tuple[Begun, str]] = {}
        self.running: dict[int, Run] = {}
        self.instants: dict[str, Kept] = defaultdict(Kept)
        self.widest = 0
        self.begun_while_frozen = 0
        self._at: dict[int, list[tuple[str, int]]] = defaultdict(list)
        self._words: dict[int, Word] = {}
        self._unsent: dict[int, Word] = {}
        self._stopped = ""
        self._late = late

    def tell(self) -> Simulation:
        """From before the first instant to well after the last."""
        end = BORN + self.story.instants * PERIOD
        self._schedule_life(end)
        while self.now < end:
            self.now += 1
            for what, bit in self._at.pop(self.now, ()):
                getattr(self, f"_{what}")(bit)
            self._serve()
        return self

    # What happens

    def _schedule_life(self, end: int) -> None:
        story, draw = self.story, self._random
        for bit in self._late:
            self._at[draw.randrange(BORN, end)].append(("join", bit))
        for bit in self._some(story.away):
            left = draw.randrange(BORN - 60, end)
            self._at[left].append(("leave", bit))
            self._at[left + draw.randrange(30, 2 * PERIOD)].append(("come", bit))
        if story.restarts:
            for number in range(story.instants):
                self._at[BORN + number * PERIOD + draw.randrange(5, PERIOD // 2)].append(("restart", 0))
        for number in range(story.instants):
            at = BORN + number * PERIOD
            for bit, place in enumerate(self.place):
                self._at[at + place // 1000 + 1].append(("due", bit))

        if story.frozen:
            for bit, place in enumerate(self.place):  # the end of a hold hurries them
                self._at[BORN + story.frozen[1] + place // 1000 + 1].append(("due", bit))

    def _due(self, bit: int) -> None:
        """The agent's turn: run what is permitted, ask for what is due."""
        if not self.online[bit] or bit in self.running or self._frozen():
            return
        self._turn(bit, Answer())

    def _turn(self, bit: int, answer: Answer) -> None:
        now = self.now * 1000
        turn = agenda.turn(self.item, self.expression, self.taken[bit], lambda *_: answer, now, self.place[bit])
        if turn.take is not None:
            self.taken[bit] = turn.take
            if turn.over:
                self.instants[turn.over[11:35]].over += 1
            else:
                self._begin(bit, Run(1, turn.take.text))
        elif turn.ask is not None:
            run = Run(1, turn.ask.text)
            self.asked[bit] = self.queue[bit] = run

    def _begin(self, bit: int, run: Run) -> None:
        draw, kept = self._random, self.instants[run.instant]
        self.running[bit] = run
        self.asked.pop(bit, None)
        kept.begun.append(bit)
        kept.begun_after_stop += run.instant == self._stopped
        self.begun_while_frozen += bool(self._frozen())
        what = (
            "vanish" if draw.random() < self.story.vanish else "fail" if draw.random() < self.story.failing else "end"
        )
        self._at[self.now + 1 + int(draw.random() * 29)].append((what, bit))

    def _end(self, bit: int, *, failed: bool = False) -> None:
        run = self.running.pop(bit)
        self.instants[run.instant].failed += failed
        words = self._words if self.online[bit] else self._unsent
        words[bit] = Word(run, failed)

    def _fail(self, bit: int) -> None:
        self._end(bit, failed=True)

    def _vanish(self, bit: int) -> None:
        """The machine dies in the middle of a run: nobody ever hears of it."""
        del self.running[bit]
        self.online[bit] = False

    def _leave(self, bit: int) -> None:
        self.online[bit] = False
        self.queue.pop(bit, None)

    def _come(self, bit: int) -> None:
        """Back, or started again: what it asked for is forgotten, what it took is not."""
        self.online[bit] = True
        self.asked.pop(bit, None)
        if bit in self._unsent:
            self._words[bit] = self._unsent.pop(bit)
        self._due(bit)

    def _join(self, bit: int) -> None:
        columns = self.world.of(UID)
        self.world = self.world.with_columns({UID: columns.assigned(1 << bit, self.compiled.body_digest)})
        self.taken[bit] = agenda.first_instant(1, self.now * 1000)
        self._come(bit)

    def _restart(self, _: int) -> None:
        """The server starts on what it has kept; connected nodes ask again."""
        rows = (
            PermitRow(self.ids[bit], UID, *begun.run, begun.granted_at, begun.expires_at, status)
            for bit, (begun, status) in self.kept.items()
        )
        loaded = permitting.load(rows, self.world.nodes.bits)
        assert loaded == self.world.permits
        self.world = replace(self.world, permits=loaded)
        self.queue = {bit: run for bit, run in self.asked.items() if self.online[bit]}

    # The gate

    def _serve(self) -> None:
        """The server's second: words come in together, then the queue is worked off."""
        if self._words:
            words, self._words = self._words, {}
            permits = self.world.permits.get(UID, NO_PERMITS)
            for bit, word in words.items():
                begun, _ = self.kept[bit]
                if begun.run == word.run:
                    self.kept[bit] = (begun, "Failed" if word.failed else "Success")
            self.world = replace(self.world, permits={UID: permits.returned(words)})
        if self.queue:
            self._decide()

    def _decide(self) -> None:
        at = self.now * 1000
        requests = (Request(bit, run) for bit, run in self.queue.items())
        made = decide(self.spec, self.compiled, self.world, requests, at, self._frozen())
        permits = self.world.permits.get(UID, NO_PERMITS)
        self._stopped = permits.instant if exceeded(self.spec, permits, self.targets) else ""
        if made.granted:
            self.world = replace(self.world, permits={UID: permits.granted(made.granted)})
        for bit, begun in made.granted.items():
            self.kept[bit] = (begun, "")
            del self.queue[bit]
            if self.online[bit]:
                self._turn(bit, Answer(granted=True))
        for bit, reason in made.over.items():
            del self.queue[bit]
            self.asked.pop(bit, None)
            self._turn(bit, Answer(reason=reason, over=True))
        self.widest = max(self.widest, len(self.running))

    def _frozen(self) -> str:
        return fleet.frozen(self.catalog.fleet, self.now * 1000) if self._begun_freezing() else ""

    def _begun_freezing(self) -> bool:
        return self.story.frozen is not None and self.now >= BORN + self.story.frozen[0]

    @property
    def targets(self) -> int:
        """How many nodes have the association."""
        return nodeset.size(self.world.of(UID).anywhere)

    def _some(self, share: float) -> list[int]:
        return self._random.sample(range(self.story.nodes), int(self.story.nodes * share))


def _fleet(story: Story) -> str:
    until = BORN + story.frozen[1] if story.frozen else BORN
    freeze = f"freeze: {{reason: a story, until: '{instant(until * 1000)}'}}"
    return f"apiVersion: ops/v1\nkind: Fleet\nmetadata: {{name: acme}}\nspec: {{{freeze}}}\n"


def instants_of(numbers: Iterable[int]) -> list[str]:
    """The schedule's instants by number, from the first of a story on."""
    return [instant((BORN + number * PERIOD) * 1000) for number in numbers]
