"""What a document of any type means, by cases: what it needs, its normal form, its picture."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from reconciler.documents.document import Document, read
from reconciler.documents.graph import graph, mermaid
from reconciler.documents.needs import needs
from reconciler.documents.normal import normal
from reconciler.documents.picture import svg
from tests.documents.test_documents import cases

MUTATED = yaml.safe_load((Path(__file__).parent / "cases" / "mutated.yaml").read_text())["documents"]
_SVG = "{http://www.w3.org/2000/svg}"


def valid(text: str, path: str = "documents/x.yaml") -> tuple[Document, Any]:
    reading = read(text.encode(), path)
    assert reading.document is not None, reading.findings
    return reading.document, reading.tree


@pytest.mark.parametrize("case", cases("needs"))
def test_needs(case: dict[str, Any]) -> None:
    document, _ = valid(case["document"], case.get("path", "documents/x.yaml"))
    found = [(need.step or "-", need.what, need.place) for need in needs(document)]
    told = [f"{step} {what} {place.line}:{place.column}" for step, what, place in found if what != "agent"]
    assert told == case["needs"]


@pytest.mark.parametrize("case", cases("normal"))
def test_normal(case: dict[str, Any]) -> None:
    document, tree = valid(case["document"])
    form = normal(document, tree)
    assert {key: form[key] for key in case.get("form", {})} == case.get("form", {})
    ways = [f"{edge['from']} {edge['kind']} {edge['to'] or '-'}" for edge in form["edges"]]
    assert ways == case["ways"]


def test_mermaid_draws_branches_loops_and_labels() -> None:
    (case,) = (param.values[0] for param in cases("normal") if param.id == "a runbook with every way")
    assert isinstance(case, dict)
    text = mermaid(graph(valid(case["document"])[0]))
    assert text == MERMAID


MERMAID = """\
flowchart TD
    s0[["each<br/>aws:loop"]]
    s1["wait<br/>aws:sleep"]
    s2{"pick<br/>aws:branch"}
    s3["last<br/>aws:pause"]
    s4["spare<br/>aws:pause"]
    s5["undo<br/>aws:pause"]
    done(("End"))
    s0 -->|"each time"| s1
    s0 --> s3
    s0 -.->|"on failure"| s5
    s1 --> s2
    s1 -.->|"on cancel"| s2
    s2 -->|"not (loop:CurrentIteratorValue StringEquals a)"| s1
    s2 -->|"otherwise"| s0
    s3 --> s5
    s4 --> done
    s5 --> done
    s5 -.->|"on failure"| done
"""


def test_a_picture_is_xml_whatever_a_document_says() -> None:
    text = 'schemaVersion: "2.2"\nmainSteps:\n- {name: a, action: "x:b<&>\\"c", description: "<script>"}\n'
    drawn = graph(valid(text)[0])
    assert ElementTree.fromstring(svg(drawn)).findall(f".//{_SVG}script") == []
    assert "x:b#lt;#amp;#gt;#quot;c" in mermaid(drawn)


@pytest.mark.parametrize("name", sorted(MUTATED))
def test_a_picture_has_every_step_below_the_one_before_and_every_way_within(name: str) -> None:
    drawn = graph(valid(MUTATED[name], name)[0])
    picture = ElementTree.fromstring(svg(drawn))
    width, height = (float(size) for size in picture.attrib["viewBox"].split()[2:])
    boxes = [box.attrib for box in picture.iter(f"{_SVG}rect") if "x" in box.attrib]
    assert len(boxes) == len(drawn.vertices) + 1
    for above, below in pairwise(boxes):
        assert float(above["y"]) + float(above["height"]) < float(below["y"])
    paths = [path.attrib["d"] for path in picture.findall(f"{_SVG}g/{_SVG}path")]
    assert len(paths) == len(drawn.ways)
    for path in paths:
        for command, numbers in re.findall(r"([MHV])([\d. ]+)", path):
            along = [float(number) for number in numbers.split()]
            assert along[0] <= (height if command == "V" else width)
