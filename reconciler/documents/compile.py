"""Compiling: a document and an association's parameters -> the steps of a body, what they own, the files they name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from agent.contract.claims import meet
from agent.contract.interpolation import PREFIXES, interpolate
from agent.contract.wire import BodyStep, FileRef
from reconciler.core.problem import Finding, Invalid, Place
from reconciler.documents import parameters
from reconciler.documents.steps import Finished, finish

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agent.contract.claims import Claim
    from reconciler.core.manifest import Loc, Places
    from reconciler.documents.document import Document
    from reconciler.documents.parameters import Where
    from reconciler.documents.steps import ReadyStep
    from reconciler.documents.templates import Flaw


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the repository that a step names: what the body says of it, and the blob that has its bytes."""

    ref: FileRef
    blob: str


class Files(Protocol):
    """The repository's files at the commit that is compiled."""

    def source(self, path: str) -> SourceFile | None:
        """The regular file at that path, None where there is none."""

    def template_flaws(self, path: str) -> Sequence[Flaw]:
        """What is wrong with an existing file as a template."""

    def nearest(self, path: str) -> str:
        """The existing file whose path is closest, or an empty string."""


class Placed(NamedTuple):
    """A claim and the step that makes it. Its place is computed only when somebody asks."""

    claim: Claim
    step: str
    places: Places
    loc: Loc

    @property
    def place(self) -> Place:
        """Where the step begins in its document."""
        return self.places.of(self.loc)


@dataclass(frozen=True, slots=True)
class Steps:
    """What a document becomes for one set of parameters. `warnings` do not keep it from being given out."""

    document_uid: str
    document_path: str
    steps: tuple[BodyStep, ...]
    claims: tuple[Placed, ...]
    files: dict[str, SourceFile]
    warnings: tuple[Finding, ...] = ()


def compile_document(document: Document, given: Mapping[str, Sequence[str]], files: Files, where: Where) -> Steps:
    """The steps for these parameters. `where` tells the place of a given parameter, by its path below `parameters`.

    Raises `Invalid` with everything that is wrong: parameters, what becomes of inputs, files that are not there.
    """
    values = parameters.values(document.content, given, where)
    compiler = _Compiler(document, values, files)
    for ready in document.steps:
        compiler.add(ready)
    return compiler.steps()


class _Compiler:
    """Grows the steps one by one; raises only at the end, so that every finding is reported."""

    def __init__(self, document: Document, values: dict[str, Any], files: Files) -> None:
        self._document, self._values, self._files = document, values, files
        self._declared = set(values)
        self._findings: list[Finding] = []
        self._steps: list[BodyStep] = []
        self._claims: dict[tuple[str, str], list[Placed]] = {}
        self._sources: dict[str, SourceFile] = {}

    def add(self, ready: ReadyStep) -> None:
        finished = ready.fixed or self._finished(ready)
        if ready.missing:
            self._findings.append(Finding(ready.missing, self._document.places.of((*ready.loc, "action"))))
        if finished is None or ready.missing:
            return
        self._steps.append(finished.step)
        if finished.source is not None:
            self._source(ready, finished.source, template=finished.template)
        for claim in finished.claims:
            self._claim(Placed(claim, finished.step.name, self._document.places, ready.loc))

    def steps(self) -> Steps:
        if any(finding.severity == "error" for finding in self._findings):
            raise Invalid(tuple(self._findings))
        claims = tuple(placed for held in self._claims.values() for placed in held)
        document = self._document
        return Steps(document.uid, document.path, tuple(self._steps), claims, self._sources, tuple(self._findings))

    def _finished(self, ready: ReadyStep) -> Finished | None:
        """The step with parameters put in; what is wrong then is shown where the step says it."""
        places = self._document.places
        stores = sorted(name for name in ready.references if name.startswith(PREFIXES))
        if stores:
            message = f"`{{{{ {stores[0]} }}}}` is read from SSM's own stores, which are not there in this version"
            self._findings.append(Finding(message, places.of((*ready.loc, "inputs")), "a declared parameter"))
            return None
        tree = interpolate(ready.tree, self._declared, self._values.__getitem__)
        precondition: Any = ready.step.precondition
        if precondition is not None:
            precondition = _texts(interpolate(precondition, self._declared, self._values.__getitem__))
        finished, findings = finish(ready, tree, precondition, places)
        self._findings += findings
        return finished

    def _source(self, ready: ReadyStep, path: str, *, template: bool) -> None:
        found = self._files.source(path)
        if found is None:
            place = self._document.places.of((*ready.loc, "inputs", "source"))
            near = self._files.nearest(path)
            self._findings.append(Finding(f"there is no file `{path}`", place, "a file of the repository", near))
            return
        self._sources[path] = found
        for flaw in self._files.template_flaws(path) if template else ():
            named_at = self._document.places.of((*ready.loc, "inputs", "source"))
            here = Place(path, flaw.line, 1 if flaw.line else 0)
            self._findings.append(
                Finding(flaw.message, here, flaw.expected, flaw.nearest, flaw.severity, related=(named_at,))
            )

    def _claim(self, placed: Placed) -> None:
        held = self._claims.setdefault(placed.claim[:2], [])
        for other in _met(placed, held):
            message = f"the steps `{other.step}` and `{placed.step}` both own {placed.claim}"
            self._findings.append(Finding(message, placed.place, "one owner for each thing", related=(other.place,)))
        held.append(placed)


def _met(placed: Placed, held: list[Placed]) -> Iterator[Placed]:
    return (other for other in held if meet(placed.claim, other.claim))


def _texts(precondition: Any) -> dict[str, list[str]]:
    return {operator: [str(side) for side in sides] for operator, sides in precondition.items()}
