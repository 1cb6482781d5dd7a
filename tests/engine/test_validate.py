"""Validation of a working tree, by cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.core.ports import Entry
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


def test_what_is_too_large_or_a_link_is_named_where_it_matters() -> None:
    document = (
        'schemaVersion: "2.2"\nmainSteps:\n- {name: a, action: "ops:file", inputs: {path: /a, source: files/a}}\n'
    )
    base = "apiVersion: ops/v1\nkind: Association\nmetadata: {name: base}\nspec: {document: large, targets: ['*']}\n"
    files = {"fleet.yaml": FLEET, "documents/large.yaml": document, "associations/base.yaml": base}
    others = [
        Entry("files/a", "1", "100644", 80 << 20),
        Entry("nodes/large.yaml", "2", "100644", 5 << 20),
        Entry("nodes/link.yaml", "3", "120000", 4),
    ]
    found = validate({path: text.encode() for path, text in files.items()}, others)
    assert [str(finding) for finding in found if finding.severity == "error"] == [
        "documents/large.yaml:3:60: error: the file `files/a` has 83886080 bytes; expected at most 67108864",
        "nodes/large.yaml: error: this has 5242880 bytes; expected at most 4194304",
        "nodes/link.yaml: error: this is a symbolic link; expected a regular file",
    ]
