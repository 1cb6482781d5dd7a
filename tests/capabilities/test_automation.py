"""Executions of runbooks, by cases: one story per action, per form of a reference and per way of going on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.capabilities.changes.automation import (
    Cancelled,
    State,
    advance,
    evolve,
    from_json,
    is_approver,
    replay,
    start,
    timeline,
    to_json,
    wanted_facts,
)
from reconciler.capabilities.changes.automation.events import Ended
from reconciler.core.manifest import Plain
from reconciler.core.problem import Invalid
from reconciler.documents.runbook.actions import ACTIONS
from tests.capabilities.automations import Story, begun, runbook_of

HERE = Path(__file__).parent
CASES = yaml.safe_load((HERE / "cases" / "automation.yaml").read_text())


def plays(case: dict[str, Any]) -> Story:
    story = Story(runbook_of(case))
    story.happens(0, begun(case, story.runbook))
    for turn in case.get("turns", ()):
        story.plays(turn)
    return story


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_story(case: dict[str, Any]) -> None:
    story = plays(case)
    assert story.lines == case["lines"]
    assert story.state.status == case["status"]


def test_every_action_is_in_a_story() -> None:
    told = {step.action for case in CASES for step in runbook_of(case).by_name.values()}
    assert told == set(ACTIONS)


DOCUMENT = """
schemaVersion: "0.3"
assumeRole: "{{ Role }}"
parameters:
  Role: {type: String, default: "arn:{{ ssm:/role }}"}
  Id: {type: String, allowedValues: [a, b]}
  Count: {type: Integer, default: 1}
  Map: {type: StringMap, default: {}}
variables: {all: {type: StringList}, n: {type: Integer, default: 3}}
mainSteps:
  - {name: go, action: "aws:executeAwsApi", inputs: {Service: s, Api: "{{ global:REGION }} {{ global:DATE }} {{ Id }}"}}
  - name: turn
    action: aws:loop
    inputs:
      LoopCondition: {Variable: "{{ ssm:/more }}", StringEquals: x}
      Steps: [{name: stay, action: "aws:pause"}]
"""
WHO: dict[str, Any] = {"fleet_id": "f", "execution": "e", "subject": "ann", "at": 1}


def test_what_has_to_be_known_at_the_start() -> None:
    assert wanted_facts(runbook_of({"document": DOCUMENT})) == {"ssm:/role", "ssm:/more", "global:REGION"}


def test_a_start_gives_values_to_everything() -> None:
    runbook = runbook_of({"document": DOCUMENT})
    started = start(runbook, {"Id": ["a"], "Map": {"k": 1}, "Count": 7}, facts={"ssm:/role": "r"}, **WHO)
    assert started.parameters == {"Role": "arn:r", "Id": "a", "Count": 7, "Map": {"k": 1}}
    assert all(type(value) is not Plain for value in started.parameters.values())
    assert started.variables == {"all": [], "n": 3}
    assert (started.assume_role, started.first, started.document) == ("arn:r", "go", "x")


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ({}, {}, "parameters: error: parameter `Id`: is required; expected `Id` under `parameters`"),
        ({"Id": "c"}, {}, "parameters.Id: error: parameter `Id`: is `c`; expected `a`, `b`"),
        ({"Id": "a", "Di": "a"}, {}, "parameters.Di: error: the document has no parameter `Di`"),
        ({"Id": "a"}, {"facts": {}}, "parameters: error: `ssm:/role` has no value"),
        (
            {},
            {"over": ("Ids", ["a"])},
            "parameters: error: the runbook has no parameter `Ids` that could",
        ),
        ({}, {"over": ("Id", ["a", "c"])}, "parameters.Id: error: parameter `Id`: is `c`; expected `a`, `b`"),
    ],
)
def test_a_start_is_refused(given: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid) as refused:
        start(runbook_of({"document": DOCUMENT}), given, **{"facts": {"ssm:/role": "r"}, **options}, **WHO)
    assert str(refused.value).startswith(message)


def test_events_are_read_as_they_were_written() -> None:
    for case in CASES:
        events = plays(case).events
        again = [from_json(json.loads(json.dumps(to_json(event)))) for event in events]
        assert again == events
        assert replay(again) == plays(case).state


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"type": "Nothing"}, "there is no event `Nothing`"),
        ({}, "there is no event `None`"),
        ({"type": "Cancelled", "at": 1}, "the event `Cancelled` is not whole"),
    ],
)
def test_what_is_no_event(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(data)


def test_fields_of_a_later_version_are_ignored() -> None:
    assert from_json({"type": "Cancelled", "at": 1, "by": "bob", "later": True}) == Cancelled(1, "bob")


def test_what_is_over_stays_so() -> None:
    story = plays({"steps": "- {name: a, action: 'aws:sleep', inputs: {Duration: PT0S}}"})
    assert story.state.status == "Success"
    assert evolve(story.state, Cancelled(9, "bob")) == story.state
    assert advance(story.runbook, story.state, 9, Cancelled(9, "bob")).effects == ()
    assert State().status == "Pending"


def test_an_execution_that_goes_round_ends_and_lets_others_have_their_turn() -> None:
    runbook = runbook_of(
        {
            "document": """
