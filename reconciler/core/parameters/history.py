"""Versions: each parameter's values in the order in which the first-parent history of a repository gave them to it.

A value's first appearance is version 1. Whoever takes a parameter away and declares it again begins anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from reconciler.core.parameters.files import FOLDER, is_parameters, of_resource, read
from reconciler.core.parameters.parameter import Version
from reconciler.core.ports import REGULAR
from reconciler.core.problem import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.core.parameters.parameter import Parameter
    from reconciler.core.ports import Change, Commit

LOOK_BACK = 500
"""First-parent commits among which the one is looked for that an earlier history ends with."""


class Past(Protocol):
    """What a history asks of a repository; `core.ports.Source` is one."""

    def first_parents(self, oid: str, limit: int) -> Iterator[Commit]:
        """`oid` and its first-parent ancestors, newest first, at most `limit`."""

    def touching(self, oid: str, folder: str, after: str | None = None) -> Iterable[tuple[Commit, list[Change]]] | None:
        """First-parent commits since `after` (None: ever) that changed files below a folder, oldest first.

        None where the past is not at hand.
        """

    def blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        """Contents by blob id."""


class History:
    """The versions of every parameter that there is after a commit."""

    def __init__(
        self, commit: str, files: Mapping[str, Mapping[str, Parameter]], versions: Mapping[str, tuple[Version, ...]]
    ) -> None:
        self.commit = commit
        self._files, self._versions = files, versions

    def of(self, name: str) -> tuple[Version, ...]:
        """The versions of a parameter, oldest first; empty for no such parameter."""
        return self._versions.get(name, ())

    @classmethod
    def at(cls, past: Past, commit: str, known: Mapping[str, History] | None = None) -> History | None:
        """The history of a commit, None where it is not at hand.

        With histories of earlier commits on its line among those `known`, the cost is what changed since.
        """
        line = (found.oid for found in past.first_parents(commit, LOOK_BACK)) if known else iter(())
        earlier = next((known[oid] for oid in line if oid in known), None) if known else None
        if earlier is not None and earlier.commit == commit:
            return earlier
        steps = past.touching(commit, FOLDER, earlier.commit if earlier is not None else None)
        if steps is None:
            return None
        steps = list(steps)
        if earlier is not None and not steps:
            return cls(commit, earlier._files, earlier._versions)
        files = dict(earlier._files) if earlier is not None else {}
        versions = dict(earlier._versions) if earlier is not None else {}
        contents = past.blobs({oid for _, changes in steps for change in changes if (oid := _blob(change))})
        for made, changes in steps:
            _follow(made, changes, contents, files, versions)
        return cls(commit, files, versions)


def _blob(change: Change) -> str | None:
    new = change.new
    return new.oid if new is not None and new.mode in REGULAR and is_parameters(change.path) else None


def _follow(
    commit: Commit,
    changes: Iterable[Change],
    contents: Mapping[str, bytes],
    files: dict[str, Mapping[str, Parameter]],
    versions: dict[str, tuple[Version, ...]],
) -> None:
    """What one commit did. A file that it broke is as it was before."""
    before: dict[str, Parameter] = {}
    after: dict[str, Parameter] = {}
    for change in changes:
        if not is_parameters(change.path):
            continue
        oid = _blob(change)
        found = _parameters(contents[oid], change.path) if oid else {}
        if found is None:
            continue
        before.update(files.pop(change.path, {}))
        after.update(found)
        if found:
            files[change.path] = found
    for name in before.keys() - after.keys():
        versions.pop(name, None)
    for name, parameter in after.items():
        known = versions.get(name, ())
        latest = known[-1].parameter if known else None
        if latest is None or (latest.type, latest.value) != (parameter.type, parameter.value):
            made = Version(len(known) + 1, parameter, commit.oid, commit.at, commit.author)
            versions[name] = (*known, made)


def _parameters(data: bytes, path: str) -> Mapping[str, Parameter] | None:
    """What a file declares; None where it is broken."""
    try:
        declared = read(data, path)
    except Invalid:
        return None
    if declared.findings:
        return None
    values = filter(None, map(of_resource, declared.resources))
    return declared.parameters | {value.name: value for value in values}
