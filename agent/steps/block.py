"""ops:block. Lines between two marks in a text file that others own too; the rest of it stays as it is."""

from __future__ import annotations

from typing import List

from agent.contract.claims import claims_of
from agent.contract.inputs.files import BlockInputs
from agent.host.port import Host
from agent.steps import part
from agent.steps.part import Observed, PartStep, Span, Wanted
from agent.steps.step import Applied, Change, Given, StepFailed


class BlockStep(PartStep):
    """A marked block that is there once, or not at all."""

    def observe(self, host: Host, desired: BlockInputs, given: Given) -> Observed:
        del given
        return part.observe(host, _wanted(desired))

    def changes(self, desired: BlockInputs, observed: Observed, given: Given) -> List[Change]:
        del given
        (claim,) = claims_of("ops:block", desired)
        return part.changes(_wanted(desired), observed, claim)

    def apply(self, host: Host, desired: BlockInputs, changes: List[Change], given: Given) -> Applied:
        del given
        part.apply(host, _wanted(desired), changes)
        return Applied()


def _wanted(desired: BlockInputs) -> Wanted:
    begin, end = ("%s %s opsctl %s" % (desired.comment, word, desired.name) for word in ("BEGIN", "END"))
    content = desired.content.splitlines()
    if {begin, end} & set(content):
        raise StepFailed("`content` holds a mark of its own block")
    lines = [begin, *content, end] if desired.state == "present" else None
    return Wanted(desired.path, lines, lambda present: _find(present, begin, end, desired.path), desired.create)


def _find(lines: List[str], begin: str, end: str, path: str) -> List[Span]:
    """Raises `StepFailed` where one mark of a pair is missing: how far the block goes is then nobody's to guess."""
    found: List[Span] = []
    start = None
    for at, line in enumerate(lines):
        if line in (begin, end):
            if (line == begin) == (start is not None):
                raise StepFailed("%s, line %d: `%s` has no other mark; put it right by hand" % (path, at + 1, line))
            if start is not None:
                found.append((start, at + 1))
            start = at if line == begin else None
    if start is not None:
        raise StepFailed("%s, line %d: `%s` has no other mark; put it right by hand" % (path, start + 1, begin))
    return found
