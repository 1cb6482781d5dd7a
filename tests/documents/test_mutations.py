"""Documents with one thing wrong: what is said of it, and where."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.core.typed.words import one_of
from reconciler.documents.actions import RUNNABLE
from reconciler.documents.document import read
from reconciler.documents.graph import graph
from reconciler.documents.lint import lint
from reconciler.documents.normal import normal
from reconciler.documents.picture import svg
from reconciler.documents.runbook.actions import ACTIONS

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "mutated.yaml").read_text())
WHOLE: dict[str, str] = CASES["documents"]


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_the_whole_document_has_no_fault(name: str) -> None:
    found = lint(WHOLE[name].encode(), name)
    assert (found.errors, found.warnings) == ((), ())


@pytest.mark.parametrize("case", CASES["mutations"], ids=lambda case: case["name"])
def test_one_fault_is_told_where_it_is(case: dict[str, Any]) -> None:
    text = WHOLE[case["of"]]
    assert text.count(case["change"]) == 1
    found = lint(text.replace(case["change"], case["to"]).encode(), case["of"])
    assert found.parsed is case.get("parsed", True)
    assert not found.runnable
    assert [_told(f"{error.place.line}:{error.place.column}: ", str(error)) for error in found.errors] == case["errors"]


def _told(place: str, error: str) -> str:
    """The error as people read it; lists of all actions stand in the cases as `(every action)`."""
    text = place + error.partition(": error: ")[2]
    return text.replace(RUNNABLE, "(every action)").replace(one_of(ACTIONS), "(every action)")


ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    3.5,
    "",
    "{{ x }}",
    "{{ ssm-secure:a }}",
    [],
    {},
    [None],
    {"a": None},
    [[]],
    10**20,
)


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_anything_anywhere_is_told_and_never_a_surprise(name: str) -> None:
    draw = random.Random(name)
    whole = yaml.safe_load(WHOLE[name].replace("\t", " "))
    for _ in range(40):
        tree = copy.deepcopy(whole)
        for _ in range(draw.randint(1, 3)):
            holder, key = draw.choice(list(_parts(tree)))
            holder[key] = copy.deepcopy(draw.choice(ODD))
        reading = read(json.dumps(tree).encode(), "x.json")
        assert all(finding.place.line for finding in reading.findings)
        if reading.document is not None:
            json.dumps(normal(reading.document, reading.tree or {}))
            assert svg(graph(reading.document)).endswith("</svg>\n")


def _parts(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every list and mapping within, with each of its keys."""
    for key, item in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        if isinstance(item, (dict, list)):
            yield from _parts(item)


def test_a_mark_of_byte_order_is_no_fault() -> None:
    for name, text in WHOLE.items():
        assert not lint(b"\xef\xbb\xbf" + text.encode(), name).errors
