"""A step that is one file, whose path and content follow from its inputs: all that ops:file does, done by it."""

from __future__ import annotations

from typing import Any, Callable, List

from agent.contract.claims import Claim
from agent.contract.inputs import FileInputs
from agent.host.port import Host
from agent.steps.file import FileStep, Observed
from agent.steps.step import Applied, Change, Given, State, StepFailed

FILE = FileStep()


class DerivedFileStep:
    """The file that `as_file` makes of the inputs. It may raise `StepFailed`."""

    def __init__(self, as_file: Callable[[Any], FileInputs]) -> None:
        self._as_file = as_file

    def observe(self, host: Host, desired: Any, given: Given) -> Observed:
        return FILE.observe(host, self._as_file(desired), given)

    def changes(self, desired: Any, observed: Observed, given: Given) -> List[Change]:
        return FILE.changes(self._as_file(desired), observed, given)

    def apply(self, host: Host, desired: Any, changes: List[Change], given: Given) -> Applied:
        return FILE.apply(host, self._as_file(desired), changes, given)

    def state(self, observed: Observed, claim: Claim) -> State:
        return FILE.state(observed, claim)

    def current(self, host: Host, claim: Claim, left: State) -> State:
        return FILE.current(host, claim, left)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        FILE.restore(host, claim, prior, left)


def one_line(what: str, text: str) -> str:
    """The text, which stands in a line of the file. Raises `StepFailed` where it is more than that."""
    if "\n" in text or "\r" in text or "\0" in text:
        raise StepFailed("`%s` has more than one line" % what)
    return text
