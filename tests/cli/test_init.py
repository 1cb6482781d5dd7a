"""`opsctl init`: a repository that is valid, committed, and complete for editors."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.cli.conftest import Repository, Run, run_program
from tests.committer import ISOLATED, MARY

MODELINE = "# yaml-language-server: $schema="
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBP4CqRWIbBjHkWN3dvpaUUHFDTZaIN0oAFaI8SJt7Zx mary@laptop"


def described() -> list[Path]:
    example = Path(__file__).parents[2] / "example-config-repo"
    found = sorted(path for path in example.rglob("*.yaml") if path.read_text().startswith(MODELINE))
    assert len(found) > 20
    return [path.relative_to(example) for path in found]


def test_it_is_committed_and_clean(repository: Repository) -> None:
    assert repository.git("status", "--porcelain") == ""
    assert repository.git("branch", "--show-current") == "main"
    assert repository.git("log", "--format=%s") == "Describe the fleet"


@pytest.mark.parametrize("path", described(), ids=str)
def test_editors_find_a_schema_for_every_file_and_it_takes_the_file(path: Path, repository: Repository) -> None:
    file = repository.directory / path
    first, _, _ = file.read_text().partition("\n")
    schema = json.loads((file.parent / first.removeprefix(MODELINE)).read_text())
    documents: list[Any] = list(yaml.safe_load_all(file.read_text()))
    for document in documents:
        jsonschema.Draft202012Validator(schema).validate(document)


def test_every_resource_says_which_schema_it_has(repository: Repository) -> None:
    folders = ("access", "associations", "documents", "groups", "nodes")
    files = [file for folder in folders for file in (repository.directory / folder).iterdir()]
    assert [file.name for file in files if not file.read_text().startswith(MODELINE)] == []


def test_exactly_three_nodes_each_a_target(repository: Repository, run: Run) -> None:
    document = run("plan", "--repo", repository.directory, "--format", "json").document
    assert document["summary"]["nodes"] == 3
    assert {name for change in document["changes"] for name in change["nodes"].values()} == {"db-1", "gate-1", "web-1"}


def test_it_says_what_to_do_next_and_that_works(tmp_path: Path, run: Run) -> None:
    ran = run("init", tmp_path / "config")
    assert ran.code == 0
    _, following = ran.out.splitlines()
    for command in following.removeprefix("next: ").split("; "):
        assert run(*command.split()[1:]).code == 0


def test_as_a_document(tmp_path: Path, run: Run) -> None:
    document = run("init", tmp_path / "config", "--format", "json").document
    assert document["directory"] == str(tmp_path / "config")
    assert len(document["commit"]) == 40


def test_an_empty_directory_is_taken(tmp_path: Path, run: Run) -> None:
    (tmp_path / "config").mkdir()
    assert run("init", tmp_path / "config").code == 0


def test_a_directory_that_holds_something_is_refused_and_left(tmp_path: Path, run: Run) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / ".keep").touch()
    ran = run("init", tmp_path / "config")
    assert ran.code == 1
    assert "is not empty" in ran.err
    assert [file.name for file in (tmp_path / "config").iterdir()] == [".keep"]


def test_a_file_is_refused(tmp_path: Path, run: Run) -> None:
    (tmp_path / "config").touch()
    assert run("init", tmp_path / "config").code == 1


def test_without_a_git_identity_it_commits_as_itself(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name not in MARY}
    env |= ISOLATED
    from tests.cli.conftest import OPSCTL

    done = subprocess.run([str(OPSCTL), "init", str(tmp_path / "config")], env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_your_key_makes_you_an_operator(tmp_path: Path, run: Run) -> None:
    (tmp_path / "key.pub").write_text(KEY + "\n")
    assert run("init", tmp_path / "config", "--operator-key", tmp_path / "key.pub").code == 0
    assert KEY in (tmp_path / "config" / "access" / "operators.yaml").read_text()
    assert run("validate", tmp_path / "config").code == 0


@pytest.mark.parametrize("content", ["ssh-rsa AAAA", "", "-----BEGIN OPENSSH PRIVATE KEY-----", None])
def test_what_is_no_public_key_makes_nothing(content: str | None, tmp_path: Path, run: Run) -> None:
    if content is not None:
        (tmp_path / "key.pub").write_text(content)
    ran = run("init", tmp_path / "config", "--operator-key", tmp_path / "key.pub")
    assert ran.code == 1
    assert str(tmp_path / "key.pub") in ran.err
    assert not (tmp_path / "config").exists()


def test_git_that_is_not_there_is_named(tmp_path: Path) -> None:
    ran = run_program("init", tmp_path / "config", env={"PATH": str(tmp_path)})
    assert ran.code == 1
    assert ran.err == "opsctl: unavailable: git: it is not installed\n"
