"""Steps that are files whose paths and contents follow from their inputs: all that ops:file does, done by it."""

from __future__ import annotations

import posixpath
from typing import Any, Callable, List, Mapping, Sequence

from agent.contract.claims import Claim
from agent.contract.inputs.files import FileInputs
from agent.host.port import Host
from agent.steps.file import FileStep, Observed
from agent.steps.step import Applied, Change, Given, State, StepFailed

FILE = FileStep()
Files = Mapping[str, Observed]
"""What was seen of several files, by path."""
_DIRECTORY_MODE = 0o755


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


def root_file(path: str, content: str = "", *, present: bool = True) -> FileInputs:
    """A file of root's that everybody may read; its absence where it is not to be `present`."""
    if not present:
        return FileInputs(path, state="absent")
    return FileInputs(path, content=content, mode="0644", owner="root", group="root")


def observe_files(host: Host, wanted: Sequence[FileInputs], given: Given) -> Files:
    """What is there of several files."""
    return {inputs.path: FILE.observe(host, inputs, given) for inputs in wanted}


def file_changes(wanted: Sequence[FileInputs], observed: Files, given: Given) -> List[Change]:
    """What differs of them. Pure."""
    return [change for inputs in wanted for change in FILE.changes(inputs, observed[inputs.path], given)]


def apply_files(host: Host, wanted: Sequence[FileInputs], changes: Sequence[Change], given: Given) -> None:
    """Makes those changes that are of these files, and their directories where they are missing."""
    for inputs in wanted:
        own = [change for change in changes if change.claim == Claim("path", inputs.path)]
        if own and inputs.state == "present":
            directory(host, posixpath.dirname(inputs.path))
        if own:
            FILE.apply(host, inputs, own, given)


def directory(host: Host, path: str) -> None:
    """Makes a directory where there is none; its parent is there."""
    if host.lstat(path) is None:
        host.mkdir(path, _DIRECTORY_MODE)
        host.sync_directory(posixpath.dirname(path))


def one_line(what: str, text: str) -> str:
    """The text, which stands in a line of the file. Raises `StepFailed` where it is more than that."""
    if "\n" in text or "\r" in text or "\0" in text:
        raise StepFailed("`%s` has more than one line" % what)
    return text
