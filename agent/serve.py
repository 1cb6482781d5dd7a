"""The agent at work: one thread for the link, one for the rounds, the main one waiting for a signal.

The rounds go on while the server is away; the link goes on while a script runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from types import FrameType
from typing import Any, Callable, Dict, List, Mapping, Optional

import agent
from agent import log
from agent.clock import SystemClock
from agent.contract.canonical import NotCanonical, canonical, instant
from agent.contract.inventory import FEATURE as INVENTORY
from agent.contract.job import FEATURE
from agent.contract.session import FEATURE as SESSION
from agent.contract.wire import PROTOCOL, Hello
from agent.host.pages import give_back, use_one_heap
from agent.itself import ThisAgent
from agent.link.carrier import Door
from agent.link.link import Link
from agent.rounds.bench import local_bench, local_host
from agent.rounds.jobs import JobRunner
from agent.rounds.refreshes import Refreshes
from agent.rounds.rounds import Rounds
from agent.rounds.telling import Telling
from agent.state import identity
from agent.state.node import open_node
from agent.state.status import StatusFile
from agent.steps.registry import versions
from agent.steps.rendering import Renderer
from agent.streams.desk import Desk
from agent.watch.watch import Watch

GRACE = 60.0
"""Seconds that a step in progress is given at shutdown; what is cut off then is in the journal as started."""
LINK_GRACE = 3.0
"""Seconds for the link to say goodbye; one that is still dialling is left behind."""
FEATURES = ("hold", "permit", FEATURE, INVENTORY)
"""What this agent does beyond its steps, as it tells servers."""
REST = 20.0
"""Seconds without work after which memory is given back."""
INVENTORY_PATIENCE = 10.0
"""Seconds for the server to say what it lacks of the inventory, where there is news of that."""
QUIET = 2.0
"""Seconds after the welcome in which a server that has a newer set will have sent it."""


class Agent:
    """All parts of one agent on one state directory."""

    def __init__(
        self,
        state: str,
        root: str = "/",
        runs_scripts: bool = False,
        watching: bool = True,
        door: Optional[Door] = None,
    ) -> None:
        """`door` stands in for the identity's servers.

        Raises `identity.NotEnrolled`, `identity.StateDamaged`, `lock.StateInUse`.
        """
        self._boot_id = identity.boot_id()
        self.node = open_node(state, SystemClock(), self._boot_id)
        self.journal = self.node.journal
        self._key_generation = identity.load_keys(state).generation
        status, ca_pem = StatusFile(state, "link.json"), identity.load_ca(state)
        self.link = Link(self.node, ca_pem, self._hello, self._assigned, status, door=door)
        allowed = watching and (runs_scripts or root == "/")
        self.desk = Desk(self.node.identity, self.node.clock, self.link.wake) if allowed else None
        self.link.desk = self.desk
        self.host = local_host(state, root, runs_scripts=runs_scripts)
        self._renderer = Renderer()
        visited = door is not None
        itself = ThisAgent(self.node, state, visited=visited)
        bench = local_bench(state, self.host, self._boot_id)._replace(turn=threading.Lock(), itself=itself)
        self.node.inventory.changed = self.link.wake
        if watching:
            bench = bench._replace(render=self._renderer.render)
        self._facts = bench.facts
        telling = Telling(self.node, StatusFile(state, "results.json"), self.link.wake)
        self.watch = Watch(StatusFile(state, "watch.json"), root)
        self.refreshes = refreshes = Refreshes(self.node.assignments, self.journal.instant, self.watch.wake)
        watch = self.watch if watching else None
        self.rounds = Rounds(self.node, bench, telling, self.link.lacking, watch, refreshes)
        self.jobs = JobRunner(
            self.node,
            bench._replace(itself=ThisAgent(self.node, state, visited=visited, refresh=refreshes.ask)),
            root,
            os.path.join(state, "scripts"),
            runs_scripts=runs_scripts,
            wake=self.link.wake,
            reboot=self.rounds.reboot,
        )
        self._busy = True
        self.stopping = threading.Event()
        self.failed = False
        self.on_stop: Callable[[], None] = _nothing

    def close(self) -> None:
        self.link.close()
        if self.desk is not None:
            self.desk.close()
        self.watch.close()
        self._renderer.close()
        self.journal.close()

    def stop(self) -> None:
        """End both threads, between two associations."""
        self.stopping.set()
        self.on_stop()
        self.watch.wake()
        self.jobs.stop()
        if self.desk is not None:
            self.desk.stop()
        self.link.stop()
        with self.link.moved:
            self.link.moved.notify_all()

    def run_rounds(self) -> None:
        """Look at what is due or was touched, again and again, until `stop`."""
        while not self.stopping.is_set():
            if self.rounds.run_due(self.stopping.is_set):
                self._busy = True
                self.link.pulse(self.rounds.checked_at())
            seconds = self.rounds.wait()
            if not self._busy or seconds < REST:
                self.watch.wait(seconds)
            elif not self.watch.wait(REST):
                self._rest()

    def _rest(self) -> None:
        """Nothing was to do for a while: keep only what waiting takes."""
        self._busy = False
        self._renderer.close()
        give_back()

    def thread(self, name: str, target: Any) -> threading.Thread:
        """A thread whose failure ends the agent, so that the init system starts it again."""

        def guarded() -> None:
            try:
                target()
            except Exception as error:
                log.log(log.ERROR, "the agent ends: %s failed: %r", name, error)
                self.failed = True
                self.stop()

        started = threading.Thread(target=guarded, name=name, daemon=True)
        started.start()
        return started

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Until something about the link holds, or the agent stops, or time is up; whether it holds."""
        with self.link.moved:
            self.link.moved.wait_for(lambda: condition() or self.stopping.is_set() or self.link.over, seconds)
        return condition()

    def _assigned(self) -> None:
        self.watch.wake()

    def _hello(self) -> Hello:
        self._busy = True
        context_digest, digests = self.node.assignments.held_digests()
        position = self.node.assignments.position()
        return Hello(
            node_id=self.node.identity.node_id,
            protocol_min=PROTOCOL,
            protocol_max=PROTOCOL,
            agent_version=agent.__version__,
            platform=self.host.platform,
            boot_id=self._boot_id,
            key_generation=self._key_generation,
            steps=versions(),
            features=[*FEATURES, *([SESSION] if self.desk is not None else [])],
            incarnation=position.incarnation,
            serial=position.serial,
            context_digest=context_digest,
            digests=digests,
            facts=_sayable(self._facts()),
            last_seq=self.journal.last_seq(),
            at=instant(self.node.clock.now()),
            monotonic=int(self.node.clock.elapsed() * 1000),
        )


