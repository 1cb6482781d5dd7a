"""The normal form of a document: the same fields whatever its schemaVersion, for people to see and programs to compare.

Values of parameters are what their types make of them; inputs of steps are as written, scalars by YAML's core schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.core.manifest import resolve
from reconciler.documents.runbook import Runbook
from reconciler.documents.runbook.mentions import outputs_of
from reconciler.documents.runbook.runbook import Edge, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.core.manifest import Loc, Tree
    from reconciler.documents.document import Document
    from reconciler.documents.model import Parameter
    from reconciler.documents.runbook.runbook import Output
    from reconciler.documents.steps import ReadyStep


def normal(document: Document, tree: Tree) -> dict[str, Any]:
    """The normal form of a valid document; `tree` is what it was read from. JSON throughout."""
    content = document.content
    runbook = content if isinstance(content, Runbook) else None
    return {
        "name": document.name,
        "type": document.type,
        "schemaVersion": str(_at(tree, ("schemaVersion",))),
        "description": content.description or "",
        "assumeRole": runbook.assume_role if runbook else "",
        "parameters": {name: parameter_form(declared) for name, declared in document.parameters.items()},
        "variables": _resolved(tree, "variables"),
        "steps": _steps(runbook.steps, tree) if runbook else [_command_step(ready) for ready in document.steps],
        "edges": [_edge(edge) for edge in edges(document)],
        "outputs": list(runbook.outputs) if runbook else [],
        "files": _resolved(tree, "files"),
        **{name: _resolved(tree, name) for name in _OWN[document.type]},
    }


_OWN: dict[str, tuple[str, ...]] = {
    "Automation": (),
    "Command": (),
    "Package": ("version", "publisher", "packages"),
    "Policy": (),
    "Session": ("sessionType", "inputs", "properties"),
}
"""Fields that one type has alone, kept as they are."""


def parameter_form(declared: Parameter) -> dict[str, Any]:
    """A parameter with its default as a value of its type, and only the constraints that it has."""
    form = declared.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
    return {"type": form.pop("type"), "required": declared.default is None, **form}


def edges(document: Document) -> tuple[Edge, ...]:
    """Every way that control may flow, in the order of the steps."""
    if isinstance(document.content, Runbook):
        return document.content.edges
    return tuple(_command_edges(document.steps))


def _command_edges(steps: Sequence[ReadyStep]) -> Iterator[Edge]:
    """SSM's way on nodes: in order, even after a failure, but for what `onFailure` and `onSuccess` end early."""
    names = [ready.step.name for ready in steps]
    last = names[-1] if steps and steps[-1].control.finally_step else None
    for ready, following in zip(steps, [*names[1:], None], strict=False):
        name, control = ready.step.name, ready.control
        early = last if last != name else None
        yield Edge(name, early if control.on_success else following, "next")
        if control.on_failure:
            yield Edge(name, early, "failure", "on failure")


def _edge(edge: Edge) -> dict[str, Any]:
    return {"from": edge.source, "to": edge.target, "kind": edge.kind, "label": edge.label}


def _command_step(ready: ReadyStep) -> dict[str, Any]:
    step, control = ready.step, ready.control
    form = {
        "name": step.name,
        "action": step.action,
        "description": step.description,
        "inputs": resolve(step.inputs),
        "precondition": step.precondition,
        "onFailure": control.on_failure,
        "onSuccess": control.on_success,
        "finallyStep": control.finally_step,
        "timeoutSeconds": step.timeout_seconds,
        "maxAttempts": step.max_attempts,
    }
    return {name: value for name, value in form.items() if name in _ALWAYS or value}


def _steps(steps: Sequence[Step], tree: Tree) -> list[dict[str, Any]]:
    return [_automation_step(step, tree) for step in steps]


def _automation_step(step: Step, tree: Tree) -> dict[str, Any]:
    form = {
        "name": step.name,
        "action": step.action,
        "description": step.description,
        "inputs": resolve(_at(tree, (*step.loc, "inputs")) or {}),
        "outputs": [_output(output) for output in step.outputs],
        "gives": list(outputs_of(step)),
        "nextStep": step.next_step,
        "isEnd": step.is_end,
        "isCritical": step.is_critical,
        "onFailure": str(step.on_failure),
        "onCancel": str(step.on_cancel),
        "maxAttempts": step.max_attempts,
        "timeoutSeconds": step.limit,
        "steps": _steps(step.loop.steps, tree) if step.loop else [],
    }
    return {name: value for name, value in form.items() if name in _ALWAYS or value}


_ALWAYS = frozenset({"name", "action", "inputs", "isEnd", "isCritical"})
"""Fields of a step that are there even where they say nothing."""


def _output(output: Output) -> dict[str, str]:
    return {"Name": output.name, "Selector": output.selector, "Type": output.type}


def _resolved(tree: Tree, name: str) -> Any:
    return resolve(_at(tree, (name,)) or {})


def _at(tree: Any, loc: Loc) -> Any:
    """What is there, None where nothing is."""
    for part in loc:
        if isinstance(tree, dict):
            tree = tree.get(str(part))
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree
