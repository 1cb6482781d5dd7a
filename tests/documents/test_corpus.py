"""Real documents: all are understood, what is said of the wrong ones is agreed with, and the normal form is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.documents.document import Document, read
from reconciler.documents.graph import graph, mermaid
from reconciler.documents.normal import normal
from reconciler.documents.picture import svg
from tests.documents import corpus
from tests.documents.corpus import Entry, linted, plain, plain_default, plain_steps, plain_ways

ENTRIES = corpus.entries()
WRONG: dict[str, list[str]] = yaml.safe_load((Path(__file__).parent / "cases" / "corpus.yaml").read_text())
"""By file, every error as a person who knows SSM agrees with it."""

pytestmark = pytest.mark.skipif(not ENTRIES, reason=corpus.MISSING)


def test_every_document_is_understood_or_wrong_in_a_way_that_is_agreed_with() -> None:
    found = {entry.file: linted(entry) for entry in ENTRIES}
    assert all(one.parsed for one in found.values())
    said = {
        file: [f"{error.place.line}:{error.place.column}: {error.message}" for error in one.errors]
        for file, one in found.items()
        if one.errors
    }
    assert said == WRONG


def test_what_becomes_of_them() -> None:
    """At least as many as ever were; `python -m tests.documents.corpus` prints the whole table."""
    found = [linted(entry) for entry in ENTRIES]
    assert (len(found), sum(one.parsed for one in found)) == (310, 310)
    assert sum(not one.errors for one in found) >= 269
    assert sum(one.runnable for one in found) >= 43


@pytest.mark.parametrize("sort", sorted({(entry.type, entry.version) for entry in ENTRIES}))
def test_the_normal_form_agrees_with_an_independent_reading(sort: tuple[str, str]) -> None:
    compared = 0
    for entry in ENTRIES:
        if (entry.type, entry.version) == sort and entry.file not in WRONG:
            reading = read(entry.data, entry.file)
            assert reading.document is not None
            assert reading.document.type == entry.type
            _compare(normal(reading.document, reading.tree or {}), plain(entry.data), entry)
            _draw(reading.document)
            compared += 1
    assert compared


def _compare(form: dict[str, Any], raw: dict[str, Any], entry: Entry) -> None:
    assert form["schemaVersion"] == entry.version
    assert form["description"] == (raw.get("description") or ""), entry.file
    assert form["assumeRole"] == raw.get("assumeRole", ""), entry.file
    assert [(step["action"], step["inputs"]) for step in form["steps"]] == list(plain_steps(raw)), entry.file
    declared = raw.get("parameters", {})
    assert list(form["parameters"]) == list(declared), entry.file
    for name, parameter in declared.items():
        found = form["parameters"][name]
        default = plain_default(parameter["type"], parameter.get("default"))
        assert (found["type"], found.get("default")) == (parameter["type"], default), (entry.file, name)
        assert found["required"] is (default is None), (entry.file, name)
        for word in ("allowedPattern", "allowedValues", "description", "maxChars", "minItems", "maxItems"):
            assert found.get(word) == parameter.get(word), (entry.file, name, word)
    assert form["outputs"] == (raw.get("outputs") or []), entry.file
    if "mainSteps" in raw:
        assert [step["name"] for step in form["steps"]] == [step["name"] for step in raw["mainSteps"]], entry.file
    if form["type"] == "Automation":
        for step, written in zip(form["steps"], raw["mainSteps"], strict=True):
            outputs = [{"Selector": "$", "Type": "String", **output} for output in written.get("outputs") or []]
            assert step.get("outputs", []) == outputs, entry.file
        ways = {(edge["from"], edge["to"]) for edge in form["edges"] if edge["label"] != "on failure" or edge["to"]}
        continued = {step["name"] for step in raw["mainSteps"] if step.get("onFailure") == "Continue"}
        wanted = set(plain_ways(raw["mainSteps"]))
        assert {way for way in ways if way in wanted or way[0] not in continued} == wanted, entry.file


def _draw(document: Document) -> None:
    drawn = graph(document)
    text = mermaid(drawn)
    assert all(f"s{position}" in text for position in range(len(drawn.vertices)))
    assert svg(drawn).count("<rect") == len(drawn.vertices) + 2  # the end, and the paper
