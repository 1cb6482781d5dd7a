"""`Parameters` of a repository at one commit, read from the files below `parameters/` and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from reconciler.core.parameters import Declared, History, Stored, is_parameters, read
from reconciler.core.parameters.files import labels_of_resource, of_resource
from reconciler.core.ports import REGULAR
from reconciler.core.problem import Finding, Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.core.parameters import Labels, Parameter
    from reconciler.core.parameters.history import Past
    from reconciler.core.ports import Entry

    class Files(Past, Protocol):
        """What is asked of a repository; `core.ports.Source` is one."""

        def tree(self, oid: str) -> Mapping[str, Entry]:
            """Every file of a commit by path."""


class TreeParameters(Stored):
    """The parameters of a commit. Raises `Invalid` when it is made, for files that declare nothing rightly."""

    def __init__(self, files: Files, commit: str) -> None:
        tree = files.tree(commit)
        entries = [entry for path, entry in tree.items() if is_parameters(path) and entry.mode in REGULAR]
        contents = files.blobs({entry.oid for entry in entries})
        declared, labels = _declared((entry.path, contents[entry.oid]) for entry in entries)
        super().__init__(declared, lambda: History.at(files, commit), labels)


def _declared(files: Iterable[tuple[str, bytes]]) -> tuple[Declared, Labels]:
    """Everything that files declare. Raises `Invalid` with all that is wrong about them."""
    parameters: list[Mapping[str, Parameter]] = []
    labels: Labels = {}
    findings: list[Finding] = []
    for path, data in files:
        try:
            found = read(data, path)
        except Invalid as invalid:
            findings += invalid.findings
            continue
        findings += found.findings
        parameters.append(found.parameters)
        parameters += [{value.name: value} for value in map(of_resource, found.resources) if value is not None]
        labels |= dict(filter(None, map(labels_of_resource, found.resources)))
    declared = Declared(parameters)
    for first, second in declared.doubles:
        message = f"the parameter `{second.name}` is declared already"
        findings.append(Finding(message, second.place, "each name once", related=(first.place,)))
    if findings:
        raise Invalid(tuple(findings))
    return declared, labels
