"""Associations of Automation documents at load: what is wrong with them, and what a catalog has of them."""

from __future__ import annotations

import pytest

from reconciler.engine.automated import Last, announced, automated, due
from tests.engine.repository import DOCUMENT, FLEET, Told

RUNBOOK = """schemaVersion: "0.3"
parameters:
  Node: {type: String}
  Size: {type: Integer, default: 1}
mainSteps:
- {name: s, action: "aws:sleep", inputs: {Duration: PT1S}}
"""
HEAD = "apiVersion: ops/v1\nkind: Association\nmetadata: {name: a}\nspec:\n  document: "
WRONG = {
    "book\n  targets: ['*']\n": "`targets` and `automationTargetParameterName` go together",
    "book\n  automationTargetParameterName: Node\n": "go together",
    "book\n  targets: ['*']\n  automationTargetParameterName: Nodes\n": "the runbook has no parameter `Nodes`",
    "book\n": "parameter `Node`",
    "book\n  parameters: {Node: x, Sise: '2'}\n": "no parameter `Sise`",
    "motd\n": "`spec.targets` is missing",
    "motd\n  targets: ['*']\n  automationTargetParameterName: Node\n": "belongs to Automation documents",
}


def told(spec: str) -> Told:
    repository = Told()
    files = {"fleet.yaml": FLEET, "documents/book.yaml": RUNBOOK, "documents/motd.yaml": DOCUMENT}
    repository.edit({**files, "associations/a.yaml": HEAD + spec})
    return repository


@pytest.mark.parametrize("spec", WRONG, ids=WRONG.values())
def test_what_is_wrong_is_said(spec: str) -> None:
    repository = told(spec)
    catalog = repository.load(repository.repository.branches["main"])
    assert WRONG[spec] in " ".join(str(condition) for condition in catalog.conditions)


def test_it_starts_at_changes_and_instants_and_gives_nodes_nothing() -> None:
    schedule = "  scheduleExpression: rate(30 minutes)\n"
    repository = told("book\n  targets: ['*']\n  automationTargetParameterName: Node\n" + schedule)
    catalog = repository.load(repository.repository.branches["main"])
    (resource,) = automated(catalog)
    assert (resource.uid, dict(catalog.compiled), catalog.conditions) == ("Association/a", {}, ())
    (said,) = announced(catalog, {})
    assert said.endswith("executes book for each target once this is in force, and at rate(30 minutes)")
    assert announced(catalog, {resource.uid: resource.fingerprint}) == []
    half = 30 * 60_000
    assert due(resource, None, half + 5) == half + 5
    assert due(resource, Last("another", half), half + 5) == half + 5
    assert due(resource, Last(resource.fingerprint, half + 5), 2 * half - 1) is None
    assert due(resource, Last(resource.fingerprint, half + 5), 4 * half + 1) == 4 * half
