"""A document of any type as one file holds it: read, typed, linted, and a Command's steps made ready to be compiled."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from reconciler.core.manifest import examine_one
from reconciler.core.problem import Finding, Invalid, Place
from reconciler.core.resource import NAME_PATTERN, uid
from reconciler.documents import formats
from reconciler.documents.checked import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.core.manifest import Places, Tree
    from reconciler.documents.checked import DocumentType
    from reconciler.documents.model import CommandDocument, Parameter
    from reconciler.documents.package import PackageDocument
    from reconciler.documents.runbook import Runbook
    from reconciler.documents.runtime import RuntimeDocument
    from reconciler.documents.session import SessionDocument
    from reconciler.documents.steps import ReadyStep

    Content: TypeAlias = CommandDocument | RuntimeDocument | Runbook | SessionDocument | PackageDocument

KIND = "Document"


@dataclass(frozen=True, slots=True)
class Document:
    """A valid document. `warnings` do not keep it from being used; what its steps lack is said when it is compiled.

    `steps` are those of Command and Policy documents; other types have none.
    """

    uid: str
    name: str
    path: str
    type: DocumentType
    content: Content
    steps: tuple[ReadyStep, ...]
    places: Places
    warnings: tuple[Finding, ...] = ()

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """By name, in the order declared."""
        return self.content.parameters


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of a file: all findings, the tree if its text became one, and the document if it is valid."""

    findings: tuple[Finding, ...]
    tree: Tree | None = None
    document: Document | None = None

    @property
    def parsed(self) -> bool:
        """Whether the text became a tree."""
        return self.tree is not None


def load(data: bytes, path: str) -> Document:
    """The document of a file of the repository. Raises `Invalid` with every error that needs no parameters."""
    name = name_of(path)
    if not re.match(NAME_PATTERN, name):
        expected = "at most 128 letters, digits, `_`, `-` and `.`, beginning with a letter or digit"
        raise Invalid((Finding(f"`{name}` cannot name a document", Place(path), expected),))
    found = read(data, path)
    if found.document is None:
        raise Invalid(found.findings)
    found.document.places.forget()
    return found.document


def read(data: bytes, path: str) -> Reading:
    """What comes of any file. The places of what it has are known until they `forget`."""
    try:
        manifest, strange = examine_one(data, path)
    except Invalid as invalid:
        return Reading(invalid.findings)
    checked = formats.check(manifest)
    told = {finding.place for finding in strange}
    told |= {replace(place, column=place.column - 1) for place in told}  # the first of two braces that lack quotes
    others = [finding for finding in checked.findings if finding.place not in told]
    findings = tuple(sorted((*strange, *others), key=_place))
    if any(finding.severity == "error" for finding in findings):
        return Reading(findings, manifest.tree)
    name = name_of(manifest.path)
    document = Document(
        uid(KIND, name), name, manifest.path, checked.type, checked.content, checked.steps, manifest.places, findings
    )
    return Reading(findings, manifest.tree, document)


def _place(finding: Finding) -> Place:
    return finding.place
