"""What a runbook's references refer to: parameters, variables, outputs of steps that are not there or come too late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.core.problem import Finding, nearest
from reconciler.core.typed.words import is_what, one_of, path_text
from reconciler.documents.runbook import references, variables
from reconciler.documents.runbook.actions import ACTIONS
from reconciler.documents.runbook.flow import reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.core.manifest import Loc, Places
    from reconciler.documents.runbook.model import AutomationDocument
    from reconciler.documents.runbook.references import Reference
    from reconciler.documents.runbook.runbook import Step

VARIABLE = "variable:"
"""What the name of a variable begins with."""

_SCRIPTS = frozenset({"Script", "TemplateBody", "StackPolicyBody", "UserData", "commands", "Commands"})
"""Inputs that hold programs and templates: double braces in them are mostly their own."""


@dataclass(frozen=True, slots=True)
class Mention:
    """What one pair of braces holds, the step it is in (None for the document's outputs), and where.

    `reference` is None for what refers to nothing here; `foreign` where that may be another language's.
    """

    text: str
    reference: Reference | None
    step: Step | None
    loc: Loc
    foreign: bool = False


class _Fault(NamedTuple):
    """What is wrong with a mention."""

    message: str
    expected: str
    nearest: str = ""
    severity: str = "error"


def outputs_of(step: Step) -> tuple[str, ...]:
    """What later steps may read of a step."""
    by_itself = ACTIONS[step.action].outputs if step.action in ACTIONS else {}
    return (*(output.name for output in step.outputs), *by_itself)


def mentions(content: AutomationDocument, known: Mapping[str, Step]) -> tuple[Mention, ...]:
    """Every pair of braces whose content might be a reference, and every output that the document names."""

    def mention(text: str, step: Step | None, loc: Loc, foreign: bool = False) -> Mention:
        return Mention(text, references.read(text, content.parameters, known), step, loc, foreign)

    found = []
    for step in known.values():
        for loc, text in references.texts(_at(content.main_steps, step.loc[1:]).get("inputs", {})):
            if step.loop and loc[0] == "Steps":
                continue
            foreign = "\n" in text or any(part in _SCRIPTS for part in loc)
            found += [mention(name, step, (*step.loc, "inputs", *loc), foreign) for name in references.names(text)]
    found += [mention(name, None, ("assumeRole",)) for name in references.names(content.assume_role or "")]
    for position, output in enumerate(content.outputs or ()):
        named = references.names(output) or [output]
        found += [mention(name, None, ("outputs", position)) for name in named]
    return tuple(found)


def findings(
    found: Iterable[Mention], content: AutomationDocument, known: Mapping[str, Step], places: Places
) -> Iterator[Finding]:
    """References to what the document does not have."""
    for mention in found:
        fault = _fault(mention, content, known)
        if fault:
            place = places.of(mention.loc)
            yield Finding(fault.message, place, fault.expected, fault.nearest, fault.severity)
    for step in known.values():
        if step.action == "aws:updateVariable":
            yield from _update(step, content, places)


def untimely(
    found: Iterable[Mention], known: Mapping[str, Step], leads: Mapping[str, set[str]], places: Places
) -> Iterator[Finding]:
    """References to outputs of steps that cannot have run by then."""
    after: dict[str, set[str]] = {}
    for mention in found:
        source = mention.reference.step if mention.reference else ""
        if not source or mention.step is None or (known[source].loop and mention.step.name == source):
            continue
        if source not in after:
            after[source] = reach(leads, *leads[source])
        if mention.step.name not in after[source]:
            message = f"`{mention.text}` is read before the step `{source}` can have run"
            yield Finding(message, places.of(mention.loc), "an output of an earlier step", severity="warning")


def _at(tree: Any, loc: Loc) -> Any:
    for part in loc:
        tree = tree[part]
    return tree


def _fault(mention: Mention, content: AutomationDocument, known: Mapping[str, Step]) -> _Fault | None:
    reference = mention.reference
    if reference is None:
        return _unread(mention, content, known)
    if reference.step:
        declared = outputs_of(known[reference.step])
        if reference.name not in declared:
            message = f"the step `{reference.step}` has no output `{reference.name}`"
            expected = one_of(declared) if declared else "an output that it declares under `outputs`"
            return _Fault(message, expected, nearest(reference.name, declared))
    elif reference.prefix == VARIABLE:
        return _unknown_variable(reference.name, content)
    elif reference.prefix in _NAMES:
        names = [reference.prefix + name for name in _NAMES[reference.prefix]]
        if reference.prefix + reference.name not in names:
            return _Fault(f"there is no `{reference.text}`", one_of(names), nearest(reference.text, names))
        if reference.prefix == LOOP and mention.step is not None and not mention.step.within:
            return _Fault(f"`{reference.text}` is read outside of a loop", "a step within a loop")
    return None


LOOP = "loop:"
_NAMES = {"global:": references.GLOBALS, "automation:": references.AUTOMATION, LOOP: references.LOOP}


def _unread(mention: Mention, content: AutomationDocument, known: Mapping[str, Step]) -> _Fault | None:
    """What refers to nothing of this document: a mistake, unless it may belong to another language."""
    head, dot, _ = mention.text.partition(".")
    near = nearest(head, known if dot else content.parameters)
    if mention.foreign and not near:
        return None
    severity = "warning" if mention.foreign else "error"
    if dot:
        expected = one_of(known) if known else "a step"
        return _Fault(f"there is no step `{head}` to read `{mention.text}` of", expected, near, severity)
    expected = one_of(content.parameters) if content.parameters else "a declared parameter"
    return _Fault(f"there is no parameter `{mention.text}`", expected, near, severity)


def _update(step: Step, content: AutomationDocument, places: Places) -> Iterator[Finding]:
    """What is wrong with the variable that a step changes, and with its new value where that is written out."""
    target, value = str(step.inputs.get("Name", "")), step.inputs.get("Value")
    loc = (*step.loc, "inputs")
    if "{{" in target or not target:
        return
    name = target.removeprefix(VARIABLE)
    if name == target:
        expected = f"`{VARIABLE}NAME`"
        yield Finding(f"`{target}` is no name of a variable", places.of((*loc, "Name")), expected)
    elif fault := _unknown_variable(name, content):
        yield Finding(fault.message, places.of((*loc, "Name")), fault.expected, fault.nearest)
    elif value is not None and "{{" not in str(value):
        kind = content.variables[name].type
        if not variables.fits(kind, value):
            where = (*loc, "Value")
            yield Finding(f"{path_text(where)} {is_what(value)}", places.of(where), variables.words(kind))


def _unknown_variable(name: str, content: AutomationDocument) -> _Fault | None:
    known = content.variables
    if name in known:
        return None
    expected = one_of(known) if known else "a variable declared under `variables`"
    return _Fault(f"there is no variable `{name}`", expected, nearest(name, known))
