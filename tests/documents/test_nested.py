"""Documents within documents, and places of content, by cases."""

from __future__ import annotations

from typing import Any

import pytest

from agent.contract.codec import to_wire
from agent.contract.job import Compile
from reconciler.core.problem import Invalid
from reconciler.documents import document
from reconciler.documents.compile import Steps, compile_document
from reconciler.documents.found import steps_of
from reconciler.documents.steps import asked_of_agents
from tests.documents.test_documents import Repository, as_told, cases, where


@pytest.mark.parametrize("case", cases("nested"))
def test_nested(case: dict[str, Any]) -> None:
    repository = Repository(case.get("files", {}))
    if "findings" in case:
        with pytest.raises(Invalid) as refused:
            compiled(case, repository)
        assert as_told(refused.value.findings) == sorted(case["findings"])
        return
    steps = compiled(case, repository)
    assert to_wire(steps.steps) == case["steps"]
    assert sorted(str(placed.claim) for placed in steps.claims) == case["claims"]
    assert [str(finding) for finding in steps.warnings] == case.get("warnings", [])
    assert ("within" in asked_of_agents(steps.steps)) == any("within" in step for step in case["steps"])
    assert {placed.step for placed in (*steps.claims, *steps.runs)} == {step.name for step in steps.steps}


def compiled(case: dict[str, Any], repository: Repository) -> Steps:
    read = document.load(case["document"].encode(), "documents/x.yaml")
    return compile_document(read, case.get("parameters", {}), repository, where)


def found(text: str, depth: int = 1, **parameters: Any) -> list[Any]:
    files = Repository({"documents/other.yaml": 'schemaVersion: "2.2"\nmainSteps: []\n', "files/x": "x"})
    steps = steps_of(Compile("job", "run", "downloads/found", text, parameters, depth), "outer", files)
    return [to_wire(step) for step in steps]


def test_a_document_of_a_node_in_either_syntax_whatever_it_is_called() -> None:
    yaml = 'schemaVersion: "2.2"\nmainSteps: [{name: a, action: "aws:runShellScript", inputs: {runCommand: ls}}]\n'
    step = '{"name": "a", "action": "aws:runShellScript", "inputs": {"runCommand": "ls"}}'
    json = f'{{"schemaVersion": "2.2", "mainSteps":\t[{step}]}}'
    (one,) = found(yaml)
    assert found(json) == [one]
    assert (one["name"], one["within"], one["inputs"]) == ("run:a", "run", {"runCommand": ["ls"]})


PARAMETER = """
schemaVersion: "2.2"
parameters: {a: {type: String}}
mainSteps: [{name: a, action: "aws:runShellScript", inputs: {runCommand: ls}}]
"""


@pytest.mark.parametrize(
    ("text", "depth", "said"),
    [
        ("mainSteps: [", 1, "downloads/found.yaml:1:13: error"),
        ("{}", 1, "`schemaVersion` is missing"),
        (
            PARAMETER,
            1,
            "parameter `a`: is required",
        ),
        (
            'schemaVersion: "2.2"\nmainSteps: [{name: a, action: "aws:runShellScript", inputs: {runCommand: ls}}]\n',
            4,
            "is run 4 deep",
        ),
        ('schemaVersion: "0.3"\nmainSteps: [{name: a, action: "aws:sleep", inputs: {Duration: PT1S}}]\n', 1, "of type"),
        (
            'schemaVersion: "2.2"\nmainSteps: [{name: a, action: "ops:file", inputs: {path: /a, source: files/x}}]\n',
            1,
            "there is no file `files/x`",
        ),
        ("x" * 70000, 1, "the document has 70000 bytes; expected at most 65536"),
    ],
)
def test_what_a_document_of_a_node_may_not_be(text: str, depth: int, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        found(text, depth)
    assert said in "\n".join(map(str, refused.value.findings))
