"""From what the steps of a job came to, to its report: SSM's statuses, and the beginnings of what was said.

SSM shows 24,000 characters of all that was written to stdout, 8,000 of stderr, and 2,500 of each step; the whole goes
to the output store beside the report.
"""

from __future__ import annotations

import os
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import agent
from agent.contract.canonical import canonical
from agent.contract.codec import to_wire
from agent.contract.inputs import ACTIONS
from agent.contract.job import STREAMS
from agent.contract.wire import PROTOCOL, REPORT_LIMIT, ClaimReport, Report, StepReport
from agent.rounds import look as looking
from agent.rounds.look import Look, is_run
from agent.rounds.outcome import PRECEDENCE, fitted
from agent.rounds.reports import Subject
from agent.steps.registry import SCRIPTS
from agent.steps.step import Change

JOB = "Job"
"""The cause of a job's report."""
OUTPUT, ERROR, STEP_OUTPUT = 24000, 8000, 2500
"""Characters."""
PAYLOAD = 100 * 1024
"""Bytes of what a step returns."""
TRUNCATED = "--output truncated--"
_ERROR_TITLE = "\n----------ERROR-------\n"
_ROOM = REPORT_LIMIT // 4

Paths = Callable[[str, str], List[str]]
"""(step, stream) -> the files that hold what the step's attempts said, in order."""


def status_of(look: Look) -> str:
    """What SSM calls the end of one step."""
    if look.skipped:
        return "Skipped"
    return "Success" if look.problem is None else look.problem.status


def overall(looks: Sequence[Look], stopped: str) -> str:
    """What the job came to. `stopped` is the status that it was ended with, empty where it came to its end."""
    ends = {status_of(look) for look in looks if look.fails_run}
    if stopped:
        ends.add(stopped)
    return next((status for status in PRECEDENCE if status in ends), "Success")


def report_of(
    subject: Subject, job_id: str, looks: Sequence[Look], status: str, reason: str, times: Tuple[str, str], paths: Paths
) -> Report:
    """The report of a job; its number is the journal's to give. `times` are the instants of its begin and end."""
    claims = [report for look in looks if not is_run(look.step) for report in looking.reports(look)]
    kept, _, truncated = fitted(claims, "", _ROOM)
    scripts = [look.step.name for look in looks if is_run(look.step)]
    made = Report(
        protocol=PROTOCOL,
        seq=0,
        agent_version=agent.__version__,
        status=status,
        claims=[_clean_claim(claim) for claim in kept],
        cause=JOB,
        started_at=times[0],
        finished_at=times[1],
        reason=_clean(reason)[:1000] or None,
        truncated=truncated,
        job_id=job_id,
        output=cut("".join(_in_order(looks, paths)), OUTPUT) or None,
        error=cut("".join(_said(scripts, "stderr", paths)), ERROR) or None,
        steps=[_step(look, paths) for look in looks],
        **subject._asdict(),
    )
    if len(canonical(to_wire(made))) <= REPORT_LIMIT - 32:
        return made
    import dataclasses

    steps = [dataclasses.replace(step, output=None) for step in made.steps]
    return dataclasses.replace(made, claims=[], steps=steps, truncated=truncated + len(kept) + len(steps))


def cut(text: str, limit: int) -> str:
    """The beginning of a text, marked as such where it is not all."""
    return text if len(text) <= limit else text[: limit - len(TRUNCATED)] + TRUNCATED


def transcript(stdout: str, stderr: str, limit: int = STEP_OUTPUT) -> str:
    """Both outputs as one text, as SSM shows a step's; where they are too long each gives way to the other's half."""
    if not stderr:
        return cut(stdout, limit)
    room = limit - len(_ERROR_TITLE)
    of_errors = min(len(stderr), max(room // 2, room - len(stdout)))
    return cut(stdout, room - of_errors) + _ERROR_TITLE + cut(stderr, of_errors)


def _step(look: Look, paths: Paths) -> StepReport:
    name = look.step.name
    sizes: Dict[str, int] = {}
    said = ""
    if is_run(look.step):
        whole = {stream: sum(map(_size, paths(name, stream))) for stream in STREAMS}
        sizes = {stream: size for stream, size in whole.items() if size}
        stdout, stderr = ("".join(_said([name], stream, paths, STEP_OUTPUT)) for stream in STREAMS)
        said = transcript(stdout, stderr) or cut(_own_words(look), STEP_OUTPUT)
    if look.changes and (look.applied or not is_run(look.step)):
        said = said or cut("\n".join([*map(_told, look.changes), look.output]).rstrip("\n"), STEP_OUTPUT)
    elif look.changes and not sizes:
        said = cut("would run:\n%s" % look.changes[0].diff, STEP_OUTPUT)
    reason = look.skipped or (look.problem.reason if look.problem is not None else "")
    return StepReport(
        name=name,
        action=look.step.action,
        status=status_of(look),
        rc=look.rc,
        started_at=look.began,
        finished_at=look.ended,
        reason=_clean(reason)[:1000] or None,
        output=_clean(said) or None,
        sizes=sizes,
        payload=_payload(look, paths),
    )


def _in_order(looks: Sequence[Look], paths: Paths) -> Iterator[str]:
    """What the runs of a job said, each in its turn."""
    for look in looks:
        if is_run(look.step):
            yield _own_words(look) or "".join(_said([look.step.name], "stdout", paths))


def _own_words(look: Look) -> str:
    """What the agent says of a run that is its own, which is in no file."""
    return look.output if is_run(look.step) and look.step.action not in SCRIPTS else ""


def _payload(look: Look, paths: Paths) -> Optional[str]:
    """What a step returned; None for one that returns nothing, or did not end well."""
    if look.step.action not in ACTIONS or not ACTIONS[look.step.action].returns or status_of(look) != "Success":
        return None
    return b"".join(_beginning(path, PAYLOAD) for path in paths(look.step.name, "stdout")).decode() or None


def _told(change: Change) -> str:
    """A change as people read it."""
    return "%s: %s -> %s%s" % (*change[:3], "\n" + change.diff if change.diff else "")


def _said(steps: Sequence[str], stream: str, paths: Paths, limit: int = OUTPUT) -> Iterator[str]:
    """The beginning of what these steps wrote, `limit` characters and a few more at most."""
    left = 4 * limit + 4
    for step in steps:
        for path in paths(step, stream):
            if left > 0:
                data = _beginning(path, left)
                left -= len(data)
                yield _clean(data.decode("utf-8", "replace"))


def _beginning(path: str, most: int) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except OSError:
        return b""


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which have no bytes."""
    return text.encode("utf-8", "replace").decode()


def _clean_claim(claim: ClaimReport) -> ClaimReport:
    import dataclasses

    values = {name: _clean(value) for name, value in vars(claim).items() if isinstance(value, str)}
    return dataclasses.replace(claim, **values)
