"""Executions of a runbook, in turns: what deciding and recording add to each step, without a store."""

from __future__ import annotations

import json
import time

from reconciler.capabilities.changes.automation import Answered, Perform, State, advance, awaited, start, to_json
from reconciler.capabilities.changes.automation.events import StepEnded
from reconciler.core.manifest import read_one
from reconciler.documents.runbook import Runbook, load

EXECUTIONS = 200
_WORKING = 22
_STARTED = 1_700_000_000_000


def bench_step() -> list[float]:
    """Seconds per step that ended: for each turn of all executions, one sample."""
    runbook = _runbook()
    executions = [_begun(runbook, number) for number in range(EXECUTIONS)]
    samples = []
    at = _STARTED
    while any(not state.ended for state in executions):
        at += 1000
        begun = time.perf_counter()
        ended = 0
        for number, state in enumerate(executions):
            work = next(effect for effect in awaited(state) if isinstance(effect, Perform))
            answered = Answered(at, work.id, "Success", {"Payload": {"size": number, "names": ["a", "b"]}})
            found = advance(runbook, state, at, answered)
            json.dumps([to_json(event) for event in found.events])
            executions[number] = found.state
            ended += sum(1 for event in found.events if isinstance(event, StepEnded))
        samples.append((time.perf_counter() - begun) / ended)
    return samples


def _begun(runbook: Runbook, number: int) -> State:
    begun = start(runbook, {}, fleet_id="f", execution=f"e{number}", subject="bench", at=_STARTED)
    return advance(runbook, State(), _STARTED, begun).state


def _runbook() -> Runbook:
    """Steps that do work, each reading the one before it; then branches, and a loop of two steps over ten items."""
    works = [
        {
            "name": f"work{number}",
            "action": "aws:executeScript",
            "inputs": {
                "Runtime": "python3.11",
                "Handler": "run",
                "Script": "def run(events, context):\n    return events\n" * 20,
                "InputPayload": {
                    "nodes": "{{ Nodes }}",
                    "before": f"{{{{ work{number - 1}.Size }}}}" if number else "",
                    "id": "{{ automation:EXECUTION_ID }}",
                },
            },
            "outputs": [
                {"Name": "Size", "Selector": "$.Payload.size", "Type": "Integer"},
                {"Name": "Names", "Selector": "$..names", "Type": "StringList"},
            ],
        }
        for number in range(_WORKING)
    ]
    choice = {"Variable": "{{ work3.Size }}", "NumericGreater": 10**9, "NextStep": "each"}
    branches = [
        {"name": f"pick{number}", "action": "aws:branch", "inputs": {"Choices": [choice]}} for number in range(3)
    ]
    change = {"Name": "variable:seen", "Value": "{{ each.CurrentIteratorValue }}"}
    inner = [
        {"name": "note", "action": "aws:updateVariable", "inputs": change},
        {**works[0], "name": "look", "outputs": []},
    ]
    loop = {"name": "each", "action": "aws:loop", "inputs": {"Iterators": [*"abcdefghij"], "Steps": inner}}
    document = {
        "schemaVersion": "0.3",
        "parameters": {"Nodes": {"type": "StringList", "default": [f"mi-{number:017x}" for number in range(20)]}},
        "variables": {"seen": {"type": "String"}},
        "mainSteps": [*works, *branches, loop],
        "outputs": ["work0.Size", "variable:seen"],
    }
    return load(read_one(json.dumps(document).encode(), "bench.json"), "bench")
