"""`opsctl run`: what is asked for, and what people see of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.cli.app import exit_code
from reconciler.cli.run_board import counts
from reconciler.cli.run_groups import groups, show_groups
from reconciler.cli.run_saved import association, refuse_existing
from reconciler.core.problem import Refused


def said(node: str, output: str = "", status: str = "Success", code: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "node": node,
        "job": node,
        "status": status,
        "statusDetails": status,
        "reason": "",
        "steps": [{"name": "one", "rc": code}] if code else [],
        "standardOutput": output,
        "standardError": "",
        **fields,
    }


def test_nodes_that_said_the_same_stand_together_the_largest_group_last() -> None:
    listed = [said("c", "x"), said("a", "x"), said("b", "y"), said("d", "x", "Failed", 3), said("e", "x", "Failed", 4)]
    assert [(group.nodes, group.output, group.code) for group in groups(listed)] == [
        (("b",), "y", 0),
        (("d",), "x", 3),
        (("e",), "x", 4),
        (("a", "c"), "x", 0),
    ]


def test_why_a_node_did_nothing_is_part_of_what_it_said() -> None:
    late = [said(name, status="TimedOut", reason="not here") for name in ("a", "b")]
    ((*_, nodes),) = groups([*late])
    assert nodes == ("a", "b")


def test_what_was_left_out_is_said_though_it_counts_as_success() -> None:
    (group,) = groups([said("a", steps=[{"name": "one", "status": "Skipped", "reason": "not on this platform"}])])
    assert (group.status, group.reason) == ("Success", "not on this platform")


def test_a_group_is_shown_with_its_nodes_and_their_output(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"web-{number:02}" for number in range(15)]
    show_groups({"invocations": [*(said(name, "up\n") for name in names), said("db", "no\x1b[31m", "Failed", 3)]})
    shown = capsys.readouterr().out
    assert "1 node Failed, exit 3: db\n  no" in shown
    assert "\x1b" not in shown
    assert "15 nodes Success: web-00, web-01" in shown
    assert "web-11 and 3 more\n  up\n" in shown


def test_a_line_of_progress() -> None:
    listed = [said("a"), said("b", status="InProgress"), said("c", status="Delayed"), said("d", status="Delayed")]
    progress = {"completedCount": 1, "targetCount": 4, "invocations": listed}
    assert counts(progress) == "1 of 4 done, 2 Delayed, 1 InProgress"


def test_what_was_run_becomes_an_association() -> None:
    asked = {
        "document": "AWS-RunShellScript",
        "parameters": {"commands": ["uptime"]},
        "targets": ["tag:Env=prod"],
        "maxConcurrency": "10%",
        "maxErrors": "1",
        "comment": "INC-42",
    }
    text = association("tuned", asked)
    assert text.startswith("# INC-42\n")
    value = yaml.safe_load(text)
    assert value["metadata"] == {"name": "tuned"}
    assert value["spec"]["parameters"] == {"commands": ["uptime"]}
    assert value["spec"]["targets"] == ["tag:Env=prod"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "there.yaml").touch()
    for path in (tmp_path / "there.yaml", tmp_path / "no" / "directory.yaml"):
        with pytest.raises(Refused):
            refuse_existing(path)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--", "true"], "say where"),
        (["-t", "web-1"], "say what to run"),
        (["-t", "web-1", "--document", "x", "--", "true"], "exclude each other"),
        (["-t", "web-1", "-p", "commands=x", "--", "true"], "exclude each other"),
        (["-t", "web-1", "-p", "x", "--", "true"], "is not KEY=VALUE"),
    ],
)
def test_what_cannot_be_meant_is_said(arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["run", *arguments]) == 2
    assert why in " ".join(capsys.readouterr().err.split())
