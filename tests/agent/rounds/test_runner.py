"""Convergence: modes, order, failure, what is not for this agent, and that a quiet look leaves no trace."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from agent.contract.inputs import ACTIONS, Action
from agent.host import LocalHost, Ran
from agent.host.memory import MemoryHost
from agent.host.memory import Node as Place
from tests.agent.converging import Node, body, file, outcomes, reasons, script, shell, step, tree

# Modes


@pytest.mark.parametrize(
    ("mode", "cause", "apply", "outcome"),
    [
        ("ApplyAndAutoCorrect", "Assigned", True, "Changed"),
        ("ApplyAndAutoCorrect", "Interval", True, "Changed"),
        ("ApplyAndAutoCorrect", "Boot", True, "Changed"),
        ("ApplyAndAutoCorrect", "Assigned", False, "Drifted"),
        ("ApplyAndMonitor", "Assigned", True, "Changed"),
        ("ApplyAndMonitor", "Interval", True, "Drifted"),
        ("ApplyAndMonitor", "Assigned", False, "Drifted"),
        ("AuditOnly", "Assigned", True, "Drifted"),
        ("A mode of tomorrow", "Assigned", True, "Drifted"),
    ],
)
def test_a_mode_decides_whether_anything_changes(
    node: Node, host: MemoryHost, mode: str, cause: str, apply: bool, outcome: str
) -> None:
    result = node.converge(body(file("motd"), mode=mode), cause=cause, apply=apply)
    assert outcomes(result) == {"path:/etc/motd": outcome}
    assert (result.status, result.changed) == ("Success", outcome == "Changed")
    assert ("/etc/motd" in host.nodes) == (outcome == "Changed")


@pytest.mark.parametrize(
    ("mode", "cause", "ran"),
    [
        ("ApplyAndAutoCorrect", "Interval", True),
        ("ApplyAndMonitor", "Schedule", True),
        ("AuditOnly", "Assigned", False),
    ],
)
def test_a_script_is_run_in_every_mode_that_applies(
    node: Node, host: MemoryHost, mode: str, cause: str, ran: bool
) -> None:
    result = node.converge(body(script("say"), mode=mode), cause=cause)
    assert outcomes(result) == {"script:say": "Changed" if ran else "Drifted"}
    assert bool(host.commands) == ran


# Order and failure


def test_a_failure_leaves_out_what_follows(node: Node, host: MemoryHost) -> None:
    result = node.converge(body(file("a"), step("ops:link", {"path": "/etc/b"}, name="bad"), file("c")))
    assert outcomes(result) == {"path:/etc/a": "Changed", "path:/etc/b": "Failed", "path:/etc/c": "Skipped"}
    assert (result.status, result.reason) == ("Failed", "bad: a link needs a target")
    assert reasons(result)["path:/etc/c"] == "left out: step bad failed"
    assert "/etc/c" not in host.nodes


@pytest.mark.parametrize(
    ("on_failure", "outcome", "status"),
    [
        ("stop", "Skipped", "Failed"),
        ("exit", "Skipped", "Failed"),
        ("successAndExit", "Skipped", "Success"),
        ("continue", "Changed", "Failed"),
    ],
)
def test_on_failure(node: Node, on_failure: str, outcome: str, status: str) -> None:
    result = node.converge(body(script("bad", "exit 3", on_failure=on_failure), file("after")))
    assert outcomes(result) == {"script:bad": "Failed", "path:/etc/after": outcome}
    assert result.status == status


@pytest.mark.parametrize(("rc", "status", "outcome"), [(168, "Success", "Changed"), (169, "Failed", "Failed")])
def test_exit_codes_that_end_the_document(node: Node, rc: int, status: str, outcome: str) -> None:
    held = body(script("last", f"exit {rc}", on_failure="continue"), file("after"))
    result = node.converge(held)
    assert outcomes(result) == {"script:last": outcome, "path:/etc/after": "Skipped"}
    assert result.status == status
    again = node.converge(held, cause="Interval")
    assert outcomes(again)["path:/etc/after"] == "Skipped"
    assert again.status == status


def test_a_failure_counts_for_more_than_a_step_out_of_time(node: Node, host: MemoryHost) -> None:
    host.shell = lambda _, text: Ran(-15, timed_out=True) if text.strip() == "slow" else shell(host, text)
    held = body(script("late", "slow", on_failure="continue"), script("bad", "exit 3", on_failure="continue"))
    result = node.converge(held)
    assert (result.status, str(result.reason).partition(":")[0]) == ("Failed", "bad")
    assert node.converge(body(script("late", "slow"), uid="Association/other")).status == "TimedOut"


def test_a_defect_in_a_step_stops_no_other(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.steps.link import LinkStep

    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(LinkStep, "observe", broken)
    bad = step("ops:link", {"path": "/etc/a", "target": "b"}, name="bad", on_failure="continue")
    result = node.converge(body(bad, file("c")))
    assert outcomes(result) == {"path:/etc/a": "Failed", "path:/etc/c": "Changed"}
    assert reasons(result)["path:/etc/a"] == "a defect in opsctl: ZeroDivisionError: oops"


def test_a_node_that_cannot_be_read_is_unknown(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*arguments: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/etc/motd")

    monkeypatch.setattr(MemoryHost, "snapshot", denied)
    result = node.converge(body(file("motd"), mode="AuditOnly"))
    assert outcomes(result) == {"path:/etc/motd": "Unknown"}
    assert result.reason == "motd: /etc/motd: Permission denied"


# What is not for this agent or node


def test_what_is_not_understood_is_unsupported(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    held = body(
        step("ops:foo", {}, name="new", on_failure="continue"),
        step("ops:file", {"path": "/etc/a"}, name="newer", version=99, on_failure="continue"),
        file("c"),
    )
    result = node.converge(held)
    assert outcomes(result) == {"script:new": "Failed", "script:newer": "Failed", "path:/etc/c": "Changed"}
    told = reasons(result)
    assert str(told["script:new"]).startswith("Unsupported: this agent does not know the action ops:foo")
    assert str(told["script:newer"]).startswith("Unsupported: ops:file at contract version 99")
    whole = node.converge(body(file("d"), must_understand=["moonPhase"]))
    assert (whole.status, whole.claims) == ("Failed", [])
    assert str(whole.reason).startswith("Unsupported: this agent does not understand moonPhase")


def test_an_action_without_a_step_is_unsupported(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ACTIONS, "ops:later", Action(ACTIONS["ops:file"].named, 1, True))
    result = node.converge(body(step("ops:later", {"path": "/etc/a"})))
    assert outcomes(result) == {"script:it": "Failed"}


# Claims


def test_the_second_claimant_is_refused_by_name(node: Node, host: MemoryHost) -> None:
    from agent.rounds.claimants import claimants

    first = body(file("motd"), uid="Association/a")
    second = body(file("motd", "y\n"), uid="Association/b")
    held = claimants([second, first])
    result = node.converge(second, claimants=held)
    assert reasons(result) == {
        "path:/etc/motd": "path:/etc/motd is already claimed by step motd of Association/a; only one may own it"
    }
    assert outcomes(node.converge(first, claimants=held)) == {"path:/etc/motd": "Changed"}
    twice = node.converge(body(file("motd"), step("ops:directory", {"path": "/etc/motd"}, name="again")))
    assert reasons(twice)["path:/etc/motd"] == "path:/etc/motd is already claimed by step motd; only one may own it"


# Nothing to do


def test_a_look_that_changes_nothing_writes_nothing(node: Node, host: MemoryHost) -> None:
    held = body(file("a"), file("b"), step("ops:link", {"path": "/etc/l", "target": "a"}), script("say"))
    node.converge(held)
    before, files = node.written(), tree(host, None)
    host.writes.clear()
    result = node.converge(held, cause="Interval")
    assert set(outcomes(result).values()) == {"Unchanged"}
    assert (host.writes, node.written(), tree(host, None)) == ([], before, files)


def test_a_source_that_is_right_is_not_even_read(node: Node) -> None:
    held = body(step("ops:file", {"path": "/etc/a", "source": "f"}), files={"f": b"data"})
    node.hold(b"data")
    node.converge(held)
    node.blobs.clear()
    assert outcomes(node.converge(held, cause="Interval")) == {"path:/etc/a": "Unchanged"}


def test_a_source_that_is_not_here_yet(node: Node) -> None:
    held = body(step("ops:file", {"path": "/etc/a", "source": "f"}), files={"f": b"data"})
    assert reasons(node.converge(held)) == {"path:/etc/a": "the source file f is not on this node yet"}


def test_long_descriptions_are_cut(node: Node, host: MemoryHost) -> None:
    host.nodes["/etc/hosts"] = Place("file")
    result = node.converge(body(step("ops:line", {"path": "/etc/hosts", "line": "x" * 5000, "match": "^y"})))
    assert result.claims[0].after == "x" * 297 + "..."


# On this machine


def test_a_sandbox_on_this_machine(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    node = Node(LocalHost(str(tmp_path / "root"), scripts=str(tmp_path), runs_scripts=True), tmp_path / "state")
    held = body(
        step("ops:directory", {"path": "/srv"}, name="srv"),
        step("ops:file", {"path": "/srv/a", "content": "a\n", "owner": "root"}, name="a"),
        step("ops:link", {"path": "/srv/l", "target": "a"}, name="l"),
        step("ops:package", {"name": ["nginx"]}, name="p"),
        step("ops:script", {"test": ["test -e srv/made"], "apply": ["touch srv/made"]}, name="s"),
        step("aws:runShellScript", {"runCommand": ['echo "$AWS_SSM_INSTANCE_ID"', 'echo "$OPSCTL_ROOT"']}, name="r"),
    )
    result = node.converge(held)
    assert outcomes(result) == {
        "path:/srv": "Changed",
        "path:/srv/a": "Changed",
        "path:/srv/l": "Changed",
        "package:nginx": "Skipped",
        "script:s": "Changed",
        "script:r": "Changed",
    }
    assert result.output == f"mi-1\n{tmp_path / 'root'}\n"
    (tmp_path / "root/srv/a").write_text("by hand\n")
    healed = node.converge(held, cause="Interval")
    assert outcomes(healed)["path:/srv/a"] == "Changed"
    assert (tmp_path / "root/srv/a").read_text() == "a\n"
    node.close()
