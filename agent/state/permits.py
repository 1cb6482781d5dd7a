"""Permits for runs that the server counts: asked for, waited for, begun, and returned by the report.

held/permits.json  the runs begun and not yet reported, and those that are not to be made. What is asked for and not
begun is in memory only: whoever starts again asks again, and is given the same permit.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import field
from typing import Dict, Iterable, List, Optional

from agent import durable
from agent.contract.codec import Malformed, Wire, from_wire, to_wire
from agent.contract.leave import Ask, Permit, Postponed
from agent.contract.record import NamedTuple, dataclass
from agent.log import ERROR, NOTICE, log


class Answer(NamedTuple):
    """What is known of a run: whether it may be begun; why not, where the server said so; whether it never may be."""

    granted: bool = False
    reason: str = ""
    over: bool = False


@dataclass(frozen=True)
class Run(Wire):
    """A run of an association; `reason` says why it is not made."""

    generation: int
    run_instant: str = ""
    reason: str = ""


@dataclass(frozen=True)
class PermitsFile(Wire):
    """The file's form, by uid."""

    begun: Dict[str, Run] = field(default_factory=dict)
    over: Dict[str, Run] = field(default_factory=dict)


class _Granted(NamedTuple):
    run: Run
    until: float


class Permits:
    """The permits of one state directory. Times are seconds since boot. May be called from any thread."""

    def __init__(self, state: str) -> None:
        self._path = os.path.join(state, "held", "permits.json")
        durable.make_directory(os.path.dirname(self._path))
        self._mutex = threading.Lock()
        self._wanted: Dict[str, Ask] = {}
        self._postponed: Dict[str, Postponed] = {}
        self._granted: Dict[str, _Granted] = {}
        self._file = self._read()

    # The runner

    def answer(self, uid: str, generation: int, run_instant: str, now: float) -> Answer:
        """What is known of a run."""
        run = Run(generation, run_instant)
        with self._mutex:
            granted = self._granted.get(uid)
            if self._file.begun.get(uid) == run or (granted and granted.run == run and now < granted.until):
                return Answer(granted=True)
            said = self._postponed.get(uid)
        if said is None or Run(said.generation, said.run_instant) != run:
            return Answer()
        return Answer(reason=said.reason, over=said.over)

    def want(self, uid: str, generation: int, run_instant: str) -> bool:
        """Have a permit asked for, until there is an answer; whether it was not asked for before."""
        ask = Ask(uid, generation, run_instant)
        with self._mutex:
            if self._wanted.get(uid) == ask:
                return False
            self._wanted[uid] = ask
        return True

    def begin(self, uid: str, generation: int, run_instant: str) -> None:
        """The run begins under its permit: durable on return, so that its report returns it whatever happens.

        Raises OSError, as `give_up` does.
        """
        with self._mutex:
            begun = {**self._file.begun, uid: Run(generation, run_instant)}
            over = {name: run for name, run in self._file.over.items() if name != uid}
            self._keep(PermitsFile(begun, over))
            self._forget(uid)

    def begun(self, uid: str, generation: int) -> Optional[str]:
        """The run instant of the permit that the association's next report returns."""
        run = self._file.begun.get(uid)
        return run.run_instant if run is not None and run.generation == generation else None

    def returned(self, uid: str) -> None:
        """The report is kept."""
        with self._mutex:
            begun = {name: run for name, run in self._file.begun.items() if name != uid}
            self._let_go(PermitsFile(begun, self._file.over))

    def give_up(self, uid: str, generation: int, run_instant: str, reason: str) -> None:
        """The run is not made. Durable on return: people are told so until a later one is."""
        with self._mutex:
            over = {**self._file.over, uid: Run(generation, run_instant, reason)}
            self._keep(PermitsFile(self._file.begun, over))
            self._forget(uid)

    def given_up(self, uid: str, generation: int) -> Optional[Run]:
        """The run that was due last and was not made."""
        run = self._file.over.get(uid)
        return run if run is not None and run.generation == generation else None

    def forget_all_but(self, uids: Iterable[str]) -> None:
        """Ask no more for associations that are not held."""
        held = set(uids)
        with self._mutex:
            for uid in [uid for uid in self._wanted if uid not in held]:
                self._forget(uid)
            begun = {uid: run for uid, run in self._file.begun.items() if uid in held}
            over = {uid: run for uid, run in self._file.over.items() if uid in held}
            self._let_go(PermitsFile(begun, over))

    def unanswered(self) -> bool:
        """Whether something was asked for and not answered."""
        with self._mutex:
            return any(uid not in self._granted and uid not in self._postponed for uid in self._wanted)

    # The link

    def wanted(self) -> List[Ask]:
        """What is to be asked for."""
        with self._mutex:
            return list(self._wanted.values())

    def granted(self, permit: Permit, now: float) -> None:
        """A permit came. One that was not asked for, or no longer is, is worth nothing."""
        with self._mutex:
            if self._wanted.get(permit.uid) == Ask(permit.uid, permit.generation, permit.run_instant):
                until = now + permit.envelope.expires_in
                self._granted[permit.uid] = _Granted(Run(permit.generation, permit.run_instant), until)
                self._postponed.pop(permit.uid, None)

    def postponed(self, answer: Postponed) -> None:
        """A permit is to be waited for, or not to be had."""
        with self._mutex:
            if self._wanted.get(answer.uid) == Ask(answer.uid, answer.generation, answer.run_instant):
                self._postponed[answer.uid] = answer
        log(NOTICE, "%s %s: %s", answer.uid, "is not run" if answer.over else "waits", answer.reason)

    def _forget(self, uid: str) -> None:
        for known in (self._wanted, self._postponed, self._granted):
            known.pop(uid, None)

    def _keep(self, file: PermitsFile) -> None:
        if file != self._file:
            durable.replace(self._path, json.dumps(to_wire(file), sort_keys=True).encode())
            self._file = file

    def _let_go(self, file: PermitsFile) -> None:
        """As `_keep`, of what does no harm where a full disk brings it back: a permit is then returned twice."""
        try:
            self._keep(file)
        except OSError as error:
            log(ERROR, "the permits cannot be written down: %s", error)
            self._file = file

    def _read(self) -> PermitsFile:
        try:
            data = durable.read(self._path)
            return PermitsFile() if data is None else from_wire(PermitsFile, json.loads(data), self._path)
        except (ValueError, Malformed) as error:
            log(ERROR, "the permits on disk cannot be used, the server waits until they have run out: %s", error)
            return PermitsFile()
