"""Jobs over one connection: taken and ended, their bodies fetched, what they say sent."""

from __future__ import annotations

from typing import Callable, List, Tuple, Union

from agent.contract import frames, sshsig
from agent.contract.codec import Wire
from agent.contract.job import Accepted, Compile, Revoked, Stored
from agent.contract.wire import Signed, Unsupported
from agent.link.outputs import Outputs
from agent.link.transfer import Transfers
from agent.log import ERROR, WARNING, log
from agent.state.jobs import JobRefused, NotSupported
from agent.state.node import Node
from agent.state.questions import AnswerRefused

FRAMES = ("job", "revocation", "compiled")
ASK_AGAIN = 60.0
"""Seconds after which a question that nobody answered is asked again."""
FETCH_AGAIN = 30.0
"""Seconds after which bytes that the server did not have are asked for again."""


class RefusedJob(Exception):
    """A frame that is not obeyed: it is not the controller's, or makes no sense."""


class JobTalk:
    """`say` takes a control frame or a binary one."""

    def __init__(self, node: Node, transfers: Transfers, say: Callable[[Union[str, bytes]], None]) -> None:
        self._node, self._transfers, self._say = node, transfers, say
        self._outputs = Outputs(node.jobs, say, lambda seq: node.journal.payload(seq) is not None)
        self._fetching = False
        self._again_at = 0.0
        self._asked: List[Tuple[Compile, float]] = []

    def take(self, name: str, signed: Signed) -> None:
        """A job, or the end of one: on disk before the server is told that it was taken; or an answer to a question.

        Raises RefusedJob.
        """
        if name == "compiled":
            self._answered(signed)
            return
        jobs = self._node.jobs
        try:
            job_id, is_open = jobs.take(signed) if name == "job" else jobs.revoke(signed)
        except NotSupported as error:
            log(WARNING, "a %s is not supported: %s", name, error)
            self._tell(Unsupported(name))
        except OSError as error:  # it is sent again on the next connection
            log(ERROR, "a %s cannot be kept: %s", name, error)
        except (JobRefused, sshsig.BadSignature) as error:
            raise RefusedJob("a %s is refused: %s" % (name, error)) from error
        else:
            self._node.contact.heard()
            if not is_open:
                self._tell(Revoked(job_id))
            elif name == "job":
                self._tell(Accepted(job_id))

    def fetch(self) -> None:
        """Fetch what open jobs lack. Call while nothing else is on its way."""
        now = self._node.clock.elapsed()
        if now < self._again_at:
            return
        if self._fetching:
            self._fetching = False
            self._node.jobs.changed()
            if self._transfers.missing:
                self._transfers.missing.clear()
                self._again_at = now + FETCH_AGAIN
                return
        lacking = self._node.assignments.lacking_of(self._node.jobs.bodies())
        if lacking:
            self._fetching = True
            self._transfers.want(lacking)

    def send(self) -> None:
        """Send what jobs ask, and what they say, as far as the server takes it."""
        now = self._node.clock.elapsed()
        self._ask(now)
        self._outputs.send(now)

    def stored(self, message: Stored) -> None:
        """The server has so much of an output."""
        self._outputs.stored(message)

    def patience(self) -> float:
        """Seconds until there may be more to send though nobody said so: what jobs say grows by itself."""
        return min(self._outputs.patience(), ASK_AGAIN if self._asked else float("inf"))

    def _ask(self, now: float) -> None:
        waiting = self._node.questions.waiting()
        asked = [(question, at) for question, at in self._asked if question in waiting and now - at < ASK_AGAIN]
        for question in waiting:
            if not any(question == other for other, _ in asked):
                self._tell(question)
                asked.append((question, now))
        self._asked = asked

    def _answered(self, signed: Signed) -> None:
        try:
            self._node.questions.answer(signed)
        except OSError as error:  # it is asked for again on the next connection
            log(ERROR, "an answer cannot be kept: %s", error)
        except (AnswerRefused, sshsig.BadSignature) as error:
            raise RefusedJob("an answer is refused: %s" % error) from error
        else:
            self._node.contact.heard()

    def _tell(self, message: Wire) -> None:
        self._say(frames.control(message))
