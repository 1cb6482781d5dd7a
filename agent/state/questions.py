"""What jobs ask the server while they run, and what it answered: which steps a document has that is on this node alone.

jobs/ID/documents/DIGEST   the answer to the question of that digest, signed; asked again, it is not asked for again
"""

from __future__ import annotations

import json
import os
import threading
from typing import Callable, Collection, Dict, List, Optional

from agent import durable
from agent.contract import sshsig
from agent.contract.canonical import digest_of
from agent.contract.codec import Malformed, from_wire, not_fields, to_wire
from agent.contract.job import Compile, Compiled
from agent.contract.wire import BodyStep, Signed
from agent.crypto import opened
from agent.log import WARNING, log
from agent.state.identity import Identity

LOOK_SECONDS = 0.5
"""How often is looked whether one who asks is to wait no longer."""


class AnswerRefused(Exception):
    """An answer that is not taken: it is for somebody else, or makes no sense."""


class NoAnswer(Exception):
    """Whoever asked has to wait no longer; the text says why."""


class Questions:
    """Those of one node. May be called from any thread; `asked` is called when there is a new one."""

    def __init__(self, identity: Identity, place: Callable[[str], str]) -> None:
        self._identity, self._place = identity, place
        self._open: Dict[str, Compile] = {}
        self._answers: Dict[str, Compiled] = {}
        self._steps: Dict[str, List[BodyStep]] = {}
        self._news = threading.Condition()
        self.asked: Callable[[], None] = _nobody

    def ask(self, question: Compile, stopped: Callable[[], str]) -> Compiled:
        """The answer, waited for. Raises NoAnswer once `stopped` says why, OSError where it cannot be kept."""
        name = digest_of(to_wire(question))
        kept = self._kept(question.job_id, name)
        if kept is not None:
            return kept
        with self._news:
            self._open[name] = question
        self.asked()
        try:
            with self._news:
                while name not in self._answers:
                    reason = stopped()
                    if reason:
                        raise NoAnswer(reason)
                    self._news.wait(LOOK_SECONDS)
                return self._answers.pop(name)
        finally:
            with self._news:
                self._open.pop(name, None)

    def steps(self, job_id: str) -> List[BodyStep]:
        """All that a job was answered so far."""
        with self._news:
            known = self._steps.get(job_id)
        if known is None:
            known = [step for answer in self._all_kept(job_id) for step in answer.steps]
            with self._news:
                self._steps[job_id] = known
        return known

    def forget_all_but(self, jobs: Collection[str]) -> None:
        """Nobody asks about other jobs any more."""
        with self._news:
            self._steps = {job_id: steps for job_id, steps in self._steps.items() if job_id in jobs}

    def waiting(self) -> List[Compile]:
        """What was asked and not answered yet."""
        with self._news:
            return list(self._open.values())

    def answer(self, signed: Signed) -> None:
        """Take an answer, durably. One that nobody waits for is dropped.

        Raises AnswerRefused, OSError, BadSignature.
        """
        answer = self._read(signed)
        with self._news:
            question = self._open.get(answer.question)
        if question is None:
            return
        if question.job_id != answer.envelope.job_id:
            raise AnswerRefused("it is of another job")
        directory = self._directory(question.job_id)
        durable.make_directory(directory)
        durable.replace(os.path.join(directory, answer.question[7:]), json.dumps(to_wire(signed)).encode())
        with self._news:
            self._answers[answer.question] = answer
            self._steps.pop(question.job_id, None)
            self._news.notify_all()

    def _kept(self, job_id: str, name: str) -> Optional[Compiled]:
        data = durable.read(os.path.join(self._directory(job_id), name[7:]))
        if data is None:
            return None
        try:
            answer = self._read(from_wire(Signed, json.loads(data), "answer"))
        except (ValueError, Malformed, AnswerRefused, sshsig.BadSignature) as error:
            log(WARNING, "what job %s was answered cannot be used, and is asked for again: %s", job_id, error)
            return None
        return answer if answer.question == name and answer.envelope.job_id == job_id else None

    def _all_kept(self, job_id: str) -> List[Compiled]:
        try:
            names = sorted(os.listdir(self._directory(job_id)))
        except FileNotFoundError:
            return []
        kept = [self._kept(job_id, "sha256:" + name) for name in names]
        return [answer for answer in kept if answer is not None]

    def _read(self, signed: Signed) -> Compiled:
        identity = self._identity
        payload = opened(signed, identity.controller(), sshsig.JOB)
        try:
            answer = from_wire(Compiled, json.loads(payload), "compiled")
        except (ValueError, RecursionError, Malformed) as error:
            raise AnswerRefused("it is malformed: %s" % error) from error
        if (answer.envelope.fleet_id, answer.envelope.node_id) != (identity.fleet_id, identity.node_id):
            raise AnswerRefused("it is for node %s of fleet %s" % (answer.envelope.node_id, answer.envelope.fleet_id))
        if not_fields(BodyStep, answer.envelope.must_understand):
            raise AnswerRefused("this agent does not understand all of it")
        return answer

    def _directory(self, job_id: str) -> str:
        return os.path.join(self._place(job_id), "documents")


def _nobody() -> None:
    """Nobody waits to be told."""
