"""Built-in documents: those of AWS's names take what AWS's take, and what they do on a node is done."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from reconciler.documents.compile import compile_document
from reconciler.documents.lint import lint
from tests.documents import library
from tests.documents.test_documents import Repository, where
from tests.stage import until

CONSTRAINTS = (
    "default",
    "allowedValues",
    "allowedPattern",
    "minChars",
    "maxChars",
    "minItems",
    "maxItems",
    "displayType",
)
OTHERWISE = {("AWSSupport-TroubleshootManagedInstance", "InstanceId", "allowedPattern")}
"""Where ours differ on purpose: the ids of our nodes begin with `mi-`."""


@pytest.mark.parametrize("name", library.names())
def test_it_is_valid_and_clean(name: str) -> None:
    path = library.LIBRARY / f"{name}.yaml"
    found = lint(path.read_bytes(), path.name)
    assert [str(finding) for finding in (*found.errors, *found.warnings)] == []


@pytest.mark.parametrize("name", library.names())
def test_it_takes_what_aws_takes(name: str) -> None:
    if not library.facts():
        pytest.skip(library.MISSING)
    if name not in library.facts():
        pytest.skip("AWS has no document of this name, or nothing is known of it")
    fact, ours = library.facts()[name], library.document(name)
    assert ours.type == fact["type"]
    assert (library.LIBRARY / f"{name}.yaml").read_text().startswith(f'schemaVersion: "{fact["schemaVersion"]}"\n')
    assert list(ours.parameters) == list(fact["parameters"])
    found = {parameter: told(declared) for parameter, declared in ours.parameters.items()}
    wanted = {parameter: constraints(declared) for parameter, declared in fact["parameters"].items()}
    for document, parameter, constraint in OTHERWISE:
        if document == name:
            assert found[parameter].pop(constraint) != wanted[parameter].pop(constraint)
    assert found == wanted


def told(parameter: Any) -> dict[str, Any]:
    return constraints(json.loads(parameter.model_dump_json(by_alias=True, exclude_none=True)))


def constraints(declared: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": declared["type"], **{name: declared[name] for name in CONSTRAINTS if name in declared}}


class Ran(NamedTuple):
    rc: int
    out: str


def run(name: str, **parameters: str) -> Ran:
    """What the one script of a built-in document comes to, run on this machine as an agent would."""
    given = {parameter: [value] for parameter, value in parameters.items()}
    (step,) = compile_document(library.document(name), given, Repository({}), where).steps
    assert step.action == "aws:runShellScript"
    script = "\n".join(step.inputs["runCommand"])
    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    return Ran(ran.returncode, ran.stdout + ran.stderr)


def test_files_are_listed_copied_moved_and_removed(tmp_path: Path) -> None:
    tree, copy, moved = tmp_path / "a b", tmp_path / "copy", tmp_path / "moved"
    tree.mkdir()
    (tree / "$(id)").write_text("x")
    (tree / "link").symlink_to("nowhere")
    listed = run("AWSFleetManager-GetFileSystemContent", Path=str(tree)).out
    items = {item["Name"]: item for item in json.loads(listed)["Items"]}
    assert {name: (item["Type"], item["Size"]) for name, item in items.items()} == {
        "$(id)": ("File", 1),
        "link": ("Link", 7),
    }
    encoded = base64.b64encode(str(tree).encode()).decode()
    assert run("AWSFleetManager-CopyFileSystemItem", Source=encoded, Destination=str(copy)).rc == 0
    assert not copy.exists(), "nobody said that it is to be done"
    done = {"PerformAction": "Yes"}
    run("AWSFleetManager-CopyFileSystemItem", Source=encoded, Destination=str(copy), **done)
    assert ((copy / "$(id)").read_text(), (copy / "link").is_symlink()) == ("x", True)
    run("AWSFleetManager-MoveFileSystemItem", Source=str(copy), Destination=str(moved), **done)
    assert (copy.exists(), moved.is_dir()) == (False, True)
    assert run("AWSFleetManager-DeleteFileSystemItem", Path=str(moved), **done).rc == 1
    assert run("AWSFleetManager-DeleteFileSystemItem", Path=str(moved), Recurse="Yes", **done).rc == 0
    assert not moved.exists()


def test_an_answer_that_is_too_long_comes_in_pages(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number:03}").touch()
    name, token, seen = "AWSFleetManager-GetFileSystemContent", "*", []
    while token:
        page = run(name, Path=str(tmp_path), NextToken=token, CompressOutput="Yes").out
        page = json.loads(gzip.decompress(base64.b64decode(page)))
        seen += [item["Name"] for item in page["Items"]]
        token = page["NextToken"]
    assert seen == [f"{number:03}" for number in range(300)]
    assert run(name, Path=str(tmp_path), AllowTruncatedOutput="No").rc == 1


def test_a_process_ends_with_what_it_started() -> None:
    name, script = "AWSFleetManager-TerminateProcess", "sleep 600 & echo $!; wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        child = Path("/proc") / started.stdout.readline().strip() / "stat"
        assert run(name, Id=str(started.pid), TerminateProcessTree="Yes", PerformAction="Yes").rc == 0
        assert started.wait(10) != 0
    until("the child to end", lambda: not child.exists() or ") Z " in child.read_text())
    assert run(name, Id="1", PerformAction="Yes").rc == 1


@pytest.mark.parametrize(("name", "parameters", "said"), [
    ("GetUsers", {}, '"Name": "root"'),
    ("GetGroups", {}, '"Name": "root"'),
    ("CreateUser", {"UserName": "opsctl-nobody"}, "would run: useradd --no-create-home"),
    ("CreateUser", {"UserName": "root"}, "there is a user root already"),
    ("CreateUser", {"UserName": "$(id)"}, "would run: useradd --no-create-home --comment   $(id)"),
    ("DeleteUser", {"UserName": "opsctl-nobody"}, "there is no user opsctl-nobody"),
    ("CreateGroup", {"Group": "opsctl-nobodies"}, "would run: groupadd opsctl-nobodies"),
    ("DeleteGroup", {"Group": "-r"}, "a name does not begin with -"),
    ("AddUsersToGroups", {"Users": "root", "Groups": "root,daemon"}, "run: usermod --append --groups daemon root"),
])  # fmt: skip
def test_accounts(name: str, parameters: dict[str, str], said: str) -> None:
    assert said in run(f"AWSFleetManager-{name}", **parameters).out
