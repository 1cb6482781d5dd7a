"""Associations of documents within documents, and of built-in ones: places, dependence, what stays in force."""

from __future__ import annotations

from typing import Any

from reconciler.adapters.git import MemoryRepository, MemorySource
from reconciler.engine.catalog import Catalog
from reconciler.engine.load import load
from reconciler.engine.places import StepPlaces
from tests.e2e import config

INNER = 'schemaVersion: "2.2"\nmainSteps:\n- {name: say, action: "aws:runShellScript", inputs: {runCommand: ls}}\n'
FILES = {
    **config.fleet(),
    "documents/outer.yaml": """
schemaVersion: "2.2"
mainSteps:
- {name: run, action: "aws:runDocument", inputs: {documentType: SSMDocument, documentPath: inner}}
- {name: bring, action: "aws:downloadContent", inputs: {sourceType: SSMDocument, sourceInfo: {name: brought}}}
""",
    "documents/inner.yaml": INNER,
    "documents/brought.yaml": INNER,
    **config.association("outer", ["*"]),
    **config.association("built-in", ["*"], "AWS-RunShellScript", parameters={"commands": ["ls"]}),
}


class Commits:
    """A repository, and the catalog of its newest commit."""

    def __init__(self) -> None:
        self.repository = MemoryRepository()
        self.source = MemorySource(self.repository)
        self.catalog: Catalog | None = None

    def push(self, **files: Any) -> Catalog:
        texts = {**FILES, **{f"documents/{name}.yaml": text for name, text in files.items()}}
        commit = self.repository.commit("main", {path: text.encode() for path, text in texts.items()})
        self.catalog = load(self.source, commit, previous=self.catalog)
        return self.catalog


def test_each_step_is_asked_for_where_its_own_document_has_it() -> None:
    places = StepPlaces(Commits().push())
    assert places.of("Association/outer")("run") == "documents/outer.yaml:4:3"
    assert places.of("Association/outer")("run:say") == "documents/inner.yaml:3:3"
    assert places.of("Association/built-in")("aws:runShellScript").startswith("AWS-RunShellScript.yaml:")


def test_a_change_of_any_of_them_is_a_change() -> None:
    commits = Commits()
    first = commits.push()
    for name in ("inner", "brought"):
        assert first.depends[f"documents/{name}.yaml"] == {"Association/outer"}
        changed = commits.push(**{name: INNER.replace("ls", "pwd")})
        digests = {catalog.compiled["Association/outer"].body_digest for catalog in (first, changed)}
        assert len(digests) == 2
        assert changed.compiled["Association/built-in"] == first.compiled["Association/built-in"]


def test_where_one_is_wrong_the_last_good_one_stays_in_force() -> None:
    commits = Commits()
    first = commits.push()
    second = commits.push(inner=INNER.replace("runShellScript", "runShelScript"))
    assert second.compiled["Association/outer"].body == first.compiled["Association/outer"].body
    assert second.resources["Association/outer"].revision == first.commit
    assert second.resources["Association/built-in"].revision == second.commit
    assert commits.push().resources["Association/outer"].revision != first.commit
