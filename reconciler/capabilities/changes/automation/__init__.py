"""Automation: executions of runbooks, as a reducer over recorded events.

Belongs here: what an execution's events come to, what it does next, what it waits for, and how people see it. Pure: an
execution is its list of events and goes on from any prefix of it, on any machine.
Does not belong here: what a runbook means (see `reconciler.documents.runbook`), and doing what effects ask for.

    started = start(runbook, {"Name": "x"}, fleet_id=..., execution=..., subject=..., at=...)
    state, events, effects, more = advance(runbook, State(), at, started)
    ...                                           # events and effects recorded together, effects performed
    state, events, effects, more = advance(runbook, state, at, Answered(at, effect.id, "Success", {...}))
"""

from reconciler.capabilities.changes.automation.awaiting import awaited
from reconciler.capabilities.changes.automation.controls import is_approver
from reconciler.capabilities.changes.automation.decide import Advance, advance, decide
from reconciler.capabilities.changes.automation.effects import (
    Abandon,
    AskApproval,
    Effect,
    Perform,
    StartChild,
    StopChild,
)
from reconciler.capabilities.changes.automation.events import (
    Answered,
    Cancelled,
    ChildEnded,
    ChildStarted,
    Event,
    Signalled,
    Started,
    from_json,
    to_json,
)
from reconciler.capabilities.changes.automation.starting import CONCURRENCY, ERRORS, start, wanted_facts
from reconciler.capabilities.changes.automation.state import State, evolve, replay
from reconciler.capabilities.changes.automation.timeline import StepExecution, timeline

__all__ = [
    "CONCURRENCY",
    "ERRORS",
    "Abandon",
    "Advance",
    "Answered",
    "AskApproval",
    "Cancelled",
    "ChildEnded",
    "ChildStarted",
    "Effect",
    "Event",
    "Perform",
    "Signalled",
    "StartChild",
    "Started",
    "State",
    "StepExecution",
    "StopChild",
    "advance",
    "awaited",
    "decide",
    "evolve",
    "from_json",
    "is_approver",
    "replay",
    "start",
    "timeline",
    "to_json",
    "wanted_facts",
]
