"""Compiling: a document and an association's parameters -> the steps of a body, what they own, the files they name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from agent.contract.claims import Claim, meet
from agent.contract.inputs import CUSTOM
from agent.contract.inputs.custom import HOME
from agent.contract.interpolation import PREFIXES, interpolate, references
from agent.contract.wire import BodyStep, FileRef
from reconciler.core.problem import Finding, Invalid, Place, nearest
from reconciler.core.typed import Wrong
from reconciler.core.typed.words import one_of, path_text
from reconciler.documents import document as documents
from reconciler.documents import environment, nesting, parameters, system_variables
from reconciler.documents.custom import step as custom
from reconciler.documents.runbook.references import texts
from reconciler.documents.steps import Finished, finish, finish_custom
from reconciler.documents.stored import NOTHING_KEPT, NotStored, References
from reconciler.documents.stored import PREFIXES as STORED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.core.manifest import Loc, Places
    from reconciler.documents.checked import DocumentType
    from reconciler.documents.custom.step import Folder
    from reconciler.documents.document import Document
    from reconciler.documents.nesting import DocumentFile
    from reconciler.documents.parameters import Where
    from reconciler.documents.steps import ReadyStep
    from reconciler.documents.stored import Kept
    from reconciler.documents.templates import Flaw


RUN_ON_NODES: tuple[DocumentType, ...] = ("Command", "Policy")
"""Types of documents that have steps for nodes."""
MAX_SOURCE_BYTES = 64 << 20
"""Every node that has the association fetches the file, and keeps it."""


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

    def document(self, name: str) -> DocumentFile | None:
        """The document of that name, None where there is none."""

    def nearest_document(self, name: str) -> str:
        """The existing document whose name is closest, or an empty string."""

    def custom(self, name: str) -> Folder | None:
        """The step of the repository's own of that name, None where there is none. Raises `Invalid`."""

    def nearest_custom(self, name: str) -> str:
        """The step of the repository's own whose name is closest, or an empty string."""


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
    """What a document becomes for one set of parameters. `warnings` do not keep it from being given out.

    `runs` stand for the steps that own nothing, under the names that reports have for them; `parameter_files` declare
    the stored `parameters` that it refers to; `documents` are the paths of those within it, and of those it brings.
    """

    document_uid: str
    document_path: str
    steps: tuple[BodyStep, ...]
    claims: tuple[Placed, ...]
    runs: tuple[Placed, ...]
    files: dict[str, SourceFile]
    warnings: tuple[Finding, ...] = ()
    parameter_files: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    documents: frozenset[str] = frozenset()


def compile_document(
    document: Document,
    given: Mapping[str, Sequence[str]],
    files: Files,
    where: Where,
    kept: Kept = NOTHING_KEPT,
    at: int | None = None,
    outer: tuple[str, ...] = (),
) -> Steps:
    """The steps for these parameters. `where` tells the place of a given parameter, by its path below `parameters`.

    `kept` are the parameters that `{{ ssm:name }}` refers to. `at` is the instant, in Unix milliseconds, at which the
    document is run; None for one that is held. `outer` are the names of the documents that this one is run within, the
    outermost first. Raises `Invalid` with everything that is wrong: parameters, what becomes of inputs, files and
    documents that are not there; `NotStored` where stored parameters alone are missing.
    """
    if document.type not in RUN_ON_NODES:
        message = f"the document `{document.name}` is of type {document.type}"
        raise Invalid((Finding(message, where(()), one_of(RUN_ON_NODES)),))
    compiler = _Compiler(document, files, kept, at, outer)
    given = compiler.stored.given(document, given, where)
    try:
        compiler.values = parameters.values(document, given, where) if not compiler.stored.findings else None
        compiler.findings += environment.flaws(document, compiler.values or {}, where)
    except Invalid as invalid:
        compiler.findings += invalid.findings
    for ready in document.steps:
        compiler.add(ready)
    return compiler.steps()


def unused_findings(document: Document, files: Files) -> list[Finding]:
    """What is wrong with a document whatever its parameters are; what agents lack for it is only a warning."""
    compiler = _Compiler(document, files)
    for ready in document.steps:
        compiler.add(ready)
    missing = {ready.missing for ready in document.steps}
    return [replace(found, severity="warning") if found in missing else found for found in compiler.findings]


