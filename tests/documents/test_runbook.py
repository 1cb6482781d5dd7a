"""Automation documents, by cases: what is wrong with one, where control flows in one, and what a selector finds."""

from __future__ import annotations

import copy
import json
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reconciler.core.manifest import read_one
from reconciler.core.problem import Invalid
from reconciler.documents.runbook import Runbook, check, jsonpath, load, times
from reconciler.documents.runbook.actions import ACTIONS

HERE = Path(__file__).parent
EVERY_ACTION = " or ".join([", ".join(f"`{name}`" for name in [*ACTIONS][:-1]), f"`{[*ACTIONS][-1]}`"])


def cases(name: str) -> list[Any]:
    found = yaml.safe_load((HERE / "cases" / f"{name}.yaml").read_text())
    return [pytest.param(case, id=case["name"]) for case in found]


def document(case: dict[str, Any]) -> bytes:
    if "document" in case:
        return str(case["document"]).encode()
    return ('schemaVersion: "0.3"\nmainSteps:\n' + textwrap.indent(case["steps"], "  ")).encode()


def checked(case: dict[str, Any]) -> tuple[Runbook | None, list[str]]:
    runbook, findings = check(read_one(document(case), "x.yaml"), "x")
    return runbook, [str(finding).replace(EVERY_ACTION, "(every action)") for finding in findings]


@pytest.mark.parametrize("case", cases("runbook"))
def test_lint(case: dict[str, Any]) -> None:
    runbook, findings = checked(case)
    assert findings == case["findings"]
    assert (runbook is None) == any(": error: " in finding for finding in findings)


@pytest.mark.parametrize("case", cases("flow"))
def test_edges(case: dict[str, Any]) -> None:
    runbook, _ = checked(case)
    assert runbook is not None
    told = [
        f"{edge.source} {edge.kind} -> {edge.target or 'none'}" + (f" ({edge.label})" if edge.label else "")
        for edge in runbook.edges
    ]
    assert told == case["edges"]


def test_load_raises_what_check_finds() -> None:
    with pytest.raises(Invalid) as refused:
        load(read_one(b'schemaVersion: "0.3"\nmainSteps: [{name: a, action: "aws:no"}]\n', "x.yaml"), "x")
    assert str(refused.value).startswith("x.yaml:2:31: error: there is no action `aws:no`")


DATA = {
    "a": {"b": [{"c": 1, "d": {"c": 2}}, {"c": [3]}]},
    "x y": {"*": 4, "q'r": 5},
    "n": None,
    "deep": [[{"c": 6}]],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", DATA),
        ("$.a.b[0].c", 1),
        ("$.a.b[-1].c[0]", 3),
        ("$['x y']['*']", 4),
        ('$["x y"]["q\'r"]', 5),
        ("$.n", None),
        ("$..c", [1, 2, [3], 6]),
        ("$.a..c", [1, 2, [3]]),
        ("$.a.b[*].c", [1, [3]]),
        ("$.a.*", [DATA["a"]["b"]]),  # type: ignore[index]  # a tree of anything
        ("$..[0]", [{"c": 1, "d": {"c": 2}}, 3, [{"c": 6}], {"c": 6}]),
        ("$..d..c", [2]),
        ("$.a.b[0,1].c", [1, [3]]),
        ("$['n', 'x y']['*']", [4]),
        ("$.a.b[1:]", [{"c": [3]}]),
        ("$.a.b[:-1].c", [1]),
        ("$.a.b[?(@.c == 1)].d.c", [2]),
        ("$.a.b[?(@.c != 1 )]", [{"c": [3]}]),
        ("$.a.b[?(@.d)].c", [1]),
        ("$.a.b[?(@.d.c > 1 && @['c'] <= 1 || @.c == 'x]')].c", [1]),
        ("$.a.b[?(@.c < 'x')]", []),
        ("$..[?(@.c == 6)]", [{"c": 6}]),
        ("$..nothing", []),
        ("$.a.b[*].nothing", []),
    ],
)
def test_a_selector_finds(path: str, found: Any) -> None:
    assert jsonpath.select(jsonpath.parse(path), DATA) == found


def test_a_long_selector_that_is_none_is_refused_at_once() -> None:
    many = 20_000
    for path in ("$[" + " " * many, "$['" + "a" * many, "$[?(@.a" + " " * many + "x)]", "$[?(" + "@.a == 1 && " * many):
        with pytest.raises(jsonpath.NotAPath):
            jsonpath.parse(path)


