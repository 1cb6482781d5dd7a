"""Files below `parameters/`, by cases: what they declare, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.core.parameters import absolute, flaw_of_label, flaw_of_name, is_parameters, read
from reconciler.core.parameters.files import flaw_of_text
from reconciler.core.problem import Invalid

CASES = yaml.safe_load(Path(__file__).with_name("files.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_file(case: dict[str, Any]) -> None:
    try:
        declared = read(case["text"].encode(), case.get("path", "parameters/x.yaml"))
        findings, parameters = declared.findings, declared.parameters
    except Invalid as invalid:
        findings, parameters = list(invalid.findings), {}
    assert sorted(map(str, findings)) == sorted(case.get("findings", []))
    if "parameters" in case:
        found = {name: [parameter.type, parameter.value] for name, parameter in parameters.items()}
        assert found == case["parameters"]
        assert all("ENC[" not in repr(parameter) for parameter in parameters.values())


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("parameters/x.yaml", True),
        ("parameters/eu/x.yml", True),
        ("parameters/x.json", True),
        ("parameters/x.sops.env", True),
        ("parameters/x.env", False),
        ("parameters/README.md", False),
        ("files/parameters/x.yaml", False),
    ],
)
def test_where_parameters_are_read(path: str, read: bool) -> None:
    assert is_parameters(path) is read


@pytest.mark.parametrize(
    ("length", "levels", "taken"), [(1011, 1, True), (1012, 1, False), (29, 15, True), (31, 16, False)]
)
def test_bounds_of_names(length: int, levels: int, taken: bool) -> None:
    name = "/x" * levels
    name += "x" * (length - len(name))
    assert (flaw_of_name(name) is None) is taken


@pytest.mark.parametrize(("label", "taken"), [("a", True), ("x" * 101, False), ("1a", False), ("AWSx", False)])
def test_labels(label: str, taken: bool) -> None:
    assert (flaw_of_label(label) is None) is taken


def test_bounds_of_values() -> None:
    assert flaw_of_text("x" * 8192) is None
    assert flaw_of_text("x" * 8193) == ("has 8193 characters", "at most 8192")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200), st.sampled_from([".yaml", ".json", ".sops.yaml", ".sops.env", ".sops.json"]))
def test_whatever_the_bytes_there_are_findings_or_right_names(data: bytes, suffix: str) -> None:
    try:
        declared = read(data, f"parameters/x{suffix}")
    except Invalid:
        return
    assert all(flaw_of_name(absolute(name)) is None for name in declared.parameters)
