"""Scripts: started at most once, taken up where they outlived the agent, gone on with after a reboot."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.host import Ran
from agent.host.memory import MemoryHost
from agent.host.memory import Node as Place
from agent.host.port import EndNotSeen
from agent.rounds.runner import FORESEEN
from agent.rounds.runs import ATTEMPTS
from agent.state.journal import RunKey
from agent.steps.step import INTERRUPTED
from tests.agent.converging import BOOT, Node, body, file, outcomes, reasons, script, shell, step


def test_a_script_runs_once_per_generation_and_instant(node: Node, host: MemoryHost) -> None:
    held = body(script("say"))
    first = node.converge(held)
    assert (first.output, outcomes(first)) == ("hello\n", {"script:say": "Changed"})
    node.reopen()
    again = node.converge(held, cause="Interval")
    assert (again.output, outcomes(again), again.changed) == (None, {"script:say": "Unchanged"}, False)
    assert len(host.commands) == 1
    node.converge(held, run_instant="2026-01-01T00:00:00.000Z", cause="Schedule")
    node.converge(held, generation=2)
    assert len(host.commands) == 3


def test_a_script_that_failed_is_remembered_and_not_run_again(node: Node, host: MemoryHost) -> None:
    held = body(script("bad", "exit 5"))
    assert reasons(node.converge(held)) == {"script:bad": "exit 5"}
    node.reopen()
    again = node.converge(held, cause="Interval")
    assert reasons(again) == {"script:bad": "its run ended with exit 5"}
    assert (again.status, len(host.commands)) == ("Failed", 1)


def test_a_script_out_of_time_stays_so(node: Node, host: MemoryHost) -> None:
    host.shell = lambda host, text: Ran(-15, timed_out=True)
    held = body(script("slow"))
    assert node.converge(held).status == "TimedOut"
    again = node.converge(held, cause="Interval")
    assert (again.status, reasons(again)) == ("TimedOut", {"script:slow": "its run ended with its time"})


def test_a_script_that_was_cut_off_is_not_run_again(node: Node, host: MemoryHost) -> None:
    held = body(script("say"), file("after"))
    node.journal.started(RunKey("Association/web", 1, "", "say", 1), "another boot")
    node.reopen()
    result = node.converge(held, cause="Boot")
    assert (result.status, reasons(result)["script:say"]) == ("Failed", INTERRUPTED)
    assert INTERRUPTED.startswith("Interrupted: ")
    assert host.commands == []
    assert outcomes(node.converge(held, generation=2))["script:say"] == "Changed"


def test_the_start_is_on_disk_before_the_script_runs(node: Node, host: MemoryHost) -> None:
    key = RunKey("Association/web", 1, "", "say", 1)
    seen: list[object] = []

    def look(host: MemoryHost, text: str) -> Ran:
        seen.append(node.journal.state(key))
        return Ran(0)

    host.shell = look
    node.converge(body(script("say")))
    assert seen == [("started", BOOT)]
    assert node.journal.state(key) == ("finished", 0, "Success")


def test_a_script_whose_supervisor_is_killed_is_not_run_again(node: Node, host: MemoryHost) -> None:
    def lost(host: MemoryHost, text: str) -> Ran:
        raise EndNotSeen(errno.ECHILD, "its supervisor was killed")

    host.shell = lost
    held = body(script("say"))
    for _ in range(2):
        assert reasons(node.converge(held))["script:say"] == INTERRUPTED
        node.reopen()
    assert len(host.commands) == 1


def test_what_cannot_be_staged_was_not_begun(node: Node, host: MemoryHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: MemoryHost, execution: str, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", execution)

    with monkeypatch.context() as patched:
        patched.setattr(MemoryHost, "stage_script", full)
        assert "No space left on device" in str(reasons(node.converge(body(script("say"))))["script:say"])
    assert outcomes(node.converge(body(script("say")))) == {"script:say": "Changed"}


# Runs that outlive the agent


@pytest.mark.parametrize(("rc", "outcome", "status"), [(0, "Changed", "Success"), (3, "Failed", "Failed")])
def test_a_run_that_outlived_the_agent_is_taken_up(
    node: Node, host: MemoryHost, rc: int, outcome: str, status: str
) -> None:
    key = RunKey("Association/web", 1, "", "say", 1)
    node.journal.started(key, BOOT)
    host.ended[key.execution] = Ran(rc, b"said meanwhile\n")
    node.reopen()
    held = body(script("say", on_failure="continue"), file("after"))
    result = node.converge(held, cause="Boot", apply=False)
    assert (outcomes(result)["script:say"], result.status, result.output) == (outcome, status, "said meanwhile\n")
    assert node.journal.state(key) == ("finished", rc, status)
    assert node.converge(held, cause="Interval").output is None
    assert host.commands == []


def test_a_correction_that_outlived_the_agent_is_taken_up_before_the_next(node: Node, host: MemoryHost) -> None:
    key = RunKey("Association/web", 1, "2026-01-01T00:00:00.000Z", "pair", 1)
    node.journal.started(key, BOOT)
    host.ended[key.execution] = Ran(0, b"made\n")
    result = node.converge(body(step("ops:script", {"test": ["exit 0"], "apply": ["make"]}, name="pair")))
    assert (outcomes(result), result.output) == ({"script:pair": "Changed"}, "made\n")
    assert node.journal.state(key) == ("finished", 0, "Success")
    lost = key._replace(run_instant="2026-01-02T00:00:00.000Z")
    node.journal.started(lost, BOOT)
    again = node.converge(body(step("ops:script", {"test": ["exit 0"], "apply": ["make"]}, name="pair")))
    assert outcomes(again) == {"script:pair": "Unchanged"}
    assert node.journal.state(lost) == ("finished", -1, "Interrupted")


def test_the_run_of_an_older_generation_ends_before_the_new_one(node: Node, host: MemoryHost) -> None:
    old = RunKey("Association/web", 1, "", "say", 1)
    node.journal.started(old, BOOT)
    host.ended[old.execution] = Ran(0)
    result = node.converge(body(script("say")), generation=2)
    assert node.journal.state(old) == ("finished", 0, "Success")
    assert (outcomes(result), len(host.commands)) == ({"script:say": "Changed"}, 1)


def test_a_look_that_nobody_is_told_of_accounts_for_no_run(node: Node, host: MemoryHost) -> None:
    key = RunKey("Association/web", 1, "", "say", 1)
    node.journal.started(key, BOOT)
    result = node.converge(body(script("say")), cause=FORESEEN, apply=False)
    assert reasons(result) == {"script:say": "it was begun, and is not accounted for yet"}
    assert node.journal.state(key) == ("started", BOOT)


# Reboots


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Node]:
    host = MemoryHost(nodes={"/": Place("directory"), "/etc": Place("directory")}, shell=shell)
    made = Node(host, tmp_path / "machine")
    yield made
    made.close()


def test_exit_194_goes_on_after_the_reboot_with_nothing_before_it_again(machine: Node) -> None:
    host = machine.host
    assert isinstance(host, MemoryHost)
    held = body(script("first"), file("a"), script("patch", "exit 194", on_failure="continue"), file("after"))
    for _ in range(2):  # also when the agent is restarted before the reboot comes
        waiting = machine.converge(held)
        assert (waiting.status, outcomes(waiting)["path:/etc/after"]) == ("Rebooting", "Skipped")
        machine.reopen()
    key = RunKey("Association/web", 1, "", "patch", 1)
    assert machine.journal.state(key) == ("rebooting", BOOT)
    host.shell = lambda host, text: Ran(0, text.encode())
    result = machine.converge(held, cause="Boot", boot_id="the next boot")
    assert (result.status, result.output) == ("Success", "exit 194\n")
    assert [command[1] for command in host.commands] == ["hello\n", "exit 194\n", "exit 194\n"]
    assert machine.journal.state(key._replace(attempt=2)) == ("finished", 0, "Success")
    machine.reopen()
    assert outcomes(machine.converge(held, boot_id="the next boot"))["script:patch"] == "Unchanged"


def test_reboots_come_to_an_end(machine: Node) -> None:
    held = body(script("patch", "exit 194"))
    for boot in range(ATTEMPTS - 1):
        assert machine.converge(held, boot_id=f"boot {boot}").status == "Rebooting"
    result = machine.converge(held, boot_id="the last boot")
    assert (result.status, reasons(result)["script:patch"]) == (
        "Failed",
        "exit 194 again after 15 attempts: no further reboot",
    )


def test_a_reboot_that_came_before_it_was_journalled_is_not_asked_for_again(machine: Node) -> None:
    host = machine.host
    assert isinstance(host, MemoryHost)
    key = RunKey("Association/web", 1, "", "patch", 1)
    machine.journal.started(key, "the boot before")
    host.ended[key.execution] = Ran(194)
    host.shell = lambda host, text: Ran(0)
    assert outcomes(machine.converge(body(script("patch")))) == {"script:patch": "Changed"}
    assert machine.journal.state(key) == ("rebooting", "the boot before")


def test_a_sandbox_and_an_ordinary_user_do_not_reboot(node: Node, machine: Node) -> None:
    result = node.converge(body(script("patch", "exit 194")))
    assert reasons(result)["script:patch"] == "exit 194 asks for a reboot, which a sandbox does not do"
    assert isinstance(machine.host, MemoryHost)
    machine.host.privileged = False
    result = machine.converge(body(script("patch", "exit 194")))
    assert reasons(result)["script:patch"] == "NotPermitted: needs root: exit 194 asks for a reboot"


def test_each_correction_by_script_is_a_run_of_its_own(
    node: Node, host: MemoryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[RunKey] = []
    whole = type(node.journal).started

    def note(self: Any, key: RunKey, boot_id: str) -> None:
        runs.append(key)
        whole(self, key, boot_id)

    monkeypatch.setattr(type(node.journal), "started", note)

    def pair(host: MemoryHost, text: str) -> Ran:
        if text == "check\n":
            return Ran(0 if host.nodes.pop("/done", None) else 1)
        host.nodes["/done"] = Place("file")
        return Ran(0)

    host.shell = pair
    held = body(step("ops:script", {"test": ["check"], "apply": ["make"]}, name="pair"))
    for _ in range(2):
        assert outcomes(node.converge(held, cause="Interval")) == {"script:pair": "Changed"}
        host.sleep(1)
    assert [key.step for key in runs] == ["pair", "pair"]
    assert runs[0].run_instant < runs[1].run_instant


def test_output_of_several_scripts_is_told_apart_and_bounded(node: Node, host: MemoryHost) -> None:
    host.shell = lambda host, text: Ran(0, b"o" * 50_000 if "long" in text else text.encode(), b"")
    result = node.converge(body(script("one", "first"), script("two", "second")))
    assert result.output == "[one]\nfirst\n[two]\nsecond"
    long = node.converge(body(script("long", "long")), generation=2)
    assert long.output is not None
    assert 20_000 < len(long.output) <= 24_000
