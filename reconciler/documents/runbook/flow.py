"""Where control may go from step to step, and what is wrong with that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.core.problem import Finding, nearest
from reconciler.core.typed.words import one_of
from reconciler.documents.runbook.conditions import And, Comparison, Not
from reconciler.documents.runbook.references import written
from reconciler.documents.runbook.runbook import Edge, Step, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.core.manifest import Loc, Places
    from reconciler.documents.runbook.conditions import Condition
    from reconciler.documents.runbook.runbook import EdgeKind, Reaction

END = ""
"""The end of the execution, where steps are told by name."""


def edges(steps: tuple[Step, ...]) -> tuple[Edge, ...]:
    """Every way that control may flow, in the order of the steps."""
    return tuple(edge for step in walk(steps) for edge in _edges(step))


def _edges(step: Step) -> Iterator[Edge]:
    if step.branch:
        for choice in step.branch.choices:
            yield Edge(step.name, choice.next_step, "choice", label(choice.condition))
        yield Edge(step.name, step.branch.default or step.successor, "default", "otherwise")
    else:
        if step.loop and step.loop.steps:
            often = f"again while {label(step.loop.condition)}" if step.loop.condition else "each time"
            yield Edge(step.name, step.loop.steps[0].name, "body", often)
        yield Edge(step.name, step.successor, "next")
    reactions: dict[EdgeKind, Reaction] = {"failure": step.on_failure, "cancel": step.on_cancel}
    for kind, reaction in reactions.items():
        if reaction.kind == "step":
            yield Edge(step.name, reaction.step, kind, f"on {kind}")
        elif reaction.kind == "Continue":
            yield Edge(step.name, step.successor, "failure", "on failure")


def label(condition: Condition) -> str:
    """A condition as one line for people."""
    if isinstance(condition, Comparison):
        return f"{written(condition.variable)} {condition.operator} {written(condition.value)}"
    if isinstance(condition, Not):
        return f"not ({label(condition.condition)})"
    word = " and " if isinstance(condition, And) else " or "
    return word.join(f"({label(one)})" for one in condition.conditions)


def strange_targets(known: Mapping[str, Step], steps: Iterable[Step], places: Places) -> Iterator[Finding]:
    """Names of steps that lead nowhere: unknown ones, and steps within a loop seen from outside."""
    for step in steps:
        near = [name for name, other in known.items() if other.within in _around(step, known)]
        for target, loc in _targets(step):
            if target in near:
                continue
            place, expected = places.of(loc), one_of(near)
            if target in known:
                message = f"the step `{target}` is within the loop `{known[target].within}`, which `{step.name}` is not"
                yield Finding(message, place, expected)
            else:
                yield Finding(f"there is no step `{target}`", place, expected, nearest(target, near))


def _around(step: Step, known: Mapping[str, Step]) -> set[str]:
    """The loops that a step stands in, and the empty name of the document itself."""
    around = {"", step.within}
    while step.within in known and known[step.within].within not in around:  # a name given twice may go round
        step = known[step.within]
        around.add(step.within)
    return around


def _targets(step: Step) -> Iterator[tuple[str, Loc]]:
    """Every name of a step that a step gives, and where."""
    if step.next_step is not None:
        yield step.next_step, (*step.loc, "nextStep")
    reactions: tuple[tuple[str, Reaction], ...] = (("onFailure", step.on_failure), ("onCancel", step.on_cancel))
    for word, reaction in reactions:
        if reaction.kind == "step":
            yield reaction.step, (*step.loc, word)
    if step.branch:
        for choice in step.branch.choices:
            yield choice.next_step, (*step.loc, "inputs", "Choices", choice.position, "NextStep")
        if step.branch.default is not None:
            yield step.branch.default, (*step.loc, "inputs", "Default")


def findings(known: Mapping[str, Step], ways: Iterable[Edge], places: Places) -> Iterator[Finding]:
    """Steps that nothing leads to, and steps that go round for ever; for runbooks whose targets are all known."""
    leads = successors(known, ways)
    first = next(iter(known), END)
    reached = reach(leads, first)
    for step in known.values():
        if step.name not in reached:
            place = places.of((*step.loc, "name"))
            yield Finding(f"nothing leads to the step `{step.name}`", place, _LEADING, severity="warning")
        if step.is_end and step.next_step is not None:
            place = places.of((*step.loc, "nextStep"))
            yield Finding(
                "the execution ends here, so `nextStep` is never taken", place, "`isEnd` or `nextStep`", "", "warning"
            )
    yield from _endless(known, leads, reached, places)


_LEADING = "a `nextStep`, a choice or an order that does"


def _endless(
    known: Mapping[str, Step], leads: Mapping[str, set[str]], reached: set[str], places: Places
) -> Iterator[Finding]:
    back: dict[str, set[str]] = {}
    for source, targets in leads.items():
        for target in targets:
            back.setdefault(target, set()).add(source)
    ending = reach(back, END)
    endless = [name for name in known if name in reached and name not in ending]
    circle = next((name for name in endless if name in reach(leads, *leads[name])), None)
    if circle is not None:
        around = [name for name in endless if name in reach(leads, circle) and circle in reach(leads, name)]
        names = ", ".join(f"`{name}`" for name in around)
        message = f"{names} follows itself for ever" if len(around) == 1 else f"{names} follow each other for ever"
        yield Finding(message, places.of((*known[circle].loc, "name")), "a way to an end")


def successors(known: Mapping[str, Step], ways: Iterable[Edge]) -> dict[str, set[str]]:
    """By step, those that may come next. The end of an iteration leads to its loop; `END` is that of the execution."""
    leads: dict[str, set[str]] = {name: set() for name in known}
    for edge in ways:
        target = known[edge.source].within if edge.target is None else edge.target
        leads[edge.source].add(target)
    return leads


def reach(leads: Mapping[str, set[str]], *starts: str) -> set[str]:
    """Everything that can be reached from these, they themselves included."""
    reached = set(starts)
    waiting = list(starts)
    while waiting:
        new = leads.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    return reached
