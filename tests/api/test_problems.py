"""A problem crosses without loss."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.problems import TooMany, Unauthenticated, from_json, status_of, to_json
from reconciler.core.problem import Defect, Finding, Invalid, Place, Problem, Refused, Unavailable, Waiting

places = st.builds(Place, st.text(), st.integers(0, 9999), st.integers(0, 999))
findings = st.builds(
    Finding,
    st.text(),
    places,
    st.text(),
    st.text(),
    st.sampled_from(["error", "warning"]),
    st.lists(places, max_size=3).map(tuple),
)
problems = st.one_of(
    st.builds(Invalid, st.lists(findings, max_size=4).map(tuple)),
    st.builds(Refused, st.text(), st.text(), st.text()),
    st.builds(Waiting, st.text(), st.integers(0, 2**53)),
    st.builds(Unavailable, st.text(), st.text(), st.integers(0, 10**6).map(lambda ms: ms / 1000)),
    st.builds(Defect, st.text()),
)


@given(problems)
def test_what_comes_back_is_what_went(problem: Problem) -> None:
    back = from_json(json.loads(json.dumps(to_json(problem))))
    assert type(back) is type(problem)
    assert back == problem


@pytest.mark.parametrize(
    ("problem", "status", "kind"),
    [
        (Invalid(()), 422, Invalid),
        (Refused("no"), 403, Refused),
        (Unauthenticated("who?"), 401, Refused),
        (Waiting("rain"), 409, Waiting),
        (Unavailable("the store"), 503, Unavailable),
        (TooMany("this server"), 429, Unavailable),
        (Defect("ours"), 500, Defect),
    ],
)
def test_each_class_has_its_status(problem: Problem, status: int, kind: type[Problem]) -> None:
    assert status_of(problem) == status
    assert type(from_json(to_json(problem))) is kind


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"error": "text"},
        {"error": {}},
        {"error": {"class": "Unheard"}},
        {"error": {"class": "Refused"}},
        {"error": {"class": "Invalid", "findings": [{"message": "x"}]}},
        {"error": {"class": "Waiting", "what": "x", "until": "soon"}},
    ],
)
def test_what_tells_no_problem_is_none(body: Any) -> None:
    assert from_json(body) is None
