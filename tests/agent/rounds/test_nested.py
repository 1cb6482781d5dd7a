"""Documents within documents, on a node: what ends what, what is told of whom, and that a reboot goes on inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.contract.wire import Body, BodyStep
from agent.host.memory import MemoryHost
from agent.rounds.outcome import RunResult
from tests.agent.converging import Node, body, file, outcomes, reasons, script, shell, step


@pytest.fixture
def host() -> MemoryHost:
    host = MemoryHost(sandbox=True)
    host.shell = shell
    host.mkdir("/etc", 0o755)
    return host


@pytest.fixture
def node(host: MemoryHost, tmp_path: Path) -> Node:
    return Node(host, tmp_path / "state")


def outer(name: str, within: str = "", **more: str) -> BodyStep:
    inputs = {"documentType": "SSMDocument", "documentPath": "other"}
    return step("aws:runDocument", inputs, name=name, within=within, on_failure=more.get("on_failure", "continue"))


def inner(name: str, text: str = "hello", on_failure: str = "continue", **more: str) -> BodyStep:
    return script(name, text, within=name.rpartition(":")[0], on_failure=on_failure, **more)


def ran(node: Node, *steps: BodyStep, **how: str) -> RunResult:
    return node.converge(nested(*steps), **how)  # type: ignore[arg-type]  # texts are what these tests give


def nested(*steps: BodyStep) -> Body:
    return body(*steps, must_understand=["within"])


def test_its_steps_run_in_their_place(node: Node, host: MemoryHost) -> None:
    result = ran(node, script("a", "1"), outer("b"), inner("b:x", "2"), inner("b:y", "3"), script("c", "4"))
    assert [command[1].strip() for command in host.commands] == ["1", "2", "3", "4"]
    assert set(outcomes(result).values()) == {"Changed", "Unchanged"}
    assert outcomes(result)["script:b"] == "Unchanged"
    assert result.status == "Success"
    assert ran(node, script("a", "1"), outer("b"), inner("b:x", "2"), inner("b:y", "3"), script("c", "4")).quiet


@pytest.mark.parametrize(
    ("code", "ends", "runs", "status"),
    [
        ("3", "exit", ["exit 3", "after"], "Failed"),
        ("3", "continue", ["exit 3", "rest", "after"], "Failed"),
        ("3", "successAndExit", ["exit 3", "after"], "Success"),
        ("168", "continue", ["exit 168", "after"], "Success"),
        ("169", "continue", ["exit 169", "after"], "Failed"),
    ],
)
def test_what_ends_it_ends_nothing_else(
    node: Node, host: MemoryHost, code: str, ends: str, runs: list[str], status: str
) -> None:
    result = ran(node, outer("b"), inner("b:x", f"exit {code}", ends), inner("b:y", "rest"), script("c", "after"))
    assert [command[1].strip() for command in host.commands] == runs
    assert result.status == status
    if status == "Failed":
        assert str(reasons(result)["script:b"]).startswith(f"b:x: exit {code}")


@pytest.mark.parametrize(("on_failure", "after"), [("exit", 0), ("continue", 1), ("successAndExit", 0)])
def test_its_failure_is_that_of_the_step_that_runs_it(
    node: Node, host: MemoryHost, on_failure: str, after: int
) -> None:
    result = ran(node, outer("b", on_failure=on_failure), inner("b:x", "exit 5"), script("c", "after"))
    assert [command[1].strip() for command in host.commands].count("after") == after
    assert result.status == ("Success" if on_failure == "successAndExit" else "Failed")


def test_what_runs_last_runs_last_within_its_document(node: Node, host: MemoryHost) -> None:
    steps = [inner("b:x", "exit 3", "exit"), inner("b:last", "last")]
    last = BodyStep(**{**vars(steps[1]), "finally_step": True})
    ran(node, outer("b"), steps[0], last, script("c", "after"))
    assert [command[1].strip() for command in host.commands] == ["exit 3", "last", "after"]


def test_where_it_is_left_out_all_of_it_is(node: Node, host: MemoryHost) -> None:
    elsewhere = BodyStep(**{**vars(outer("b")), "precondition": {"StringEquals": ["platformType", "Windows"]}})
    result = ran(node, elsewhere, inner("b:x", "1"), script("c", "after"))
    assert [command[1].strip() for command in host.commands] == ["after"]
    assert "its precondition is not met" in str(reasons(result)["script:b"])
    assert "its precondition is not met" in str(reasons(result)["script:b:x"])


def test_two_deep(node: Node, host: MemoryHost) -> None:
    result = ran(
        node, outer("a"), outer("a:b", "a"), inner("a:b:x", "exit 3", "exit"), inner("a:b:y", "no"), inner("a:z", "yes")
    )
    assert [command[1].strip() for command in host.commands] == ["exit 3", "yes"]
    assert reasons(result)["script:a"] == "a:b: a:b:x: exit 3"


def test_it_goes_on_inside_after_a_reboot(tmp_path: Path) -> None:
    host = MemoryHost()
    said = iter(["exit 0", "exit 194", "exit 0", "exit 0"])
    host.shell = lambda machine, _: shell(machine, next(said))
    node = Node(host, tmp_path / "state")
    steps = (outer("b"), inner("b:x", "first"), inner("b:y", "reboots"), script("c", "after"))
    assert ran(node, *steps).status == "Rebooting"
    assert [command[1].strip() for command in host.commands] == ["first", "reboots"]
    node.reopen()
    assert ran(node, *steps, boot_id="2").status == "Success"
    assert [command[1].strip() for command in host.commands] == ["first", "reboots", "reboots", "after"]


def test_what_it_holds_is_held(node: Node, host: MemoryHost) -> None:
    held = BodyStep(**{**vars(file("motd")), "name": "b:motd", "within": "b"})
    assert outcomes(ran(node, outer("b"), held))["path:/etc/motd"] == "Changed"
    host.unlink("/etc/motd")
    assert outcomes(ran(node, outer("b"), held, cause="Interval"))["path:/etc/motd"] == "Changed"


def test_an_association_runs_no_document_of_the_node(node: Node) -> None:
    inputs = {"documentType": "LocalPath", "documentPath": "/etc/x.yaml"}
    result = ran(node, step("aws:runDocument", inputs, name="b"))
    assert "commands run such documents, associations do not" in str(reasons(result)["script:b"])
