"""What every command owes its user: help that is a page, exit codes, no surprises in a terminal."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from reconciler import __version__
from reconciler.cli.app import app
from tests.cli.conftest import OPSCTL, Run, run_program

PROGRAM: Any = typer.main.get_command(app)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its words, those that only hold others included."""
    waiting: list[tuple[str, Any]] = [("", PROGRAM)]
    while waiting:
        words, command = waiting.pop()
        yield words, command
        waiting += [(f"{words} {name}".strip(), inner) for name, inner in getattr(command, "commands", {}).items()]


COMMANDS = dict(commands())
LEAVES = {words: command for words, command in COMMANDS.items() if not hasattr(command, "commands")}


def examples() -> Iterator[tuple[str, str]]:
    """Every command line of ours that help shows, by the command whose help it is in."""
    for words, command in COMMANDS.items():
        text = re.sub(r"\\\n\s*", "", command.help or "")
        for found in re.finditer(r"(?<!\S)opsctl ((?:[^|;&>\n#]|'[^']*')*)", _section(text)):
            yield words, re.sub(r" {3,}.*", "", found[1]).strip()


def _section(text: str) -> str:
    return "".join(re.findall(r"^(?:Examples|Start with):\n((?:  .*\n?|\n)*)", text, re.MULTILINE))


@pytest.mark.parametrize("words", COMMANDS)
def test_help_is_a_page_of_80_columns(words: str, run: Run) -> None:
    ran = run(*words.split(), "--help")
    assert ran.code == 0
    assert ran.err == ""
    assert [row for row in ran.out.splitlines() if len(row) > 80] == []
    assert re.search("[─-╿]", ran.out) is None, "no boxes"
    assert ran.out.startswith(f"Usage: opsctl {words}".strip())


@pytest.mark.parametrize("words", LEAVES)
def test_every_command_has_examples_and_says_what_it_is_for(words: str) -> None:
    command = LEAVES[words]
    assert "\nExamples:\n" in command.help
    assert len(command.short_help) <= 55
    assert command.short_help.endswith(".")
    assert all(param.help for param in command.params if param.name != "help"), "every option is explained"


@pytest.mark.parametrize(("words", "example"), sorted(set(examples())))
def test_examples_are_understood(words: str, example: str) -> None:
    """Each is parsed as the command line would, and not run."""
    command, rest = PROGRAM, shlex.split(example)
    while rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    assert command is not PROGRAM, example
    command.make_context("opsctl", rest)


@pytest.mark.parametrize("words", LEAVES)
def test_wrong_usage_exits_2_and_says_where_help_is(words: str, run: Run) -> None:
    ran = run(*words.split(), "--no-such-option")
    assert ran.code == 2
    assert ran.out == ""
    assert "No such option: --no-such-option" in ran.err
    assert f"opsctl {words}" in ran.err


def test_wrong_usage_of_a_plan_with_detailed_exit_codes_is_1(run: Run) -> None:
    assert run("plan", "--detailed-exitcode", "--no-such-option").code == 1
    assert run("plan", "--detailed-exitcode", "--base", "x", "--server", "unix:x").code == 1


@pytest.mark.parametrize("arguments", [(), ("node",), ("token",), ("agent",)])
def test_without_a_command_there_is_help(arguments: tuple[str, ...], run: Run) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert "Usage: opsctl" in ran.err


def test_version(run: Run) -> None:
    assert run("--version").out == f"opsctl {__version__}\n"


def test_without_a_server_it_says_how_to_name_one(run: Run) -> None:
    ran = run("status")
    assert ran.code == 1
    assert ran.err == "opsctl: refused: no server was named; give --server URL, or set OPSCTL_SERVER\n"


def test_a_socket_that_is_not_there(run: Run, tmp_path: Path) -> None:
    ran = run("node", "list", "--server", f"unix:{tmp_path}/opsctl.sock")
    assert ran.code == 1
    assert "is opsctl serve running" in ran.err


def test_a_problem_is_a_document_too_where_json_was_asked_for(run: Run, tmp_path: Path) -> None:
    ran = run("status", "--server", f"unix:{tmp_path}/opsctl.sock", "--format", "json")
    assert ran.code == 1
    assert ran.document["error"]["class"] == "Unavailable"
    assert ran.err.startswith("opsctl: unavailable: ")


def test_a_file_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    ran = run("agent", "package", "--out", tmp_path / "no" / "agent.pyz")
    assert ran.code == 1
    assert ran.err == f"opsctl: unavailable: {tmp_path}/no/agent.pyz: No such file or directory\n"


def test_a_defect_is_told_with_what_is_needed_to_report_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a wheel came off")

    monkeypatch.setattr("reconciler.wiring.local.validate", broken)
    ran = run("validate")
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert ran.err.endswith("ZeroDivisionError: a wheel came off; please report it with the lines above\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_installed(shell: str) -> None:
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # no shell is above a test to be found
    ran = run_program("--show-completion", shell, env=named)
    assert ran.code == 0
    assert "_OPSCTL_COMPLETE" in ran.out


def test_completion_of_commands_loads_nothing_heavy() -> None:
    """Pressing TAB must not load a server: commands import what they need when they run."""
    code = "import sys; import reconciler.cli.app; sys.stdout.write(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"sqlalchemy", "uvicorn", "starlette", "cryptography", "git", "rich.table", "httpx"} & set(loaded) == set()


def test_output_ends_quietly_where_nobody_reads_on(pristine: Path) -> None:
    with subprocess.Popen(
        [str(OPSCTL), "plan", "--repo", str(pristine)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 1
    assert errors == ""
