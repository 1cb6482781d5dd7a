"""Command and Policy documents: checked, and their steps made ready to be compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.core.problem import Finding
from reconciler.core.typed import check as check_typed
from reconciler.documents import runtime
from reconciler.documents.checked import Checked, doubtful_parameters, strange_references
from reconciler.documents.model import CommandDocument, Step
from reconciler.documents.runtime import RuntimeDocument
from reconciler.documents.steps import Written, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.core.manifest import Manifest, Places
    from reconciler.documents.checked import DocumentType
    from reconciler.documents.steps import ReadyStep


def check(manifest: Manifest) -> Checked:
    """A document of schemaVersion 2.0 or 2.2."""
    places = manifest.places
    content, found = check_typed(CommandDocument, manifest.tree, places)
    steps = list(_written(content.main_steps) if content else _legible(manifest.tree, places))
    return _checked(manifest, content, steps, [*found, *_repeated(steps, places)])


def check_runtime(manifest: Manifest) -> Checked:
    """A document of schemaVersion 1.2."""
    content, found = check_typed(RuntimeDocument, manifest.tree, manifest.places)
    config = manifest.tree.get("runtimeConfig") if isinstance(manifest.tree, dict) else None
    steps, findings = runtime.written_steps(config, manifest.places) if config is not None else ([], [])
    return _checked(manifest, content, steps, [*found, *findings, *_repeated(steps, manifest.places)])


def _written(steps: Sequence[Step]) -> Iterator[Written]:
    for position, step in enumerate(steps):
        yield Written(step, ("mainSteps", position), ("mainSteps", position, "inputs"))


def _legible(tree: Any, places: Places) -> Iterator[Written]:
    """The steps that can be read of a document that cannot; what is wrong about the others is said already."""
    trees = tree.get("mainSteps") if isinstance(tree, dict) else None
    for position, one in enumerate(trees if isinstance(trees, list) else ()):
        loc = ("mainSteps", position)
        step, _ = check_typed(Step, one, places, loc)
        if step is not None:
            yield Written(step, loc, (*loc, "inputs"))


def _checked(
    manifest: Manifest,
    content: CommandDocument | RuntimeDocument | None,
    written: Sequence[Written],
    findings: list[Finding],
) -> Checked:
    """The steps are looked at even where something else is wrong: one look tells everything."""
    places = manifest.places
    if content is not None:
        findings += doubtful_parameters(content, places)
    declared = _declared(manifest.tree)
    names = set(declared)
    steps: list[ReadyStep] = []
    for position, one in enumerate(written, 1):
        ready, found = prepare(one, names, places, last=position == len(written))
        findings += found
        if ready is not None:
            steps.append(ready)
            templated = str(ready.tree.get("template", "false")).lower() != "false"
            but = [("content",)] if templated else []
            findings += strange_references(ready.tree, ready.inputs_loc, declared, places, but)
    return Checked(_type(steps), content, findings, tuple(steps))


def _declared(tree: Any) -> dict[str, Any]:
    parameters = tree.get("parameters") if isinstance(tree, dict) else None
    return parameters if isinstance(parameters, dict) else {}


def _type(steps: Sequence[ReadyStep]) -> DocumentType:
    """SSM keeps it beside the document; only State Manager runs an inventory, and that is what policies are."""
    return "Policy" if any(ready.step.action == "aws:softwareInventory" for ready in steps) else "Command"


def _repeated(steps: Sequence[Written], places: Places) -> Iterator[Finding]:
    first: dict[str, Written] = {}
    for written in steps:
        earlier = first.setdefault(written.step.name, written)
        if earlier is not written:
            here, there = (one.name_place(places) for one in (written, earlier))
            message = f"a step is called `{written.step.name}` already"
            yield Finding(message, here, "each name once", related=(there,))
