"""Built-in documents that run what was brought to a node: what their scripts make of it, and of their parameters."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from reconciler.documents.compile import compile_document
from tests.documents import library
from tests.documents.test_documents import Repository, where
from tests.documents.test_library import Ran

GITHUB = '{"owner": "o", "repository": "r"}'
TOLD = '#!/bin/sh\nfor word in "$@"; do echo "<$word>"; done\n'


@pytest.fixture
def brought(tmp_path: Path) -> Path:
    """The directory that a run's downloads are in; beside it one for programs."""
    (tmp_path / "downloads").mkdir()
    (tmp_path / "bin").mkdir()
    return tmp_path / "downloads"


def program(brought: Path, name: str, text: str = TOLD) -> None:
    path = brought.parent / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def run(name: str, brought: Path, **parameters: str) -> Ran:
    """What the shell script of a built-in document comes to, run on this machine among these files."""
    given = {parameter: [value] for parameter, value in parameters.items()}
    steps = compile_document(library.document(name), given, Repository({}), where).steps
    (step,) = (step for step in steps if step.action == "aws:runShellScript")
    script = "\n".join(step.inputs["runCommand"])
    environment = {"PATH": f"{brought.parent / 'bin'}:{os.environ['PATH']}"}
    ran = subprocess.run(
        ["sh", "-c", script], cwd=brought, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return Ran(ran.returncode, ran.stdout + ran.stderr)


def test_a_remote_script_is_found_by_its_name(brought: Path) -> None:
    (brought / "deploy.sh").write_text('#!/bin/sh\necho "deployed $1 in $(pwd)"\n')
    (brought / "deploy.sh").chmod(0o700)
    ran = run(
        "AWS-RunRemoteScript", brought, sourceType="GitHub", sourceInfo=GITHUB, commandLine="deploy.sh v2 && exit 7"
    )
    assert ran == Ran(7, f"deployed v2 in {brought}\n")


def playbook(brought: Path, **more: str) -> Ran:
    given = {"SourceType": "GitHub", "SourceInfo": GITHUB, "InstallDependencies": "False", "PlaybookFile": "site.yml"}
    return run("AWS-ApplyAnsiblePlaybooks", brought, **{**given, **more})


def test_a_playbook_out_of_an_archive_with_its_variables(brought: Path) -> None:
    program(brought, "ansible-playbook")
    with zipfile.ZipFile(brought / "all.zip", "w") as archive:
        archive.writestr("site.yml", "[]")
    ran = playbook(brought, ExtraVariables="a=1 b='two $HOME `id`'", Verbose="-vv", Check="True")
    said = ran.out.splitlines()
    assert said[-4:] == ["<--check>", "<--extra-vars>", "<a=1 b='two $HOME `id`'>", "<site.yml>"]
    assert said[:5] == ["<--inventory>", "<localhost,>", "<--connection>", "<local>", "<-vv>"]


def test_a_playbook_that_is_not_there(brought: Path) -> None:
    program(brought, "ansible-playbook")
    (brought / "other.yml").touch()
    assert playbook(brought) == Ran(1, "there is no site.yml among what was brought: other.yml \n")
    (brought.parent / "bin" / "ansible-playbook").unlink()
    (brought / "site.yml").touch()
    if not any(Path(directory, "ansible-playbook").exists() for directory in os.environ["PATH"].split(":")):
        assert "there is no Ansible here" in playbook(brought).out


def test_a_state_of_salts_with_pillars_as_they_were_given(brought: Path) -> None:
    program(brought, "salt-call", TOLD + 'cat "$5"\nexit 2\n')
    state = "motd:\n  file.managed:\n    - name: /etc/motd\n    - contents: '$HOME `id`'"
    ran = run("AWS-RunSaltState", brought, state=state, pillars="""{"it's": "$HOME"}""", test="True")
    assert ran.rc == 2
    assert '<pillar={"it\'s": "$HOME"}>\n<test=True>\n' in ran.out
    assert ran.out.endswith(state + "\n")
    assert run("AWS-RunSaltState", brought).out == "give state or stateurl\n"


def test_a_node_without_salt(brought: Path) -> None:
    if any(Path(directory, "salt-call").exists() for directory in os.environ["PATH"].split(":")):
        pytest.skip("this machine has Salt")
    assert run("AWS-RunSaltState", brought, state="x: []") == Ran(
        1, "there is no Salt on this node: salt-call was not found\n"
    )


def test_a_document_is_run_from_where_it_was_brought_to() -> None:
    given = {"sourceType": ["SSMDocument"], "sourceInfo": ['{"name": "restart"}'], "documentParameters": ['{"a": "b"}']}
    repository = Repository({"documents/restart.yaml": 'schemaVersion: "2.2"\nmainSteps: []\n'})
    bring, start = compile_document(library.document("AWS-RunDocument"), given, repository, where).steps
    assert bring.inputs["sourceInfo"] == {
        "name": "restart",
        "content": '{\n  "schemaVersion": "2.2",\n  "mainSteps": []\n}',
    }
    assert bring.inputs["destinationPath"] == start.inputs["documentPath"]
    assert start.inputs["documentParameters"] == {"a": "b"}