class _Compiler:
    """Grows the steps one by one; raises only at the end, so that every finding is reported."""

    def __init__(
        self,
        document: Document,
        files: Files,
        kept: Kept = NOTHING_KEPT,
        at: int | None = None,
        outer: tuple[str, ...] = (),
    ) -> None:
        self.findings: list[Finding] = []
        self.stored, self._kept = References(kept), kept
        self.values: Mapping[str, Any] | None = None
        self._document, self._files, self._at = document, files, at
        self._chain = (*outer, document.name)
        self._documents: set[str] = set()
        self._in_environment = environment.names(document)
        self._steps: list[BodyStep] = []
        self._claims: dict[tuple[str, str], list[Placed]] = {}
        self._runs: list[Placed] = []
        self._sources: dict[str, SourceFile] = {}

    def add(self, ready: ReadyStep) -> None:
        """One step, as far as the values of its parameters are known."""
        if ready.missing:
            self.findings.append(ready.missing)
            if ready.missing.severity == "error":
                return
        finished = ready.fixed or self._finished(ready)
        if finished is None:
            return
        if self._in_environment and ready.step.action in environment.SCRIPTS and self.values is not None:
            variables = environment.variables(self._document, self.values)
            finished = finished._replace(step=replace(finished.step, environment=variables))
        self._triggers(ready, finished.step)
        other = self._named(ready, finished.step)
        self._steps.append(nesting.carrying(finished.step, other))
        if finished.source is not None:
            self._source(ready, finished.source, template=finished.template)
        name, places = finished.step.name, self._document.places
        for claim in finished.claims:
            self._claim(Placed(claim, name, places, ready.loc))
        if not finished.claims:
            self._runs.append(Placed(Claim("script", name), name, places, ready.loc))
        if other is not None and finished.step.action == nesting.RUN_DOCUMENT and self.values is not None:
            self._nest(ready, finished.step, other)

    def steps(self) -> Steps:
        findings = (*self.findings, *self.stored.findings)
        if any(finding.severity == "error" for finding in findings):
            missing = not self.findings and self.stored.findings == self.stored.missing
            raise (NotStored if missing else Invalid)(findings)
        claims = tuple(placed for held in self._claims.values() for placed in held)
        document = self._document
        return Steps(
            document.uid,
            document.path,
            tuple(self._steps),
            claims,
            tuple(self._runs),
            self._sources,
            tuple(self.findings),
            frozenset(self.stored.paths),
            frozenset(self.stored.names),
            frozenset(self._documents),
        )

    def _finished(self, ready: ReadyStep) -> Finished | None:
        """The step with parameters put in; what is wrong then is shown where the step says it."""
        values, places = self.values, self._document.places
        if values is None and ready.references:
            return None
        values = values or {}
        system, declared = self._system_variables(ready), set(values)
        precondition: Any = ready.step.precondition
        stored = self.stored.found(ready.tree, declared, lambda loc: places.of((*ready.inputs_loc, *loc)))
        others = self.stored.found(
            [precondition, ready.step.timeout_seconds], declared, lambda _loc: places.of((*ready.loc, "precondition"))
        )
        if system is None or stored is None or others is None:
            return None
        known = {**values, **system, **stored, **others}
        tree = environment.interpolated(
            ready.step.action, ready.tree, declared, known.__getitem__, self._in_environment
        )
        if precondition is not None:
            precondition = _texts(interpolate(precondition, declared, known.__getitem__))
        if ready.step.action.startswith(CUSTOM):
            timeout = interpolate(ready.step.timeout_seconds, declared, known.__getitem__)
            return self._custom(ready, tree, precondition, timeout)
        finished, findings = finish(ready, tree, precondition, places)
        self.findings += findings
        return finished

    def _custom(self, ready: ReadyStep, tree: dict[str, Any], precondition: Any, timeout: Any) -> Finished | None:
        """A step of the repository's own; all files of its folder go with the body."""
        places, name = self._document.places, ready.step.action.removeprefix(CUSTOM)
        try:
            folder = self._files.custom(name)
        except Invalid as invalid:
            self.findings += invalid.findings
            return None
        if folder is None:
            near = self._files.nearest_custom(name)
            message, expected = f"there is no step `{ready.step.action}`", f"a manifest {HOME}{name}/step.yaml"
            place = places.of((*ready.loc, "action"))
            self.findings.append(Finding(message, place, expected, near and CUSTOM + near))
            return None
        desired, findings = custom.desired(folder.step, tree, places, ready.inputs_loc)
        seconds, wrong = custom.timeout_of(timeout, places.of((*ready.loc, "timeoutSeconds")))
        self.findings += [*findings, *wrong]
        if findings or wrong:
            return None
        for path in folder.sizes:
            found = self._files.source(folder.source(path))
            assert found is not None
            self._sources[folder.source(path)] = found
        return finish_custom(ready, custom.inputs(folder, desired, seconds), precondition)

    def _system_variables(self, ready: ReadyStep) -> dict[str, str] | None:
        """The values of SSM's own words; None where one has none, which is said where it stands."""
        found: dict[str, str] = {}
        names = [name for name in ready.references if name.startswith(PREFIXES) and not name.startswith(STORED)]
        for name in sorted(names):
            try:
                found[name] = system_variables.value_of(name, self._at)
            except Wrong as wrong:
                place = self._document.places.of(_mentioned(name, ready))
                self.findings.append(Finding(wrong.message, place, wrong.expected, wrong.nearest))
        return found if len(found) == len(names) else None

    def _triggers(self, ready: ReadyStep, step: BodyStep) -> None:
        """`restartOn` and `reloadOn` name steps that were done before this one."""
        if step.action != "ops:service":
            return
        names = [other.step.name for other in self._document.steps]
        earlier = names[: names.index(step.name)]
        for word in ("restartOn", "reloadOn"):
            for at, name in enumerate(step.inputs.get(word, ())):
                if name not in earlier:
                    where = (*ready.inputs_loc, word, at)
                    message = f"{path_text(where)} is `{name}`, which is no step before this one"
                    expected = one_of(earlier) if earlier else "a step before this one"
                    place = self._document.places.of(where)
                    self.findings.append(Finding(message, place, expected, nearest(name, earlier)))

    def _source(self, ready: ReadyStep, path: str, *, template: bool) -> None:
        found = self._files.source(path)
        if found is None:
            place = self._document.places.of((*ready.inputs_loc, "source"))
            near = self._files.nearest(path)
            self.findings.append(Finding(f"there is no file `{path}`", place, "a file of the repository", near))
            return
        if found.ref.size > MAX_SOURCE_BYTES:
            place = self._document.places.of((*ready.inputs_loc, "source"))
            message = f"the file `{path}` has {found.ref.size} bytes"
            self.findings.append(Finding(message, place, f"at most {MAX_SOURCE_BYTES}"))
            return
        self._sources[path] = found
        for flaw in self._files.template_flaws(path) if template else ():
            here = Place(path, flaw.line, 1 if flaw.line else 0)
            self.findings.append(Finding(flaw.message, here, flaw.expected, flaw.nearest, flaw.severity))

    def _named(self, ready: ReadyStep, step: BodyStep) -> DocumentFile | None:
        """The document that a step names, if it does."""
        text = nesting.named_by(step)
        if not text:
            return None
        name, version = nesting.named(text)
        found = self._files.document(name)
        loc = (*ready.inputs_loc, *(("documentPath",) if step.action == nesting.RUN_DOCUMENT else ("sourceInfo",)))
        place = self._document.places.of(loc)
        if found is not None:
            self._documents.add(found.path)
        if found is None:
            near = self._files.nearest_document(name)
            self.findings.append(Finding(f"there is no document `{name}`", place, "a document's name", near))
        elif version:
            message = f"version `{version}` of `{name}` is not kept apart: the document is taken as it is in force"
            self.findings.append(Finding(message, place, "a name without a version", severity="warning"))
        return found

    def _nest(self, ready: ReadyStep, step: BodyStep, other: DocumentFile) -> None:
        """Add the steps of the document that a step runs."""
        places = self._document.places
        name = nesting.named(step.inputs["documentPath"]).name
        place = places.of((*ready.inputs_loc, "documentPath"))
        try:
            nesting.require_depth(name, self._chain, place)
        except Invalid as invalid:
            self.findings += invalid.findings
            return

        def where(loc: Loc) -> Place:
            return places.of((*ready.inputs_loc, "documentParameters", *loc)) if loc else place

        given = nesting.given(step.inputs.get("documentParameters", {}))
        try:
            inner = compile_document(
                documents.load(other.data, other.path), given, self._files, where, self._kept, self._at, self._chain
            )
        except NotStored as missing:
            self.stored.findings += missing.findings
            self.stored.missing += missing.findings
            return
        except Invalid as invalid:
            self.findings += invalid.findings
            return
        self.stored.paths |= inner.parameter_files
        self.stored.names |= inner.parameters
        self._documents |= inner.documents
        self.findings += inner.warnings
        self._steps += (nesting.inner_step(step.name, one) for one in inner.steps)
        for run in inner.runs:
            known = nesting.inner_name(step.name, run.step)
            self._runs.append(run._replace(step=known, claim=Claim("script", known)))
        self._sources |= inner.files
        for placed in inner.claims:
            self._claim(placed._replace(step=nesting.inner_name(step.name, placed.step)))

    def _claim(self, placed: Placed) -> None:
        held = self._claims.setdefault(placed.claim[:2], [])
        for other in held:
            if not meet(placed.claim, other.claim):
                continue
            message = f"the steps `{other.step}` and `{placed.step}` both own {placed.claim}"
            self.findings.append(Finding(message, placed.place, "one owner for each thing", related=(other.place,)))
        held.append(placed)


def _mentioned(name: str, ready: ReadyStep) -> Loc:
    """Where a step first has a reference."""
    for loc, tree in ((ready.inputs_loc, ready.tree), ((*ready.loc, "precondition"), ready.step.precondition)):
        for below, text in texts(tree):
            if name in references(text, set()):
                return (*loc, *below)
    return ready.inputs_loc


def _texts(precondition: Any) -> dict[str, list[str]]:
    return {operator: [str(side) for side in sides] for operator, sides in precondition.items()}
