"""A part of a text file that others own too: some lines that are there once, or not at all.

What lines a step means is its own affair (`Wanted.find`); the rest of the file stays as it is, byte for byte. Lines
that the step means and that stand there twice are taken out but for the last.
"""

from __future__ import annotations

import posixpath
from typing import Callable, List, Optional, Tuple

from agent.contract.claims import Claim
from agent.contract.record import NamedTuple, dataclass
from agent.host.port import Host, Snapshot
from agent.steps.diff import content_diff
from agent.steps.file import NOT_SHOWN, READABLE_BY_ALL
from agent.steps.step import Change, LeftAlone, State, StepFailed
from agent.steps.text import DEFAULT_MODE, appended, bare, editable, joined, line_end, lines_of, write

Span = Tuple[int, int]
"""Places of lines: from, and up to but not including."""


@dataclass(frozen=True)
class Wanted:
    """What a step wants of the file at `path`: `lines` (without line ends), or None for their absence.

    `find` gives the spans that the step means, in order. A missing file is made only with `create`, with `mode`.
    """

    path: str
    lines: Optional[List[str]]
    find: Callable[[List[str]], List[Span]]
    create: bool = False
    mode: int = DEFAULT_MODE


@dataclass(frozen=True)
class Observed:
    """The file, its lines (each with its line end), and the spans that the step means."""

    snapshot: Optional[Snapshot]
    lines: List[str]
    spans: List[Span]
    path: str

    @property
    def part(self) -> Optional[List[str]]:
        """The lines that the step means, without line ends."""
        if not self.spans:
            return None
        start, stop = self.spans[-1]
        return [bare(line) for line in self.lines[start:stop]]


class PartChange(NamedTuple):
    """The whole new content, and what was there."""

    content: bytes
    snapshot: Optional[Snapshot]


def observe(host: Host, wanted: Wanted) -> Observed:
    """What is there of the part."""
    snapshot = host.snapshot(wanted.path)
    if snapshot is None or snapshot.data is None:
        return Observed(snapshot, [], [], wanted.path)
    lines = lines_of(snapshot.data)
    return Observed(snapshot, lines, wanted.find([bare(line) for line in lines]), wanted.path)


def changes(wanted: Wanted, observed: Observed, claim: Claim) -> List[Change]:
    """At most one. Raises `StepFailed` for a file that cannot be edited. Pure."""
    editable(wanted.path, observed.snapshot)
    if observed.snapshot is None and wanted.lines is not None and not wanted.create:
        raise StepFailed("%s does not exist; set `create: true`, or declare the file" % wanted.path)
    if any("\n" in line or "\r" in line for line in wanted.lines or ()):
        raise StepFailed("a line end is within a line of what is wanted in %s" % wanted.path)
    new = _edited(wanted, observed)
    if new == observed.lines:
        return []
    content = joined(new)
    old = observed.snapshot.data if observed.snapshot else None
    mode = observed.snapshot.entry.mode if observed.snapshot else wanted.mode
    shown = bool(mode & READABLE_BY_ALL)
    diff = content_diff(wanted.path, old, content) if shown else NOT_SHOWN
    before, after = _said(observed.part, shown), _said(wanted.lines, shown)
    if before == after:
        before = "%s, not as wanted" % before if observed.part != wanted.lines else "%s, more than once" % before
    return [Change(claim, before, after, diff, PartChange(content, observed.snapshot))]


def apply(host: Host, wanted: Wanted, changes: List[Change], uid: int = -1, gid: int = -1) -> None:
    """Makes the change; `uid` and `gid` are those of a new file."""
    for change in changes:
        write(host, wanted.path, change.detail.content, change.detail.snapshot, wanted.mode, uid, gid)


class PartStep:
    """What every step of this kind does alike: the part for the ledger, and putting it back."""

    def state(self, observed: Observed, claim: Claim) -> State:
        del claim
        return {"lines": observed.part, "file": observed.snapshot is not None, "path": observed.path}

    def current(self, host: Host, claim: Claim, left: State) -> State:
        del claim
        if left is None:
            raise LeftAlone("it is not known what opsctl left there")
        snapshot = host.snapshot(left["path"])
        if snapshot is None or snapshot.data is None:
            return dict(left, lines=None, file=snapshot is not None)
        lines = [bare(line) for line in lines_of(snapshot.data)]
        if left["lines"] and _place(lines, left["lines"]) is None:
            return dict(left, lines=[line for line in left["lines"] if line in lines] or None)  # some of it was edited
        return dict(left)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        """Takes the file away too where it was made for these lines and holds no other."""
        del claim
        if left is None or not left["lines"] or prior is None:
            raise LeftAlone("the lines taken out are not put back, for their place is not known")
        snapshot = host.snapshot(left["path"])
        assert snapshot is not None
        assert snapshot.data is not None
        lines = lines_of(snapshot.data)
        start, end = _place([bare(line) for line in lines], left["lines"]), line_end(lines)
        assert start is not None
        lines[start : start + len(left["lines"])] = [line + end for line in prior["lines"] or ()]
        if not lines and not prior["file"]:
            host.unlink(left["path"])
            host.sync_directory(posixpath.dirname(left["path"]))
        else:
            write(host, left["path"], joined(lines), snapshot)


def _edited(wanted: Wanted, observed: Observed) -> List[str]:
    lines, spans = list(observed.lines), list(observed.spans)
    if wanted.lines is not None and not spans:
        return appended(lines, wanted.lines)
    kept = spans.pop() if wanted.lines is not None else None
    if wanted.lines is not None and kept is not None and observed.part != wanted.lines:
        end = line_end(lines)
        lines[kept[0] : kept[1]] = [line + end for line in wanted.lines]
    for start, stop in reversed(spans):
        del lines[start:stop]
    return lines


def _place(lines: List[str], part: List[str]) -> Optional[int]:
    """Where the part stands for the last time."""
    places = range(len(lines) - len(part), -1, -1)
    return next((at for at in places if lines[at : at + len(part)] == part), None)


def _said(lines: Optional[List[str]], shown: bool) -> str:
    if lines is None:
        return "absent"
    if len(lines) == 1 and shown:
        return lines[0]
    return "%d line%s%s" % (len(lines), "" if len(lines) == 1 else "s", "" if shown else " not shown")
