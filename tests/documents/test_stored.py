"""References to stored parameters, by cases: what they become in a document's steps, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.adapters.parameters import MemoryParameters
from reconciler.core.problem import Invalid, Place
from reconciler.documents import document
from reconciler.documents.compile import SourceFile, compile_document
from reconciler.documents.stored import NotStored

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "stored.yaml").read_text())


class NoFiles:
    """A repository without files that steps could name."""

    def source(self, path: str) -> SourceFile | None:
        return None

    def template_flaws(self, path: str) -> list[Any]:
        return []

    def nearest(self, path: str) -> str:
        return ""

    def document(self, name: str) -> None:
        return None

    def nearest_document(self, name: str) -> str:
        return ""

    def custom(self, name: str) -> None:
        return None

    def nearest_custom(self, name: str) -> str:
        return ""


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_stored(case: dict[str, Any]) -> None:
    kept = MemoryParameters()
    for name, value in case.get("stored", []):
        if isinstance(value, list):
            kept.put(name, ",".join(value), "StringList")
        else:
            kept.put(name, value)
    for name, value in case.get("secure", []):
        kept.put(name, value, "SecureString")
    for name, labels in case.get("labels", {}).items():
        for label, version in labels.items():
            kept.label(name, label, version)
    read = document.load(case["document"].encode(), "documents/x.yaml")

    def where(loc: Any) -> Place:
        return Place("associations/a.yaml", 3, 14 if loc else 1)

    if "findings" in case:
        with pytest.raises(Invalid) as refused:
            compile_document(read, case.get("parameters", {}), NoFiles(), where, kept)
        assert sorted(map(str, refused.value.findings)) == sorted(case["findings"])
        assert isinstance(refused.value, NotStored) == case.get("missing", False)
        return
    steps = compile_document(read, case.get("parameters", {}), NoFiles(), where, kept)
    assert [step.inputs for step in steps.steps] == case["inputs"]
    assert [step.precondition for step in steps.steps] == case.get("preconditions", [None] * len(steps.steps))
    assert steps.parameter_files == {"memory"}
