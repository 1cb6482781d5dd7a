"""Random runbooks in a random world: no step is lost or repeated, and any prefix of events goes on as the whole did."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reconciler.capabilities.changes.automation import (
    Abandon,
    Answered,
    Cancelled,
    ChildEnded,
    Perform,
    Signalled,
    StartChild,
    State,
    advance,
    awaited,
    decide,
    evolve,
    from_json,
    replay,
    start,
    timeline,
    to_json,
)
from reconciler.capabilities.changes.automation.events import (
    AttemptEnded,
    Ended,
    IterationStarted,
    StepEnded,
    StepStarted,
)
from reconciler.core.effect import Wake
from reconciler.core.manifest import read_one
from reconciler.documents.runbook import Runbook, load
from reconciler.documents.runbook.runbook import walk
from tests.capabilities.automations import OUTSIDE

if TYPE_CHECKING:
    from reconciler.capabilities.changes.automation import Effect, Event

_PROPERTY = {"Service": "s", "Api": "a"}
_WORK = {
    "aws:executeAwsApi": {"Service": "s", "Api": "{{ variable:count }}"},
    "aws:runCommand": {"DocumentName": "d", "InstanceIds": ["{{ Ids }}"]},
    "aws:executeAutomation": {"DocumentName": "d"},
    "aws:waitForAwsResourceProperty": {
        "Service": "s",
        "Api": "a",
        "PropertySelector": "$.up",
        "DesiredValues": ["true"],
    },
    "aws:sleep": {"Duration": "PT7S"},
    "aws:pause": {},
    "aws:approve": {"Approvers": ["ann", "bob"], "MinRequiredApprovals": 2},
    "aws:updateVariable": {"Name": "variable:count", "Value": 3},
}


@st.composite
def steps(draw: st.DrawFn, prefix: str, outer: tuple[str, ...], depth: int) -> list[dict[str, Any]]:
    """Steps that lead to later ones only (or, in a loop, to outer ones), so that each execution ends."""
    names = [f"{prefix}{at}" for at in range(draw(st.integers(1, 5)))]
    return [draw(_step(name, tuple(names[at + 1 :]) + outer, depth)) for at, name in enumerate(names)]


@st.composite
def _step(draw: st.DrawFn, name: str, later: tuple[str, ...], depth: int) -> dict[str, Any]:
    action = draw(st.sampled_from([*_WORK, "aws:branch", "aws:loop"] if depth else [*_WORK, "aws:branch"]))
    step: dict[str, Any] = {"name": name, "action": action, "inputs": _WORK.get(action, {})}
    if action == "aws:branch":
        if not later:
            return {"name": name, "action": "aws:pause", "inputs": {}}
        target = draw(st.sampled_from(later))
        choice = {
            "Variable": "{{ variable:count }}",
            "NumericEquals": draw(st.sampled_from([0, 3])),
            "NextStep": target,
        }
        step["inputs"] = {"Choices": [choice]}
    elif action == "aws:loop":
        inner = draw(steps(f"{name}.", later, depth - 1))
        items = draw(st.lists(st.sampled_from("xyz"), max_size=3))
        step["inputs"] = {"Steps": inner, "Iterators": items}
    reactions = ["Abort", "Continue", *(f"step:{other}" for other in later)]
    extras: dict[str, st.SearchStrategy[Any]] = {
        "onFailure": st.sampled_from(reactions),
        "maxAttempts": st.integers(1, 3),
        "timeoutSeconds": st.integers(1, 20),
        "isCritical": st.booleans(),
        "isEnd": st.booleans(),
    }
    if action != "aws:loop" and later:
        extras["onCancel"] = st.sampled_from([f"step:{other}" for other in later])
    if later:
        extras["nextStep"] = st.sampled_from(later)
    return {**step, **draw(st.fixed_dictionaries({}, optional=extras))}


def runbook_of(main: list[dict[str, Any]]) -> Runbook:
    document = {
        "schemaVersion": "0.3",
        "parameters": {"Ids": {"type": "StringList", "default": ["a", "b"]}},
        "variables": {"count": {"type": "Integer", "default": 0}},
        "mainSteps": main,
    }
    return load(read_one(json.dumps(document).encode(), "x.json"), "x")


class World:
    """Answers what an execution waits for, in any way and order, sometimes twice, late, or by the wrong one."""

    def __init__(self, runbook: Runbook, data: st.DataObject, mode: Any) -> None:
        self.runbook = runbook
        self.at = 1000
        self.state = State()
        self.events: list[Event] = []
        self.effects: list[Effect] = []
        self._data = data
        begun = start(runbook, {}, fleet_id="f", execution="e", subject="ann", at=self.at, mode=mode)
        self._take(begun)

    def lives(self) -> None:
        """Until the execution is over."""
        for _ in range(2000):
            if self.state.ended:
                return
            self._take(*self._next())
        raise AssertionError("it does not end")

    def _take(self, *incoming: Event) -> None:
        result = advance(self.runbook, self.state, self.at, *incoming)
        assert not result.more
        self.state = result.state
        self.events += result.events
        self.effects += result.effects

    def _next(self) -> tuple[Event, ...]:
        waits = awaited(self.state)
        ways = [effect for effect in waits if isinstance(effect, (Perform, StartChild, Wake))]
        if self.state.held:
            return (Signalled(self.at, self._draw(st.sampled_from(["StartStep", "StartStep", "Resume"])), "ann"),)
        chance = self._draw(st.integers(0, 19))
        if chance == 0:
            return (Cancelled(self.at, "bob"),)
        if chance in (1, 2):
            signal = self._draw(st.sampled_from(["Approve", "Reject", "StopStep", "StartStep", "Resume"]))
            return (Signalled(self.at, signal, self._draw(st.sampled_from(["ann", "bob", "eve"]))),)
        if chance == 3:
            return (Answered(self.at, "somebody's", "Success"), ChildEnded(self.at, "somebody's", "Failed"))
        if self.state.status == "Waiting" and chance < 12:
            return (
                Signalled(self.at, self._draw(st.sampled_from(["Approve", "Resume"])), "bob" if chance % 2 else "ann"),
            )
        way = self._draw(st.sampled_from(ways))
        if isinstance(way, Perform):
            status = self._draw(st.sampled_from(["Success", "Success", "Failed"]))
            answered = Answered(self.at, way.id, status, {"up": self._draw(st.booleans())})
            return (answered, answered) if chance > 17 else (answered,)
        if isinstance(way, StartChild):
            return (ChildEnded(self.at, way.execution, self._draw(st.sampled_from(["Success", "Failed"]))),)
        self.at = max(self.at, way.at)
        return ()

    def _draw(self, strategy: st.SearchStrategy[Any]) -> Any:
        return self._data.draw(strategy)


@settings(
    max_examples=150,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(main=steps("s", (), 2), mode=st.sampled_from(["Auto", "Auto", "Interactive"]), data=st.data())
def test_any_runbook_in_any_world(main: list[dict[str, Any]], mode: str, data: st.DataObject) -> None:
    runbook = runbook_of(main)
    world = World(runbook, data, mode)
    world.lives()
    _assert_goes_on_from_any_prefix(runbook, world)
    _assert_no_step_is_lost_or_repeated(runbook, world.events)
    _assert_all_work_is_settled(world)


def _assert_goes_on_from_any_prefix(runbook: Runbook, world: World) -> None:
    """Also after its events were written down and read again, which gives the same state."""
    kept = [from_json(json.loads(json.dumps(to_json(event)))) for event in world.events]
    assert kept == world.events
    state = State()
    for event in kept:
        if not isinstance(event, OUTSIDE):
            assert decide(runbook, state, event.at) == event
        state = evolve(state, event)
    assert state == replay(world.events) == world.state
    assert decide(runbook, state, world.at + 10**9) is None
    assert awaited(state) == ()


def _assert_no_step_is_lost_or_repeated(runbook: Runbook, events: list[Event]) -> None:
    ended: set[int] = set()
    attempts: Counter[int] = Counter()
    open_visits: list[int] = []
    expected: str | None = runbook.steps[0].name
    for event in events:
        if isinstance(event, StepStarted):
            assert event.visit not in ended
            attempts[event.visit] += 1
            assert event.attempt == attempts[event.visit] <= runbook.by_name[event.step].max_attempts
            assert event.step == expected
            expected = None
            if event.attempt == 1:
                open_visits.append(event.visit)
        elif isinstance(event, AttemptEnded):
            assert event.visit == open_visits[-1]
            expected = event.step
        elif isinstance(event, IterationStarted):
            assert event.visit == open_visits[-1]
            assert expected is None
            expected = event.first
        elif isinstance(event, StepEnded):
            assert event.visit == open_visits.pop()
            ended.add(event.visit)
            expected = event.next
            assert event.next in _ways(runbook, event)
    assert open_visits == []
    assert isinstance(events[-1], Ended)
    assert sorted(attempts) == sorted(ended) == list(range(1, len(ended) + 1))
    told = timeline(runbook, events)
    assert [run.visit for run in told if run.visit] == sorted(ended)
    assert {run.step for run in told} == {step.name for step in walk(runbook.steps)}
    assert all((run.status == "Pending") == (run.visit == 0) for run in told)


_KINDS: dict[str, tuple[str, ...]] = {
    "Success": ("next", "choice", "default"),
    "Cancelled": ("cancel", "failure"),
}


def _ways(runbook: Runbook, event: StepEnded) -> set[str | None]:
    """Where the document lets control go after this end of a step."""
    if event.status == "Exited" or event.aborts:
        return {event.next}
    kinds = {"Success": ("next", "choice", "default"), "Cancelled": ("cancel", "failure")}.get(
        event.status, ("failure",)
    )
    return {edge.target for edge in runbook.edges if edge.source == event.step and edge.kind in kinds}


def _assert_all_work_is_settled(world: World) -> None:
    """Each piece of work is asked for once, and is answered or given up."""
    asked = [effect.id for effect in world.effects if isinstance(effect, Perform)]
    assert len(asked) == len(set(asked))
    answered = {event.work for event in world.events if isinstance(event, Answered)}
    dropped = {effect.id for effect in world.effects if isinstance(effect, Abandon)}
    assert set(asked) == dropped | (answered & set(asked))
    assert dropped.isdisjoint(answered)
