"""Runs of a body's scripts: which attempt each is at, how it ended, and what came of those that another agent began.

A run is journalled before it starts and when it has ended. Exit 194 ends an attempt by a reboot: it is in the journal
first, and what runs after the reboot is the next attempt of the same run.
"""

from __future__ import annotations

from typing import Iterator, List, Optional, Protocol, Tuple

from agent.contract.canonical import instant
from agent.contract.record import NamedTuple
from agent.contract.wire import Body, BodyStep
from agent.host.port import Host, Ran
from agent.rounds.look import is_run
from agent.state.journal import RunKey
from agent.steps.execution import REBOOT
from agent.steps.step import Interrupted, RebootWanted, Recalled, StepFailed

ATTEMPTS = 15
"""Starts of one run, one reboot between each two: the default of SSM's CommandRetryLimit."""


class Journal(Protocol):
    """What of the journal a run needs; each call that writes is durable on return."""

    def started(self, key: RunKey, boot_id: str) -> None: ...
    def finished(self, key: RunKey, rc: int, status: str) -> None: ...
    def rebooting(self, key: RunKey, boot_id: str) -> None: ...
    def state(self, key: RunKey) -> Recalled: ...
    def unfinished(self, uid: str, step: str) -> List[Tuple[RunKey, str]]: ...


class TakenUp(NamedTuple):
    """A run that another agent began, and how it ended."""

    key: RunKey
    ran: Ran


class Runs:
    """The runs of one body at one run instant."""

    def __init__(
        self, host: Host, journal: Journal, body: Body, generation: int, run_instant: str, boot_id: str
    ) -> None:
        self._host, self._journal, self._body = host, journal, body
        self._generation, self._run_instant, self._boot_id = generation, run_instant, boot_id

    def key(self, step: BodyStep) -> RunKey:
        """A script's run is at the association's run instant; a correction is a run of its own, at this instant."""
        if not is_run(step):
            return RunKey(self._body.uid, self._generation, instant(self._host.now()), step.name, 1)
        key = RunKey(self._body.uid, self._generation, self._run_instant, step.name, 1)
        while self._came_back(key):
            key = key._replace(attempt=key.attempt + 1)
        return key

    def recalled(self, step: BodyStep) -> Recalled:
        """What the journal says of the run that a script is at."""
        return self._journal.state(self.key(step))

    def begin(self, key: RunKey) -> None:
        self._journal.started(key, self._boot_id)

    def end(self, key: RunKey, rc: int, failure: Optional[StepFailed]) -> Optional[StepFailed]:
        """Journal how a run ended; the failure as it is to be told."""
        if isinstance(failure, RebootWanted):
            refused = self._no_reboot(key)
            if not refused:
                self._journal.rebooting(key, self._boot_id)
                return failure
            failure = StepFailed(refused, rc=rc, output=failure.output)
        status = "Interrupted" if isinstance(failure, Interrupted) else failure.status if failure else "Success"
        self._journal.finished(key, rc, status)
        return failure

    def under_way(self, step: BodyStep) -> bool:
        """Whether a run of the step was begun whose end is not journalled yet."""
        return bool(self._journal.unfinished(self._body.uid, step.name))

    def taken_up(self, step: BodyStep) -> Iterator[TakenUp]:
        """Runs of the step that were begun and whose end is not journalled yet, waited for. To be ended with `end`.

        Of what nobody will ever know the end, the run that the script is at stays as it is; others are closed.
        """
        for key, boot_id in self._journal.unfinished(self._body.uid, step.name):
            ran = self._host.ended_script(key.execution)
            if ran is not None and ran.rc == REBOOT and boot_id != self._boot_id and is_run(step):
                self._journal.rebooting(key, boot_id)  # the reboot that it asked for has come
            elif ran is not None:
                yield TakenUp(key, ran)
            elif not is_run(step) or key != self.key(step):
                self._journal.finished(key, -1, "Interrupted")

    def _came_back(self, key: RunKey) -> bool:
        state = self._journal.state(key)
        return state is not None and state[0] == "rebooting" and state[1] != self._boot_id

    def _no_reboot(self, key: RunKey) -> str:
        """Why exit 194 is a failure here; empty where it is not."""
        if self._host.sandbox:
            return "exit 194 asks for a reboot, which a sandbox does not do"
        if not self._host.privileged:
            return "NotPermitted: needs root: exit 194 asks for a reboot"
        if key.attempt >= ATTEMPTS:
            return "exit 194 again after %d attempts: no further reboot" % ATTEMPTS
        return ""
