"""ops:line. One line of a text file that others own too; the rest of the file stays as it is, byte for byte."""

from __future__ import annotations

import posixpath
import re
from typing import List, Optional, Pattern

from agent.contract.claims import Claim, claims_of
from agent.contract.inputs.files import LineInputs
from agent.contract.record import NamedTuple, dataclass
from agent.host.port import Host, Snapshot
from agent.steps.diff import content_diff
from agent.steps.file import NOT_SHOWN, READABLE_BY_ALL
from agent.steps.step import Applied, Change, Given, LeftAlone, State, StepFailed
from agent.steps.text import appended, bare, editable, joined, lines_of, write


@dataclass(frozen=True)
class Observed:
    """The file, its lines (each with its line end), and the places of those that the step means."""

    snapshot: Optional[Snapshot]
    lines: List[str]
    meant: List[int]


class LineChange(NamedTuple):
    """The whole new content, and what was there."""

    content: bytes
    snapshot: Optional[Snapshot]


class LineStep:
    """A line that is there once, or not at all."""

    def observe(self, host: Host, desired: LineInputs, given: Given) -> Observed:
        del given
        snapshot = host.snapshot(desired.path)
        if snapshot is None or snapshot.entry.kind != "file" or snapshot.data is None:
            return Observed(snapshot, [], [])
        lines = lines_of(snapshot.data)
        return Observed(snapshot, lines, _meant(desired, lines))

    def changes(self, desired: LineInputs, observed: Observed, given: Given) -> List[Change]:
        del given
        _check(desired, observed.snapshot)
        lines, meant = observed.lines, observed.meant
        if desired.state == "absent":
            if not meant:
                return []
            new = [line for at, line in enumerate(lines) if at not in meant]
            return [self._change(desired, observed, lines[meant[-1]], None, new)]
        if observed.snapshot is None and not desired.create:
            raise StepFailed("%s does not exist; set `create: true`, or declare the file" % desired.path)
        if not meant:
            return [self._change(desired, observed, None, desired.line, appended(lines, [desired.line]))]
        last = lines[meant[-1]]
        if bare(last) == desired.line:
            return []
        new = list(lines)
        new[meant[-1]] = desired.line + last[len(bare(last)) :]
        return [self._change(desired, observed, last, desired.line, new)]

    def _change(
        self, desired: LineInputs, observed: Observed, before: Optional[str], after: Optional[str], new: List[str]
    ) -> Change:
        (claim,) = claims_of("ops:line", desired)
        content = joined(new)
        old = observed.snapshot.data if observed.snapshot else None
        shown = observed.snapshot is None or bool(observed.snapshot.entry.mode & READABLE_BY_ALL)
        diff = content_diff(desired.path, old, content) if shown else NOT_SHOWN
        return Change(claim, _said(before, shown), _said(after, shown), diff, LineChange(content, observed.snapshot))

    def apply(self, host: Host, desired: LineInputs, changes: List[Change], given: Given) -> Applied:
        del given
        for change in changes:
            write(host, desired.path, change.detail.content, change.detail.snapshot)
        return Applied()

    def state(self, observed: Observed, claim: Claim) -> State:
        del claim
        line = bare(observed.lines[observed.meant[-1]]) if observed.meant else None
        return {"line": line, "file": observed.snapshot is not None}

    def current(self, host: Host, claim: Claim, left: State) -> State:
        snapshot = host.snapshot(claim.name)
        if snapshot is None or snapshot.data is None:
            return {"line": None, "file": snapshot is not None}
        there = left is not None and left["line"] in [bare(line) for line in lines_of(snapshot.data)]
        return {"line": left["line"] if left and there else None, "file": True}

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        snapshot = host.snapshot(claim.name)
        if left is None or left["line"] is None or prior is None:
            raise LeftAlone("the line taken out is not put back, for its place is not known")
        assert snapshot is not None
        assert snapshot.data is not None
        lines = lines_of(snapshot.data)
        at = max(at for at, line in enumerate(lines) if bare(line) == left["line"])
        end = lines[at][len(left["line"]) :]
        lines[at : at + 1] = [] if prior["line"] is None else [prior["line"] + end]
        if not lines and not prior["file"]:
            host.unlink(claim.name)
            host.sync_directory(posixpath.dirname(claim.name))
        else:
            write(host, claim.name, joined(lines), snapshot)


def _check(desired: LineInputs, snapshot: Optional[Snapshot]) -> None:
    if "\n" in desired.line or "\r" in desired.line:
        raise StepFailed("`line` holds a line end; it is one line")
    editable(desired.path, snapshot)


def _meant(desired: LineInputs, lines: List[str]) -> List[int]:
    """Places of the lines that the step is about: those that `match` finds, else those equal to `line`."""
    equal = [at for at, line in enumerate(lines) if bare(line) == desired.line]
    if desired.match is None:
        return equal
    pattern = _pattern(desired.match)
    return [at for at, line in enumerate(lines) if pattern.search(bare(line))] or (
        equal if desired.state == "present" else []
    )


def _pattern(match: str) -> Pattern[str]:
    try:
        return re.compile(match)
    except re.error as error:
        raise StepFailed("`match` %r is no regular expression: %s" % (match, error)) from None


def _said(line: Optional[str], shown: bool) -> str:
    if line is None:
        return "absent"
    return bare(line) if shown else "a line that is not shown"
