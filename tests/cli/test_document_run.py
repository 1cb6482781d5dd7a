"""`opsctl document run` on this machine, without a server."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests import lifeline
from tests.cli.conftest import OPSCTL, Run
from tests.e2e import config
from tests.stage import until


def written(directory: Path, *steps: dict[str, object], **parameters: str) -> str:
    file = directory / "mine.yaml"
    file.write_text(config.document("mine", *steps, **parameters)["documents/mine.yaml"])
    return str(file)


def test_what_is_said_is_shown_and_its_end_told(tmp_path: Path, run: Run) -> None:
    file = written(tmp_path, config.script("echo hello {{ who }}", "printf oh >&2"), config.script("exit 3"), who="x")
    ran = run("document", "run", file, "-p", "who=you", "--local")
    assert ran.code == 1
    assert "hello you\n" in ran.out
    assert "oh\n" in ran.out
    assert [line.split()[:5] for line in ran.out.splitlines() if line.startswith("here")] == [
        ["here", "step1", "aws:runShellScript", "Success", "0"],
        ["here", "step2", "aws:runShellScript", "Failed", "3"],
    ]
    assert ran.out.endswith("Failed (exit 3)\n")
    found = run("document", "run", file, "--local", "--format", "json").document
    assert [step["status"] for step in found["steps"]] == ["Success", "Failed"]


def test_a_dry_run_changes_nothing(tmp_path: Path, run: Run) -> None:
    made = tmp_path / "made"
    file = written(tmp_path, config.file(str(made), "hello\n"), config.script(f"touch {made}"))
    ran = run("document", "run", file, "--local", "--check")
    assert (ran.code, made.exists()) == (0, False)
    assert f"path:{made}" in ran.out
    assert run("document", "run", file, "--local").code == 0
    assert made.read_text() == "hello\n"


def test_files_of_a_repository_are_at_hand(tmp_path: Path, run: Run) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "motd").write_text("from the repository\n")
    made = tmp_path / "made"
    file = written(tmp_path, {"action": "ops:file", "inputs": {"path": str(made), "source": "files/motd"}})
    assert run("document", "run", file, "--local").code == 2
    assert run("document", "run", file, "--local", "--repo", str(tmp_path)).code == 0
    assert made.read_text() == "from the repository\n"


@pytest.mark.parametrize("arguments", [
    ["x.yaml", "--local", "--targets", "*"], ["x.yaml", "--local", "-p", "nothing"],
])  # fmt: skip
def test_wrong_usage(run: Run, arguments: list[str]) -> None:
    assert run("document", "run", *arguments).code == 2


def test_what_is_wrong_is_said_at_its_place(tmp_path: Path, run: Run) -> None:
    file = written(tmp_path, config.script("ls"), who="x")
    ran = run("document", "run", file, "-p", "hwo=y", "--local")
    assert (ran.code, "no parameter `hwo`" in ran.err) == (2, True)
    assert run("document", "run", str(tmp_path / "none.yaml"), "--local").code == 1


def test_interrupted_its_script_ends_too(tmp_path: Path) -> None:
    begun, over = tmp_path / "begun", tmp_path / "over"
    file = written(
        tmp_path, config.script(f"trap 'touch {over}; exit 1' TERM; touch {begun}; while :; do sleep 0.1; done")
    )
    command = [str(OPSCTL), "document", "run", file, "--local"]
    process = lifeline.start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    until("it to begin", begun.exists)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[0].decode()
    lifeline.let_go(process.pid)
    assert (process.returncode, over.exists()) == (1, True)
    assert "Cancelled" in said
