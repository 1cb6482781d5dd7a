"""The document language, by cases: what lint says of a document, and what compiling makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from agent.contract.canonical import digest
from agent.contract.codec import to_wire
from agent.contract.wire import FileRef
from reconciler.core.problem import Invalid, Place, nearest
from reconciler.documents import compile as compiling
from reconciler.documents import document, templates
from reconciler.documents.actions import RUNNABLE
from reconciler.documents.checked import name_of
from reconciler.documents.compile import SourceFile, compile_document, unused_findings
from reconciler.documents.nesting import DocumentFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.core.manifest import Loc
    from reconciler.core.problem import Finding

HERE = Path(__file__).parent


def cases(name: str) -> list[Any]:
    found = yaml.safe_load((HERE / "cases" / f"{name}.yaml").read_text())
    return [pytest.param(case, id=case["name"]) for case in found]


class Repository:
    """The files that a case gives."""

    def __init__(self, files: Mapping[str, str | bytes]) -> None:
        self._files = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}

    def source(self, path: str) -> SourceFile | None:
        data = self._files.get(path)
        return SourceFile(FileRef(digest(data), len(data)), path) if data is not None else None

    def template_flaws(self, path: str) -> Sequence[templates.Flaw]:
        return templates.flaws_of_file(self._files[path])

    def custom(self, name: str) -> None:
        """The repository's own steps are tried in tests/engine."""

    def nearest_custom(self, name: str) -> str:
        return ""

    def nearest(self, path: str) -> str:
        return nearest(path, self._files)

    def document(self, name: str) -> DocumentFile | None:
        path = f"documents/{name}.yaml"
        data = self._files.get(path)
        return DocumentFile(path, data) if data is not None else None

    def nearest_document(self, name: str) -> str:
        return nearest(name, (name_of(path) for path in self._files))


def where(loc: Loc) -> Place:
    return Place("associations/a.yaml", 3, 14 if loc else 1)


def as_told(findings: Sequence[Finding]) -> list[str]:
    """The findings as people read them; the list of all actions stands in the cases as `(every action)`."""
    return sorted(str(finding).replace(RUNNABLE, "(every action)") for finding in findings)


@pytest.mark.parametrize("case", cases("lint"))
def test_lint(case: dict[str, Any]) -> None:
    try:
        found = document.load(case["document"].encode(), case.get("path", "documents/x.yaml")).warnings
    except Invalid as invalid:
        found = invalid.findings
    assert as_told(found) == sorted(case["findings"])


@pytest.mark.parametrize("case", cases("compile"))
def test_compile(case: dict[str, Any]) -> None:
    read = document.load(case["document"].encode(), "documents/x.yaml")
    repository = Repository(case.get("files", {}))
    if "findings" in case:
        with pytest.raises(Invalid) as refused:
            compile_document(read, case.get("parameters", {}), repository, where, at=case.get("at"))
        assert as_told(refused.value.findings) == sorted(case["findings"])
        return
    steps = compile_document(read, case.get("parameters", {}), repository, where, at=case.get("at"))
    assert to_wire(steps.steps) == case["steps"]
    assert sorted(str(placed.claim) for placed in steps.claims) == case["claims"]
    owning = {placed.step for placed in steps.claims}
    runs = [f"script:{step.name}" for step in steps.steps if step.name not in owning]
    assert [str(placed.claim) for placed in steps.runs] == runs
    assert as_told(steps.warnings) == case.get("warnings", [])
    assert steps.files.keys() == {step["inputs"]["source"] for step in case["steps"] if "source" in step["inputs"]}


def test_a_claim_knows_the_place_of_its_step() -> None:
    text = 'schemaVersion: "2.2"\nmainSteps:\n- name: a\n  action: ops:directory\n  inputs: {path: /srv}\n'
    read = document.load(text.encode(), "documents/x.yaml")
    (placed,) = compile_document(read, {}, Repository({}), where).claims
    assert (placed.step, placed.place) == ("a", Place("documents/x.yaml", 3, 3))


def test_a_document_that_nobody_uses_is_checked_as_far_as_it_goes() -> None:
    text = """
schemaVersion: "2.2"
parameters: {needed: {type: String}}
mainSteps:
- {name: a, action: "ops:file", inputs: {path: /etc/a, source: files/none}}
- {name: b, action: "ops:file", inputs: {path: "{{ needed }}", source: files/none}}
- {name: c, action: "aws:configurePackage", inputs: {action: Install, name: x}}
"""
    found = unused_findings(document.load(text.encode(), "documents/x.yaml"), Repository({}))
    assert [(finding.severity, finding.place.line) for finding in found] == [("error", 5), ("warning", 7)]


def test_a_source_is_not_larger_than_nodes_can_bear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "MAX_SOURCE_BYTES", 3)
    text = 'schemaVersion: "2.2"\nmainSteps:\n- {name: a, action: "ops:file", inputs: {path: /a, source: files/a}}\n'
    read = document.load(text.encode(), "documents/x.yaml")
    with pytest.raises(Invalid) as refused:
        compile_document(read, {}, Repository({"files/a": "four"}), where)
    assert str(refused.value) == "documents/x.yaml:3:60: error: the file `files/a` has 4 bytes; expected at most 3"


CORPUS = HERE.parents[2] / "shared" / "corpus" / "ssm-documents"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of SSM documents is not beside the clone")
def test_real_command_documents_load_unmodified() -> None:
    """Every Command document of schemaVersion 2.2 in the corpus is read; nothing in one is an error."""
    loaded, refused = 0, []
    for path in sorted(CORPUS.iterdir()):
        data = path.read_bytes()
        if path.suffix == ".csv" or not any(mark in data for mark in (b'"2.2"', b"'2.2'", b": 2.2")):
            continue
        try:
            document.load(data, f"documents/x{path.suffix}")
            loaded += 1
        except Invalid as invalid:
            refused.append((path.name, str(invalid)))
    assert refused == []
    assert loaded >= 26
