"""Convergence: order, modes, failure, batches, and scripts that are started at most once."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.contract.inputs import ACTIONS, Action
from agent.host import LocalHost, Ran
from agent.host.memory import MemoryHost
from agent.host.memory import Node as Place
from agent.host.port import EndNotSeen
from agent.journal import RunKey
from agent.runner import FORESEEN
from agent.runs import ATTEMPTS
from agent.steps.step import INTERRUPTED
from tests.agent.converging import BOOT, Node, body, outcomes, reasons, step, tree


@pytest.fixture
def host() -> MemoryHost:
    return MemoryHost(sandbox=True, nodes={"/": Place("directory"), "/etc": Place("directory")}, shell=shell)


@pytest.fixture
def node(host: MemoryHost, tmp_path: Path) -> Iterator[Node]:
    made = Node(host, tmp_path / "state")
    yield made
    made.close()


def shell(host: MemoryHost, text: str) -> Ran:
    """Scripts of these tests: `exit N`, or a line that is said."""
    word, _, rest = text.strip().partition(" ")
    return Ran(int(rest)) if word == "exit" else Ran(0, text.encode())


def file(name: str, content: str = "x\n", **more: Any) -> Any:
    return step("ops:file", {"path": f"/etc/{name}", "content": content}, name=name, **more)


def script(name: str, text: str = "hello", **more: Any) -> Any:
    return step("aws:runShellScript", {"runCommand": [text]}, name=name, **more)


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
        step("x:foo", {}, name="new", on_failure="continue"),
        step("ops:file", {"path": "/etc/a"}, name="newer", version=99, on_failure="continue"),
        file("c"),
    )
    result = node.converge(held)
    assert outcomes(result) == {"script:new": "Failed", "script:newer": "Failed", "path:/etc/c": "Changed"}
    told = reasons(result)
    assert str(told["script:new"]).startswith("Unsupported: this agent does not know the action x:foo")
    assert str(told["script:newer"]).startswith("Unsupported: ops:file at contract version 99")
    whole = node.converge(body(file("d"), must_understand=["moonPhase"]))
    assert (whole.status, whole.claims) == ("Failed", [])
    assert str(whole.reason).startswith("Unsupported: this agent does not understand moonPhase")


def test_an_action_without_a_step_is_unsupported(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ACTIONS, "ops:later", Action(ACTIONS["ops:file"].named, 1, True))
    result = node.converge(body(step("ops:later", {"path": "/etc/a"})))
    assert outcomes(result) == {"script:it": "Failed"}


def test_a_precondition_keeps_a_step_away_and_stops_nothing(node: Node) -> None:
    held = body(
        file("win", precondition={"StringEquals": ["platformType", "Windows"]}),
        file("lin", precondition={"StringEquals": ["platformType", "Linux"]}),
        file("never", precondition={"StringLike": ["a", "b"]}),
        step("x:unknown", {}, name="unknown", precondition={"StringEquals": ["a", "b"]}),
    )
    result = node.converge(held)
    assert outcomes(result) == {
        "path:/etc/win": "Skipped",
        "path:/etc/lin": "Changed",
        "path:/etc/never": "Skipped",
        "script:unknown": "Skipped",
    }
    assert reasons(result)["path:/etc/win"] == "its precondition is not met: platformType is Linux, not Windows"
    assert result.status == "Success"
    assert node.converge(body(file("w", precondition={"StringEquals": ["platformType", "x"]}))).status == "Skipped"


# Batches


def test_adjacent_files_are_one_batch(node: Node, host: MemoryHost, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("stage", "publish", "sync_directory", "mkdir", "symlink"):
        noted(monkeypatch, MemoryHost, name, done)
    noted(monkeypatch, type(node.journal), "started", done)
    noted(monkeypatch, type(node.journal), "finished", done)
    result = node.converge(body(file("a"), file("b"), file("c"), step("ops:directory", {"path": "/srv"}), file("d")))
    assert set(outcomes(result).values()) == {"Changed"}
    assert done == [
        *("stage /etc/a", "stage /etc/b", "stage /etc/c", "started"),
        *("publish /etc/a", "publish /etc/b", "publish /etc/c", "sync_directory /etc", "finished"),
        *("started", "mkdir /srv", "sync_directory /", "finished"),
        *("stage /etc/d", "started", "publish /etc/d", "sync_directory /etc", "finished"),
    ]


def test_adjacent_directories_and_links_are_batches_too(
    node: Node, host: MemoryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for name in ("mkdir", "symlink", "sync_directory"):
        noted(monkeypatch, MemoryHost, name, done)
    for name in ("started", "finished"):
        noted(monkeypatch, type(node.journal), name, done)
    directories = [step("ops:directory", {"path": path}, name=path) for path in ("/srv", "/srv/a", "/srv/a/b")]
    links = [step("ops:link", {"path": f"/srv/{name}", "target": "a"}, name=name) for name in "xy"]
    beneath = step("ops:link", {"path": "/srv/x/deep", "target": "b"}, name="deep")
    result = node.converge(body(*directories, *links, beneath))
    assert set(outcomes(result).values()) == {"Changed"}
    assert done == [
        *("started", "mkdir /srv", "mkdir /srv/a", "mkdir /srv/a/b"),
        *("sync_directory /", "sync_directory /srv", "sync_directory /srv/a", "finished"),
        *("started", "symlink a", "symlink a", "sync_directory /srv", "finished"),
        *("started", "symlink b", "sync_directory /srv/x", "finished"),
    ]


def test_directories_are_removed_from_within(node: Node, host: MemoryHost) -> None:
    paths = ("/srv", "/srv/a", "/srv/a/b")
    node.converge(body(*(step("ops:directory", {"path": path}, name=path) for path in paths)))
    gone = [step("ops:directory", {"path": path, "state": "absent"}, name=path) for path in reversed(paths)]
    assert set(outcomes(node.converge(body(*gone))).values()) == {"Changed"}
    assert host.lstat("/srv") is None


def test_a_directory_that_fails_ends_its_batch(node: Node, host: MemoryHost) -> None:
    paths = ("/one", "/no/such/parent", "/two")
    result = node.converge(body(*(step("ops:directory", {"path": path}, name=path[1:]) for path in paths)))
    assert list(outcomes(result).values()) == ["Changed", "Failed", "Skipped"]


@pytest.mark.parametrize("fails_at", ["stage", "publish"])
@pytest.mark.parametrize("on_failure", ["stop", "continue"])
def test_a_batch_that_fails_in_the_middle(
    node: Node, host: MemoryHost, monkeypatch: pytest.MonkeyPatch, fails_at: str, on_failure: str
) -> None:
    whole = getattr(MemoryHost, fails_at)

    def full(self: MemoryHost, path: str, *rest: Any, **named: Any) -> None:
        if path == "/etc/b":
            raise OSError(errno.ENOSPC, "No space left on device", path)
        whole(self, path, *rest, **named)

    monkeypatch.setattr(MemoryHost, fails_at, full)
    result = node.converge(body(*(file(name, on_failure=on_failure) for name in "abc")))
    last = "Skipped" if on_failure == "stop" else "Changed"
    assert outcomes(result) == {"path:/etc/a": "Changed", "path:/etc/b": "Failed", "path:/etc/c": last}
    assert result.reason == "b: /etc/b: No space left on device"
    assert host.staged == {}
    monkeypatch.setattr(MemoryHost, fails_at, whole)
    healed = node.converge(body(*(file(name) for name in "abc")), cause="Interval")
    assert outcomes(healed)["path:/etc/b"] == "Changed"
    assert node.ledger.entries("Association/web")[0].done


def test_a_batch_whose_directory_cannot_be_synced_has_failed(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: MemoryHost, path: str) -> None:
        raise OSError(errno.EIO, "Input/output error", path)

    monkeypatch.setattr(MemoryHost, "sync_directory", broken)
    result = node.converge(body(file("a"), file("b")))
    assert outcomes(result) == {"path:/etc/a": "Failed", "path:/etc/b": "Failed"}


def test_a_journal_that_cannot_be_written_lets_nothing_change(
    node: Node, host: MemoryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/var/lib/opsctl/journal")

    monkeypatch.setattr(type(node.journal), "started", full)
    result = node.converge(body(file("a"), script("say", on_failure="continue")))
    assert outcomes(result)["path:/etc/a"] == "Failed"
    assert result.reason == "a: /var/lib/opsctl/journal: No space left on device"
    assert "/etc/a" not in host.nodes
    assert host.staged == {}
    assert host.commands == []


# Scripts run at most once


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


# Claims


def test_the_second_claimant_is_refused_by_name(node: Node, host: MemoryHost) -> None:
    from agent.claimants import claimants

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


def noted(monkeypatch: pytest.MonkeyPatch, cls: Any, name: str, done: list[str]) -> None:
    whole = getattr(cls, name)

    def note(self: Any, first: Any, *rest: Any, **named: Any) -> Any:
        done.append(f"{name} {first}" if isinstance(first, str) else name)
        return whole(self, first, *rest, **named)

    monkeypatch.setattr(cls, name, note)
