"""Validation of a working tree, by cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.documents.actions import RUNNABLE
from reconciler.engine.validate import validate
from tests.engine.repository import FLEET

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "validate.yaml").read_text())


def found(case: dict[str, Any]) -> list[str]:
    files = {"fleet.yaml": FLEET, **case["files"]}
    findings = validate({path: text.encode() for path, text in files.items() if text})
    return [str(finding).replace(RUNNABLE, "(every action)") for finding in findings]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_validate(case: dict[str, Any]) -> None:
    assert sorted(found(case)) == sorted(case["findings"])


def test_findings_are_ordered_by_place() -> None:
    (case,) = [case for case in CASES if case["name"].startswith("everything")]
    findings = validate({path: text.encode() for path, text in case["files"].items()})
    assert [finding.place for finding in findings] == sorted(finding.place for finding in findings)
