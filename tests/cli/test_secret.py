"""`opsctl secret`: a repository's secrets from the first key to a merge, as people use it."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.adapters.sops.editor import Editor
from reconciler.core.problem import Unavailable
from tests.cli.conftest import OPSCTL, Repository, Run

FILE = "parameters/prod/db.sops.yaml"
PLAIN = "# the database\ndb:\n    user: app\n    password: hunter2\n    port: 5432\n"
VERIFIED = re.compile(rf"{FILE} +verified +(\d)")


@pytest.fixture(autouse=True)
def nobodys_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SOPS_", "XDG_", "GNUPG", "VISUAL")):
            monkeypatch.delenv(name)


@pytest.fixture
def editing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Editing:
    return Editing(monkeypatch, tmp_path)


class Editing:
    """A person at an editor."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self._monkeypatch = monkeypatch
        self._script = tmp_path / "editor.py"
        self._seen = tmp_path / "seen"

    def writes(self, text: str) -> None:
        self._does(f"path.write_text({text!r})")

    def replaces(self, old: str, new: str) -> None:
        self._does(f"path.write_text(path.read_text().replace({old!r}, {new!r}))")

    @property
    def seen(self) -> tuple[str, str, str]:
        """Where the file lay, its mode and its directory's."""
        path, mode, folder = self._seen.read_text().split("\n")
        return path, mode, folder

    def _does(self, what: str) -> None:
        self._script.write_text(
            "import os, sys, pathlib\npath = pathlib.Path(sys.argv[1])\n"
            f"modes = [oct(os.stat(each).st_mode & 0o777) for each in (path, path.parent)]\n"
            f"pathlib.Path({str(self._seen)!r}).write_text(chr(10).join([str(path), *modes]))\n{what}\n"
        )
        self._monkeypatch.setenv("EDITOR", f"{sys.executable} {self._script}")


