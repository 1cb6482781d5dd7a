"""Executions told as stories: a runbook, what comes from outside and when, and all that follows, a line for each."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

from reconciler.capabilities.changes.automation import (
    Abandon,
    Answered,
    AskApproval,
    Cancelled,
    ChildEnded,
    Perform,
    Signalled,
    StartChild,
    State,
    StopChild,
    advance,
    awaited,
    start,
    to_json,
)
from reconciler.capabilities.changes.automation.events import (
    AttemptEnded,
    ChildStarted,
    Ended,
    IterationStarted,
    PropertyAsked,
    PropertyDiffered,
    Started,
    StepEnded,
    StepStarted,
)
from reconciler.core.effect import Wake
from reconciler.core.manifest import read_one
from reconciler.documents.runbook import Runbook, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.capabilities.changes.automation import Effect, Event

OUTSIDE = (Started, Answered, ChildEnded, Signalled, Cancelled)


def runbook_of(case: Mapping[str, Any]) -> Runbook:
    """The runbook of a case: a whole document, or the steps alone."""
    text = case.get("document") or 'schemaVersion: "0.3"\nmainSteps:\n' + textwrap.indent(case["steps"], "  ")
    return load(read_one(str(text).encode(), "x.yaml"), "x")


def begun(case: Mapping[str, Any], runbook: Runbook) -> Started:
    """The event that the case begins with, at 0."""
    options: dict[str, Any] = dict(case.get("options", {}))
    if "over" in options:
        options["over"] = tuple(options["over"])
    given = case.get("given", {})
    return start(runbook, given, fleet_id="f", execution="run-1", subject="ann", at=0, **options)


class Story:
    """An execution with the lines told so far. Answers go to what it waits for."""

    def __init__(self, runbook: Runbook) -> None:
        self.runbook = runbook
        self.state = State()
        self.events: list[Event] = []
        self.lines: list[str] = []
        self.first_work = ""

    def happens(self, at: int, *incoming: Event) -> None:
        """Let something come from outside (nothing: time has passed), and tell what follows."""
        result = advance(self.runbook, self.state, at, *incoming)
        self.state = result.state
        self.events += result.events
        self.lines += [told(event) for event in result.events if not isinstance(event, OUTSIDE)]
        self.lines += [asked(effect) for effect in result.effects]
        works = [effect.id for effect in result.effects if isinstance(effect, Perform)]
        self.first_work = self.first_work or "".join(works[:1])

    def plays(self, turn: Mapping[str, Any]) -> None:
        """One turn of a case: `at`, and what happens then."""
        at = turn["at"]
        self.happens(at, *self._incoming(at, turn))

    def _incoming(self, at: int, turn: Mapping[str, Any]) -> Iterator[Event]:
        if "answer" in turn:
            yield Answered(at, self._work(), turn.get("status", "Success"), turn["answer"], turn.get("reason", ""))
        if "late" in turn:
            yield Answered(at, self.first_work, "Success", turn["late"])
        if "child" in turn:
            children = [effect for effect in awaited(self.state) if isinstance(effect, (StartChild, StopChild))]
            execution = children[turn.get("of", 0)].execution
            yield ChildEnded(at, execution, turn["child"], turn.get("outputs", {}), turn.get("reason", ""))
        if "signal" in turn:
            yield Signalled(at, turn["signal"], turn["by"], tuple(turn.get("roles", ())), turn.get("comment", ""))
        if "cancel" in turn:
            yield Cancelled(at, turn["cancel"], turn.get("reason", ""))

    def _work(self) -> str:
        return next(effect.id for effect in awaited(self.state) if isinstance(effect, Perform))


def told(event: Event) -> str:
    """An event that was decided, as a line."""
    if isinstance(event, StepStarted):
        again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
        problem = f": {event.problem}" if event.problem else ""
        return f"{event.at} {event.step} begins{again} {_json(event.inputs)}{problem}"
    if isinstance(event, StepEnded):
        parts = [f"{event.at} {event.step} {event.status}"]
        parts += [_json(event.outputs)] if event.outputs else []
        parts += [f"({event.reason})"] if event.reason else []
        parts += [f"[{event.why}]"] if event.why else []
        parts += [f"-> {event.next}"] if event.next else []
        return " ".join(parts)
    if isinstance(event, AttemptEnded):
        return f"{event.at} {event.step} attempt {event.attempt} {event.status} ({event.reason})"
    if isinstance(event, IterationStarted):
        why = f" [{event.why}]" if event.why else ""
        return f"{event.at} {event.step} iteration {event.iteration} {_json(event.value)}{why}"
    if isinstance(event, PropertyDiffered):
        return f"{event.at} the property is {_json(event.value)}, again at {event.until}"
    if isinstance(event, PropertyAsked):
        return f"{event.at} the property is asked for again"
    if isinstance(event, ChildStarted):
        return f"{event.at} child {event.index} for {event.target}"
    if isinstance(event, Ended):
        outputs = f" {_json(event.outputs)}" if event.outputs else ""
        return f"{event.at} ends as {event.status}{outputs}" + (f" ({event.reason})" if event.reason else "")
    raise AssertionError(to_json(event))


def asked(effect: Effect) -> str:
    """An effect as a line."""
    if isinstance(effect, Perform):
        until = f" until {effect.deadline}" if effect.deadline is not None else ""
        return f"> do {effect.step} {effect.action}{until}"
    if isinstance(effect, StartChild):
        options = f" {_json(effect.options)}" if effect.options else ""
        return f"> start {effect.document}{effect.version and ':'}{effect.version} {_json(effect.parameters)}{options}"
    if isinstance(effect, AskApproval):
        return f"> ask {effect.required} of {', '.join(effect.approvers)}: {effect.message}"
    if isinstance(effect, Abandon):
        return "> abandon"
    if isinstance(effect, StopChild):
        return "> stop the child"
    assert isinstance(effect, Wake)
    return f"> wake at {effect.at}"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
