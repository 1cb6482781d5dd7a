"""A body run once on this machine, without a server or an identity: `opsctl document run --local`.

    python3 -m agent.local_run STATE

STATE is a directory for what must not be forgotten meanwhile. Standard input and output are JSON, one object a line.
The first that comes in is `body`, as the wire has it, and `files`, base64 by digest. Out come `{"step", "stream",
"data"}` with base64 as it is said, and at last `{"report"}`, a job's report; in between `{"compile"}`, to which a line
with `steps` and `problem` is the answer, both as the wire has them. SIGTERM and SIGINT end it as a job is cancelled.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
import threading
from typing import Any, Dict, List, Tuple

from agent import log
from agent.clock import SystemClock
from agent.contract.canonical import digest_of, instant
from agent.contract.codec import Malformed, from_wire, to_wire
from agent.contract.job import OUTPUT_KEPT, STREAMS, Compile
from agent.contract.wire import Body, BodyStep, NodeContext
from agent.durable import make_directory
from agent.host import facts
from agent.host.executions import cancel_all
from agent.host.local import LocalHost
from agent.rounds import job_run, orchestration
from agent.rounds.documents import on_node
from agent.rounds.exclusion import AnyTurn
from agent.rounds.job_report import overall, report_of
from agent.rounds.look import Look
from agent.rounds.reports import Subject
from agent.state.identity import boot_id
from agent.state.journal import Journal
from agent.steps.step import REBOOTING, StepFailed

LOOK_SECONDS = 0.1
UID = "Job/local"
NO_REBOOT = "it asks for a reboot (exit 194), which is yours to make here"


class _Saying:
    """What was said so far of each step's outputs, and what is new."""

    def __init__(self, runs: str, steps: List[BodyStep]) -> None:
        self._runs, self._steps = runs, steps
        self._told: Dict[Tuple[str, str], int] = {}

    def tell(self) -> None:
        """Print what came since the last time."""
        for step in list(self._steps):
            for stream in STREAMS:
                at = self._told.get((step.name, stream), 0)
                whole = b"".join(map(_read, job_run.outputs(self._runs, UID, step, stream)))
                if len(whole) > at:
                    data = base64.b64encode(whole[at:]).decode()
                    _say({"step": step.name, "stream": stream, "data": data})
                    self._told[step.name, stream] = len(whole)


def main(arguments: List[str]) -> int:
    """Run what standard input says; the exit status is 0 where it was run, whatever came of it."""
    (state,) = arguments
    try:
        asked = json.loads(sys.stdin.buffer.readline())
        body = from_wire(Body, asked["body"], "body")
    except (ValueError, KeyError, TypeError, Malformed) as error:
        log.log(log.ERROR, "standard input is not what is run: %s", error)
        return 2
    files = {name: base64.b64decode(data) for name, data in asked.get("files", {}).items()}
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    make_directory(state)
    make_directory(os.path.join(state, "scripts"))
    journal = Journal(state)
    try:
        _run(state, body, files, journal, ended)
    finally:
        journal.close()
    return 0


def _run(state: str, body: Body, files: Dict[str, bytes], journal: Journal, ended: threading.Event) -> None:
    runs, clock = os.path.join(state, "runs"), SystemClock()
    host = LocalHost("/", os.path.join(state, "scripts"), executions=runs, whole=OUTPUT_KEPT)
    name = os.uname().nodename
    bed = job_run.Bed(
        host=host,
        journal=journal,
        boot_id=boot_id(),
        context=NodeContext(name),
        facts=facts.collect(host),
        held=[],
        blob=files.__getitem__,
        debts=os.path.join(state, "debts.json"),
        turn=AnyTurn(),
        downloads=orchestration.of_job(os.path.abspath(state)),
    )
    steps = job_run.said_by(body.steps)

    def ask(question: Compile) -> Tuple[List[BodyStep], str]:
        found, problem = _answered(question)
        steps.extend(job_run.said_by(found))
        return found, problem

    bed = bed._replace(document=on_node(host, "local", ask))
    environment = {"AWS_SSM_INSTANCE_ID": name, "AWS_SSM_PLATFORM_TYPE": host.platform}
    began = instant(clock.now())
    looks: List[Look] = []

    def stopped() -> str:
        return "it was cancelled" if ended.is_set() else ""

    def work() -> None:
        looks.extend(job_run.run(UID, body, bed, environment, stopped))

    thread = threading.Thread(target=work, name="run")
    thread.start()
    saying = _Saying(runs, steps)
    while thread.is_alive():
        thread.join(LOOK_SECONDS)
        saying.tell()
        if ended.is_set():
            cancel_all(runs)
    saying.tell()
    _say({"report": _report(body, looks, ended.is_set(), (began, instant(clock.now())), runs)})


def _report(body: Body, looks: List[Look], ended: bool, times: Tuple[str, str], runs: str) -> Any:
    for look in looks:
        if look.problem is not None and look.problem.status == REBOOTING:
            look.problem.status, look.problem.reason = "Failed", NO_REBOOT
    cut_off = ended and any(look.skipped or _was_cancelled(look) for look in looks)
    status = overall(looks, "Cancelled" if cut_off else "")
    failing = next((look.problem.reason for look in looks if look.problem is not None and look.fails_run), "")
    subject = Subject("", "", boot_id(), 0, UID, job_run.GENERATION, digest_of(to_wire(body)), "")
    steps = {look.step.name: look.step for look in looks}

    def paths(step: str, stream: str) -> List[str]:
        return job_run.outputs(runs, UID, steps[step], stream)

    return to_wire(report_of(subject, "local", looks, status, failing, times, paths))


def _was_cancelled(look: Look) -> bool:
    return look.problem is not None and look.problem.status == "Cancelled"


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _answered(question: Compile) -> Tuple[List[BodyStep], str]:
    """What whoever reads standard output says of a document."""
    _say({"compile": to_wire(question)})
    try:
        answer = json.loads(sys.stdin.buffer.readline())
        return [from_wire(BodyStep, step, "steps") for step in answer["steps"]], answer["problem"]
    except (ValueError, KeyError, TypeError, Malformed) as error:
        raise StepFailed("nobody said what %s means: %s" % (question.path, error)) from error


_saying = threading.Lock()


def _say(value: Any) -> None:
    with _saying:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