@pytest.mark.parametrize("path", ["$.nothing", "$.a.b[2]", "$.a.b[-3]", "$.a[0]", "$.n.c", "$.a.b.c"])
def test_a_selector_of_one_value_finds_nothing(path: str) -> None:
    with pytest.raises(LookupError):
        jsonpath.select(jsonpath.parse(path), DATA)


@pytest.mark.parametrize(
    "path",
    ["", "a", ".a", "$a", "$.", "$..", "$[", "$[a]", "$.a b", "$[?(c)]", "$[0:x]", "$[]", "$[0,]", "$.a[?(@.b ==)]"],
)
def test_what_is_no_selector(path: str) -> None:
    with pytest.raises(jsonpath.NotAPath):
        jsonpath.parse(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [("PT0S", 0), ("PT1.25S", 1250), ("P1W", 604_800_000), ("P1DT2H3M4S", 93_784_000), ("PT90M", 5_400_000)],
)
def test_durations(text: str, found: int) -> None:
    assert times.milliseconds(text) == found


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "1S", "PT-1S", "P1M", "P1Y", "PT1S2M", "P1W1D", "pt1s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="^" + text):
        times.milliseconds(text)


def test_instants() -> None:
    assert times.instant("1970-01-01T00:00:01Z") == times.instant("1970-01-01T02:00:01.000+02:00") == 1000
    assert times.instant("1970-01-02") == 86_400_000
    assert (times.date(86_399_999), times.date_time(86_399_999)) == ("1970-01-01", "1970-01-01_23.59.59")


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A document of the cases with some of its parts moved, taken away or made something else."""
    tree = yaml.safe_load(document(draw(st.sampled_from(DOCUMENTS))))
    for _ in range(draw(st.integers(1, 3))):
        parts = _parts(tree)
        if not parts:
            break
        holder, key = draw(st.sampled_from(parts))
        other, found = draw(st.sampled_from(parts))
        change = draw(st.sampled_from(["away", "moved", "odd", "odd", "renamed"]))
        if change == "away" and isinstance(holder, dict):
            del holder[key]
        elif change == "renamed" and isinstance(holder, dict):
            holder[draw(st.sampled_from(["Steps", "inputs", "name", "Choices", "And", "NextStep"]))] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(other[found] if change == "moved" else draw(st.sampled_from(ODD)))
    return json.dumps(tree)


DOCUMENTS = [case.values[0] for case in cases("runbook")]
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    "",
    [],
    {},
    [[]],
    [{}],
    "{{ x }}",
    "{{ x.y }}",
    "{{variable:q}}",
    "step:x",
    "$..",
    "aws:loop",
]


def _parts(tree: Any) -> list[Any]:
    """Every mapping and list that holds something, with each key of it."""
    keys: list[Any] = [*tree] if isinstance(tree, dict) else [*range(len(tree))] if isinstance(tree, list) else []
    return [part for key in keys for part in ((tree, key), *_parts(tree[key]))]


@settings(max_examples=150, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(text=mutated())
def test_anything_is_a_runbook_or_has_an_error_at_its_place(text: str) -> None:
    runbook, findings = check(read_one(text.encode(), "x.json"), "x")
    assert (runbook is None) == any(finding.severity == "error" for finding in findings)
    assert all(finding.place.line == 1 for finding in findings)
    assert list(findings) == sorted(findings, key=lambda finding: finding.place)


CORPUS = HERE.parents[2] / "shared" / "corpus" / "ssm-documents"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of SSM documents is not beside the clone")
def test_real_automation_documents_are_read_unmodified() -> None:
    """No Automation document of the corpus has an error but those that a person would agree with."""
    read, errors = 0, set()
    for path in sorted(CORPUS.iterdir()):
        if path.suffix == ".csv" or not re.search(rb"schemaVersion\W+0\.3", data := path.read_bytes()):
            continue
        try:
            runbook, findings = check(read_one(data, "x"), "x")
        except Invalid:
            continue  # what cannot be read as a tree
        read += runbook is not None
        errors |= {re.sub(r"`[^`]*`", "_", finding.message) for finding in findings if finding.severity == "error"}
    assert read >= 222
    assert errors <= {"_ has 0 items", "_ is missing", "there is no action _", "unknown field _"}