@pytest.fixture
def secrets(repository: Repository, run: Run, editing: Editing, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository with one secret file, committed, and the program where Git finds it."""
    monkeypatch.chdir(repository.directory)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert run("secret", "init").code == 0
    editing.writes(PLAIN)
    assert run("secret", "edit", FILE).out == f"{FILE}: encrypted\n"
    repository.commit("Add the database's secrets")
    return repository


def test_from_the_first_key_to_a_merge(secrets: Repository, run: Run, editing: Editing, tmp_path: Path) -> None:
    key_file = tmp_path / ".config" / "sops" / "age" / "keys.txt"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    encrypted = (secrets.directory / FILE).read_text()
    assert "hunter2" not in encrypted
    path, mode, folder = editing.seen
    assert (mode, folder) == ("0o600", "0o700")
    assert not Path(path).exists()
    assert not Path(path).parent.exists()

    editing.replaces("hunter2", "hunter3")
    run("secret", "edit", FILE)
    shown = secrets.git("diff", "--numstat", "--", FILE)
    assert shown.split() in (["3", "3", FILE], ["2", "2", FILE])  # lastmodified counts seconds
    secrets.commit("Change the password")
    secrets.git("checkout", "--quiet", "-b", "other", "HEAD~1")
    editing.replaces("app", "app2")
    run("secret", "edit", FILE)
    secrets.commit("Change the user")
    secrets.git("merge", "--quiet", "--no-edit", "main")
    editing.replaces("nothing", "")
    assert run("secret", "edit", FILE).out == f"{FILE}: unchanged\n"
    assert VERIFIED.search(run("secret", "verify").out)

    secrets.git("checkout", "--quiet", "-b", "third", "main")
    editing.replaces("hunter3", "hunter4")
    run("secret", "edit", FILE)
    secrets.commit("Change the password otherwise")
    secrets.git("checkout", "--quiet", "other")
    editing.replaces("hunter3", "hunter5")
    run("secret", "edit", FILE)
    secrets.commit("Change the password yet otherwise")
    merged = subprocess.run(
        ["git", "merge", "third"], cwd=secrets.directory, capture_output=True, text=True, check=False
    )
    assert merged.returncode == 1
    assert f"both sides changed db.password in {FILE}" in merged.stderr + merged.stdout
    assert "hunter" not in merged.stderr + merged.stdout


def test_recipients_come_and_go(secrets: Repository, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "id"], check=True)
    public = " ".join((tmp_path / "id.pub").read_text().split()[:2])
    added = run("secret", "add-recipient", public, "--format", "json")
    assert [len(each["recipients"]) for each in added.document["files"]] == [2]
    assert public in (secrets.directory / ".sops.yaml").read_text()
    before = (secrets.directory / FILE).read_bytes()
    assert run("secret", "updatekeys").out.startswith(f"{FILE}: unchanged")
    assert run("secret", "rotate", FILE).out == f"{FILE}: encrypted, 2 recipients\n"
    assert (secrets.directory / FILE).read_bytes() != before
    with monkeypatch.context() as as_other:
        as_other.setenv("HOME", "/nonexistent")
        as_other.setenv("SOPS_AGE_SSH_PRIVATE_KEY_FILE", str(tmp_path / "id"))
        assert VERIFIED.search(run("secret", "verify").out)
    removed = run("secret", "rm-recipient", public)
    assert removed.code == 0
    assert "replace those values" in removed.err
    with monkeypatch.context() as as_other:
        as_other.setenv("HOME", "/nonexistent")
        as_other.setenv("SOPS_AGE_SSH_PRIVATE_KEY_FILE", str(tmp_path / "id"))
        refused = run("secret", "verify")
        assert (refused.code, "none of the keys here opens" in refused.out) == (1, True)
    assert run("secret", "rm-recipient", public).code == 1
    assert run("secret", "verify", "--without-keys").code == 0


def test_verify_as_a_document(secrets: Repository, run: Run) -> None:
    document = run("secret", "verify", "--format", "json").document
    assert document["valid"] is True
    assert [(each["path"], each["verdict"]) for each in document["files"]] == [(FILE, "verified")]
    secrets.replace(FILE, "mac: ENC[AES256_GCM,data:", "mac: ENC[AES256_GCM,data:AA")
    secrets.write("parameters/new.sops.yaml", "password: hunter2\n")
    ran = run("secret", "verify", "--format", "json")
    assert ran.code == 2
    assert [(each["path"], each["verdict"]) for each in ran.document["files"]] == [
        ("parameters/new.sops.yaml", "failed"),
        (FILE, "failed"),
    ]
    assert "hunter2" not in ran.out


def test_init_as_a_document_and_again_by_somebody_else(
    repository: Repository, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run("secret", "init", repository.directory, "--format", "json").document
    assert first["recipient"].startswith("age1")
    assert [first[name] for name in ("rulesMade", "named", "mergeDriver")] == [True, True, True]
    rules = (repository.directory / ".sops.yaml").read_bytes()
    again = run("secret", "init", repository.directory, "--format", "json").document
    assert [again[name] for name in ("recipient", "keyFile", "rulesMade")] == [first["recipient"], "", False]
    monkeypatch.setenv("HOME", str(tmp_path / "colleague"))
    told = run("secret", "init", repository.directory).out
    assert "opsctl secret add-recipient age1" in told
    assert (repository.directory / ".sops.yaml").read_bytes() == rules


def test_what_an_editor_leaves_broken_is_not_written(secrets: Repository, run: Run, editing: Editing) -> None:
    before = (secrets.directory / FILE).read_bytes()
    editing.replaces("hunter2", "[")
    ran = run("secret", "edit", FILE)
    assert ran.code == 2
    assert f"{FILE}:" in ran.err
    assert (secrets.directory / FILE).read_bytes() == before
    assert not Path(editing.seen[0]).parent.exists()


def test_a_file_that_nobody_encrypted_yet_is_encrypted(secrets: Repository, run: Run, editing: Editing) -> None:
    secrets.write("a.sops.env", "A=hunter2\n")
    editing.replaces("nothing", "")
    assert run("secret", "edit", "a.sops.env").out == "a.sops.env: encrypted\n"
    assert "hunter2" not in (secrets.directory / "a.sops.env").read_text()
    editing.writes("x")
    refused = run("secret", "edit", "other.txt")
    assert (refused.code, "no rule of" in refused.err) == (1, True)


@pytest.mark.parametrize("command", ["false", "editor-that-is-not-there"])
def test_an_editor_that_fails_leaves_nothing_behind(command: str) -> None:
    editor = Editor({"EDITOR": command})
    with editor.open("name.yaml", b"secret") as file:
        (file.parent / ".name.yaml.swp").write_bytes(b"secret")
        with pytest.raises(Unavailable):
            editor.edit(file)
    assert not file.parent.exists()


def test_a_file_that_does_not_open_stops_no_other(secrets: Repository, run: Run) -> None:
    broken = (secrets.directory / FILE).read_text().replace("type:int", "type:str").replace("mac: ENC", "mac: END")
    secrets.write("parameters/broken.sops.yaml", broken)
    ran = run("secret", "rotate", "--format", "json")
    assert ran.code == 1
    files = {Path(each["path"]).name: (each["changed"], bool(each["problem"])) for each in ran.document["files"]}
    assert files == {"broken.sops.yaml": (False, True), "db.sops.yaml": (True, False)}
    told = run("secret", "rotate")
    assert (told.code, "parameters/broken.sops.yaml" in told.err, FILE in told.out) == (1, True, True)


def test_an_editor_session_that_is_ended_leaves_nothing_behind(secrets: Repository, tmp_path: Path) -> None:
    seen = tmp_path / "place"
    os.mkfifo(seen)
    editor = tmp_path / "slow.py"
    editor.write_text(f"import sys, time\nopen({str(seen)!r}, 'w').write(sys.argv[1])\ntime.sleep(60)\n")
    environ = {**os.environ, "EDITOR": f"{sys.executable} {editor}"}
    with subprocess.Popen([OPSCTL, "secret", "edit", FILE], env=environ, stderr=subprocess.PIPE) as program:
        path = Path(seen.read_text())
        assert "hunter2" in path.read_text()
        program.terminate()
        assert program.wait(30) == 143
    assert not path.parent.exists()