def serve(state: str, root: str = "/", runs_scripts: bool = False) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    use_one_heap()
    worker = Agent(state, root, runs_scripts)
    log.log(log.NOTICE, "agent %s serves %s", agent.__version__, worker.node.identity.node_id)
    work = {"link": worker.link.run, "rounds": worker.run_rounds, "jobs": worker.jobs.run}
    return _run(worker, {**work, **({"sessions": worker.desk.run} if worker.desk is not None else {})})


def once(
    state: str, root: str = "/", runs_scripts: bool = False, patience: float = 30.0, door: Optional[Door] = None
) -> int:
    """Connect, take what is assigned, converge, report; the exit code: 0 where all is well and reported.

    `patience` is in seconds, for the connection, the fetching and the acknowledgements each. `door` stands in for the
    identity's servers.
    """
    worker = Agent(state, root, runs_scripts, watching=False, door=door)
    codes: List[int] = []

    def work() -> None:
        codes.append(_once(worker, patience))
        worker.stop()

    return _run(worker, {"link": worker.link.run, "once": work, "jobs": worker.jobs.run}) or (codes[0] if codes else 1)


def _run(worker: Agent, work: Dict[str, Callable[[], None]]) -> int:
    """Both threads, until a signal or until one of them ends the agent."""
    with _Bell() as bell:
        worker.on_stop = bell.ring
        threads = [worker.thread(name, target) for name, target in work.items()]
        bell.wait()
        worker.on_stop = _nothing
        worker.stop()
        link = _ended(threads[0], LINK_GRACE)
        worked = _ended(threads[1], GRACE, lambda: worker.host.waiting) and _ended(threads[2], GRACE)
        worked = worker.jobs.settled(GRACE) and all(_ended(thread, LINK_GRACE) for thread in threads[3:]) and worked
        if not worked:
            log.log(log.WARNING, "a step is still in progress; the next agent takes it up")
        if link and worked:
            worker.close()
    return 1 if worker.failed else 0


def _once(worker: Agent, patience: float) -> int:
    link = worker.link
    if not worker.wait_for(lambda: link.session is not None or link.done(), patience):
        log.log(log.ERROR, "no server of this fleet could be reached; `status` says why")
        return 1
    worker.wait_for(lambda: not link.talking(lambda session: not session.set_came), QUIET)
    worker.wait_for(lambda: not link.talking(lambda session: not session.settled), patience)
    worker.rounds.run_due(worker.stopping.is_set)
    if worker.node.leave.permits.unanswered():
        worker.wait_for(lambda: not worker.node.leave.permits.unanswered(), patience)
        worker.rounds.run_due(worker.stopping.is_set)
    worker.wait_for(worker.jobs.idle, worker.jobs.longest())
    if worker.refreshes.pending():
        worker.rounds.run_due(worker.stopping.is_set)
    worker.wait_for(lambda: not link.talking(lambda session: session.tells_inventory), INVENTORY_PATIENCE)
    worker.wait_for(lambda: not link.talking(lambda _: bool(worker.node.jobs.open())), patience)
    link.pulse(worker.rounds.checked_at())
    reported = worker.wait_for(lambda: not worker.journal.pending_count(), patience)
    if not reported:
        log.log(log.ERROR, "reports not acknowledged yet: %d", worker.journal.pending_count())
    well = all(status in ("Success", "Skipped") for status in worker.rounds.statuses.values())
    return 0 if well and reported else 1


def _ended(thread: threading.Thread, seconds: float, may_be_left: Callable[[], bool] = lambda: False) -> bool:
    """Whether a thread has ended, after some time at most; one that may be left is not waited for."""
    deadline = time.monotonic() + seconds
    while thread.is_alive() and not may_be_left() and time.monotonic() < deadline:
        thread.join(0.1)
    return not thread.is_alive()


def _nothing() -> None:
    """Nobody waits to be told."""


class _Bell:
    """Rung by SIGTERM, SIGINT, or any thread. A signal handler that took a lock could wait for its own thread."""

    def __enter__(self) -> "_Bell":
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._former = {number: signal.signal(number, _noted) for number in (signal.SIGTERM, signal.SIGINT)}
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._former.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def ring(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._write, b"!")

    def wait(self) -> None:
        os.read(self._read, 1)


def _noted(number: int, frame: Optional[FrameType]) -> None:
    """The signal is on the wakeup descriptor already."""
    del number, frame


def _sayable(found: Mapping[str, Any]) -> Dict[str, Any]:
    """Facts that have a canonical form; the others are not worth a connection."""
    kept = {}
    for name, value in found.items():
        with contextlib.suppress(NotCanonical):
            canonical(value)
            kept[name] = value
    return kept
