"""`opsctl validate`: every error at once, at its place, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Repository, Run, run_program

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "bad_input.yaml").read_text())
MALFORMED = "apiVersion: ops/v1\nkind: Group\nmetadata: [\n"


def spoil(repository: Repository, case: dict[str, Any]) -> None:
    for path, text in case.get("write", {}).items():
        repository.write(path, text)
    for path, (old, new) in case.get("replace", {}).items():
        repository.replace(path, old, new)
    for path in case.get("remove", ()):
        (repository.directory / path).unlink()


def test_what_init_makes_is_valid(repository: Repository, run: Run) -> None:
    ran = run("validate", repository.directory)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith(" files, 0 errors, 0 warnings\n")


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_bad_input(case: dict[str, Any], repository: Repository, run: Run) -> None:
    spoil(repository, case)
    ran = run("validate", repository.directory)
    assert ran.code == case.get("code", 2)
    *findings, verdict = ran.out.splitlines()
    expected = sorted(case["lines"])
    assert [row for row in sorted(findings) if not row.startswith(tuple(expected))] == []
    assert [start for start in expected if not any(row.startswith(start) for row in findings)] == []
    assert case.get("says", "") in ran.out
    assert ran.out.replace("\n", "").isprintable()
    errors = sum(": error: " in row for row in findings)
    assert f", {errors} error" in verdict


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_bad_input_as_a_document(case: dict[str, Any], repository: Repository, run: Run) -> None:
    spoil(repository, case)
    ran = run("validate", repository.directory, "--format", "json")
    assert ran.code == case.get("code", 2)
    document = ran.document
    assert document["valid"] is (ran.code == 0)
    places = {f"{row['path']}:{row['line']}:{row['column']}" for row in document["findings"]}
    assert places == {_place(start) for start in case["lines"]}


def _place(text: str) -> str:
    place = text.partition(": ")[0]
    return place if ":" in place else f"{place}:0:0"


def test_everything_wrong_is_said_at_once(repository: Repository, run: Run) -> None:
    repository.write("groups/broken.yaml", MALFORMED)
    repository.replace("associations/web.yaml", "prune: true", "prune: maybe")
    repository.replace("associations/base.yaml", "document: base-hardening", "document: bse-hardening")
    ran = run("validate", repository.directory)
    assert [row.split(":")[0] for row in ran.out.splitlines()[:-1]] == [
        "associations/base.yaml",
        "associations/web.yaml",
        "groups/broken.yaml",
    ]


def test_untracked_files_count_and_ignored_ones_do_not(repository: Repository, run: Run) -> None:
    repository.write("groups/draft.yaml", MALFORMED)
    assert run("validate", repository.directory).code == 2
    repository.write(".gitignore", "groups/draft.yaml\n")
    assert run("validate", repository.directory).code == 0


def test_paths_are_relative_to_the_directory_wherever_it_is_run(repository: Repository, tmp_path: Path) -> None:
    repository.write("groups/draft.yaml", MALFORMED)
    here = run_program("validate", cwd=repository.directory)
    there = run_program("validate", "config", cwd=tmp_path)
    assert here.out == there.out
    assert here.out.startswith("groups/draft.yaml:")


def test_a_directory_without_git_is_validated_too(repository: Repository, run: Run) -> None:
    shutil.rmtree(repository.directory / ".git")
    assert run("validate", repository.directory).code == 0


@pytest.mark.parametrize("name", ["nowhere", "config/fleet.yaml"])
def test_what_is_no_directory(name: str, repository: Repository, tmp_path: Path, run: Run) -> None:
    ran = run("validate", tmp_path / name)
    assert ran.code == 1
    assert "is no directory" in ran.err
