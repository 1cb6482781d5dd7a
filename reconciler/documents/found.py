"""Documents that a step runs and that are on its node alone, compiled as they are found there."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from agent.contract.canonical import canonical
from agent.contract.codec import to_wire
from agent.contract.job import DOCUMENT_LIMIT
from reconciler.core.problem import Finding, Invalid, Place
from reconciler.documents import nesting
from reconciler.documents.compile import compile_document
from reconciler.documents.document import read
from reconciler.documents.stored import NOTHING_KEPT

if TYPE_CHECKING:
    from agent.contract.job import Compile
    from agent.contract.wire import BodyStep
    from reconciler.core.manifest import Loc
    from reconciler.documents.compile import Files, SourceFile
    from reconciler.documents.nesting import DocumentFile
    from reconciler.documents.stored import Kept
    from reconciler.documents.templates import Flaw

LARGEST = 512 * 1024
"""Bytes of the steps of one document, as a frame has them."""


def steps_of(
    question: Compile, outer: str, files: Files, kept: Kept = NOTHING_KEPT, at: int | None = None
) -> list[BodyStep]:
    """The steps of a document, under the names that they have in the body that runs it.

    `outer` is the document of that body. Raises `Invalid` with everything that is wrong.
    """
    data = question.text.encode()
    here = Place(question.path)
    if len(data) > DOCUMENT_LIMIT:
        raise Invalid((Finding(f"the document has {len(data)} bytes", here, f"at most {DOCUMENT_LIMIT}"),))
    found = read(data, _as_read(question.path, question.text))
    if found.document is None:
        raise Invalid(found.findings)

    def where(loc: Loc) -> Place:
        return Place(" ".join(("documentParameters", *map(str, loc))))

    chain = (outer, *(["a document of the node"] * (question.depth - 1)))
    document = dataclasses.replace(found.document, name=question.path)
    nesting.require_depth(question.path, chain, here)
    given = nesting.given(question.parameters)
    steps = compile_document(document, given, _OnNode(files), where, kept, at, chain)
    named = [nesting.inner_step(question.step, step) for step in steps.steps]
    if len(canonical(to_wire(named))) > LARGEST:
        raise Invalid((Finding("what the document comes to is too large", here, f"at most {LARGEST} bytes"),))
    return named


def _as_read(path: str, text: str) -> str:
    """How the text is read, as SSM does: as JSON where it is, else as YAML, whatever it is called."""
    suffix = ".json" if text.lstrip().startswith("{") else ".yaml"
    return path if path.endswith(suffix) else path + suffix


class _OnNode:
    """What such a document may name: other documents; the repository's files are not brought after it."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def source(self, path: str) -> SourceFile | None:
        del path
        return None

    def template_flaws(self, path: str) -> tuple[Flaw, ...]:
        del path
        return ()

    def nearest(self, path: str) -> str:
        del path
        return ""

    def document(self, name: str) -> DocumentFile | None:
        return self._files.document(name)

    def nearest_document(self, name: str) -> str:
        return self._files.nearest_document(name)

    def custom(self, name: str) -> None:
        del name

    def nearest_custom(self, name: str) -> str:
        del name
        return ""