schemaVersion: "0.3"
variables: {go: {type: Boolean, default: true}}
mainSteps:
  - {name: set, action: "aws:updateVariable", inputs: {Name: "variable:go", Value: true}}
  - name: again
    action: aws:branch
    inputs: {Choices: [{Variable: "{{ variable:go }}", BooleanEquals: true, NextStep: set}]}
"""
        }
    )
    found = advance(runbook, State(), 1, start(runbook, {}, **WHO))
    turns, events = 1, len(found.events)
    while found.more:
        found = advance(runbook, found.state, 1)
        turns, events = turns + 1, events + len(found.events)
    assert (turns, events) == (21, 20_002)
    assert found.state.ended == Ended(1, "Failed", "10000 steps have run, the most that one execution may")


def test_a_timeline_tells_what_went_in_and_came_out() -> None:
    case = next(case for case in CASES if case["name"] == "a loop over items, its value and its number")
    story = plays(case)
    told = timeline(story.runbook, story.events)
    assert [(run.step, run.status, run.parent, run.iteration, run.value, run.duration) for run in told] == [
        ("each", "Success", 0, 0, None, 4),
        ("change", "Success", 1, 1, "a", 1),
        ("note", "Success", 1, 1, "a", 1),
        ("change", "Success", 1, 2, "b", 1),
        ("note", "Success", 1, 2, "b", 1),
        ("after", "Waiting", 0, 0, None, None),
    ]
    assert (told[1].inputs["InstanceIds"], told[1].outputs) == (["a"], {"InstanceStates": ["stopped"]})
    assert [(note.at, note.text) for note in told[0].notes] == [(0, "iteration 1 begins"), (2, "iteration 2 begins")]


def test_a_timeline_tells_why_and_what_has_not_run() -> None:
    case = next(case for case in CASES if case["name"] == "a branch by every operator")
    story = plays(case)
    told = {run.step: run for run in timeline(story.runbook, story.events)}
    assert told["pick"].why.endswith('choice 16: `["a","b"]` not Contains `c`')
    assert (told["pick"].next, told["wrong"].status, told["wrong"].begun) == ("right", "Pending", None)


def test_a_timeline_tells_of_attempts_and_answers() -> None:
    told = [
        note.text
        for name in ("attempts until one succeeds", "one rejection is enough", "waiting for a property")
        for case in CASES
        if case["name"] == name
        for run in timeline(runbook_of(case), plays(case).events)
        for note in run.notes
    ]
    assert told == [
        "attempt 1 ended as Failed: once",
        "attempt 2 ended as TimedOut: `try` took more than 10 s",
        "Approve by ann",
        "Reject by bob: not today",
        "the property was `off`",
    ]


@pytest.mark.parametrize(
    ("by", "roles", "found"),
    [
        ("ann", (), True),
        ("bob", (), True),
        ("arn:aws:iam::1:user/bob", (), True),
        ("eve", (), False),
        ("eve", ("ops",), True),
        ("aws", (), False),
        ("", (), False),
    ],
)
def test_who_approves(by: str, roles: tuple[str, ...], found: bool) -> None:
    approvers = ("ann", "arn:aws:iam::1:user/bob", "arn:aws:iam::1:role/ops")
    assert is_approver(approvers, by, roles) == found
