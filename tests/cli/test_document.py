"""`opsctl document`: what there is, what it takes, what is wrong with it, and how it looks."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from tests.cli.conftest import Repository, Run

CASES = Path(__file__).parents[1] / "documents" / "cases"
WHOLE: dict[str, str] = yaml.safe_load((CASES / "mutated.yaml").read_text())["documents"]


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A directory with the documents of every type."""
    directory = tmp_path / "documents"
    directory.mkdir()
    for name, text in WHOLE.items():
        (directory / name).write_text(text)
    return directory


def test_list_has_what_is_built_in_and_what_the_repository_has(repository: Repository, run: Run) -> None:
    ran = run("document", "list", "--repo", repository.directory, "--format", "json")
    rows = {row["name"]: row for row in ran.document["documents"]}
    assert rows["AWS-RunShellScript"]["owner"] == "built in"
    assert rows["web"]["path"] == str(repository.directory / "documents" / "web.yaml")
    assert (rows["web"]["type"], rows["web"]["schemaVersion"], rows["web"]["runnable"]) == ("Command", "2.2", True)
    table = run("document", "list", "--repo", repository.directory).out.splitlines()
    assert [row.split()[0] for row in table[1:]] == sorted(rows)


def test_a_document_of_the_repository_hides_the_built_in_one(repository: Repository, run: Run) -> None:
    repository.write("documents/AWS-RunShellScript.yaml", "schemaVersion: '2.2'\n")
    ran = run("document", "list", "--repo", repository.directory, "--format", "json")
    (row,) = (row for row in ran.document["documents"] if row["name"] == "AWS-RunShellScript")
    assert (row["owner"], row["type"]) == ("", "")
    told = run("document", "describe", "AWS-RunShellScript", "--repo", repository.directory)
    assert told.code == 2
    assert "AWS-RunShellScript.yaml:1:1: error: `mainSteps` is missing" in told.err


def test_describe_says_what_parameters_take(run: Run) -> None:
    ran = run("document", "describe", "AWS-RunShellScript", "--format", "json")
    commands = ran.document["parameters"]["commands"]
    assert commands.pop("description")
    assert commands == {"type": "StringList", "required": True, "minItems": 1, "displayType": "textarea"}
    assert ran.document["parameters"]["executionTimeout"]["default"] == "3600"
    assert (ran.document["needs"], ran.document["runnable"]) == ([], True)
    told = run("document", "describe", "AWS-RunShellScript").out
    assert "commands          StringList  required  1.. items" in told


def test_describe_says_what_is_needed(shelf: Path, run: Run) -> None:
    told = run("document", "describe", shelf / "command.yaml").out
    assert "needs packages: step `packages` (aws:configurePackage): packages are not distributed" in told


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_show_has_one_form_for_every_type(name: str, shelf: Path, run: Run) -> None:
    form = run("document", "show", shelf / name, "--format", "json").document
    assert form["schemaVersion"] in WHOLE[name]
    told = run("document", "show", shelf / name)
    assert (told.code, told.err) == (0, "")
    same = yaml.safe_load(told.out)
    assert same == {key: value for key, value in form.items() if value and key != "format"}


def test_show_resolves_defaults_and_tells_every_way(shelf: Path, run: Run) -> None:
    form = run("document", "show", shelf / "command.yaml", "--format", "json").document
    defaults = {name: parameter["default"] for name, parameter in form["parameters"].items()}
    assert defaults["Limit"] == 60
    assert defaults["Quiet"] is False
    assert defaults["Disks"] == [{"name": "sda"}]
    ways = [(edge["from"], edge["to"], edge["kind"]) for edge in form["edges"]]
    assert ways == [
        ("fetch", "run", "next"),
        ("run", "packages", "next"),
        ("run", None, "failure"),
        ("packages", "motd", "next"),
        ("motd", None, "next"),
    ]


def test_lint_has_one_entry_for_each_file_always(shelf: Path, run: Run) -> None:
    (shelf / "broken.json").write_text("{")
    files = [shelf / name for name in ("session.yaml", "broken.json", "none.yaml", "runbook.yaml")]
    ran = run("document", "lint", *files, "--format", "json")
    assert ran.code == 2
    entries = ran.document["documents"]
    assert [entry["file"] for entry in entries] == [str(file) for file in files]
    assert [entry["parsed"] for entry in entries] == [True, False, False, True]
    assert [entry["runnable"] for entry in entries] == [False, False, False, True]
    assert [(need["needs"], need["line"]) for need in entries[0]["needs"]] == [("sessions", 1)]
    (error,) = entries[1]["errors"]
    assert (error["line"], error["column"], error["message"]) == (1, 2, "the file ends too early")
    (error,) = entries[2]["errors"]
    assert error["message"] == "it cannot be read: No such file or directory"


def test_lint_takes_a_tree_for_parsed_whatever_is_wrong_with_it(shelf: Path, run: Run) -> None:
    file = shelf / "strange.yaml"
    file.write_text('schemaVersion: "2.2"\ndescription: !Sub a\nschemaVersion: "2.0"\nmainSteps: []\n')
    (entry,) = run("document", "lint", file, "--format", "json").document["documents"]
    assert entry["parsed"]
    assert [(error["line"], error["column"]) for error in entry["errors"]] == [(2, 14), (3, 1), (4, 12)]


def test_lint_tells_people_the_same(shelf: Path, run: Run) -> None:
    ran = run("document", "lint", shelf / "command.yaml", shelf / "runbook.yaml")
    assert ran.code == 0
    *lines, verdict = ran.out.splitlines()
    assert [line.partition(": step")[0] for line in lines] == [
        f"{shelf / 'command.yaml'}:30:13: needs packages",
    ]
    assert verdict == "2 files, 0 errors, 0 warnings, 1 runnable here"


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_graph_draws_every_type(name: str, shelf: Path, run: Run) -> None:
    form = run("document", "show", shelf / name, "--format", "json").document
    text = run("document", "graph", shelf / name).out
    assert text.startswith("flowchart TD\n")
    assert all(f"{step['name'].replace(':', ':')}<br/>" in text for step in form["steps"])
    picture = ElementTree.fromstring(run("document", "graph", shelf / name, "--format", "svg").out)
    titles = {title.text for title in picture.iter("{http://www.w3.org/2000/svg}title")}
    assert {step["name"] for step in form["steps"]} < titles


def test_a_name_that_nothing_has(run: Run) -> None:
    ran = run("document", "show", "AWS-RunShelScript")
    assert ran.code == 1
    assert "there is no document AWS-RunShelScript" in ran.err
    assert "did you mean AWS-RunShellScript?" in ran.err
