"""Services that are restarted or reloaded for what changed before them: once, never too seldom, exactly as foretold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agent.contract.wire import Body, BodyStep, NodeContext
from agent.host import Ran
from agent.host.memory import MemoryHost
from agent.host.memory import Node as Place
from agent.rounds import job_run
from agent.rounds.claimants import claimants
from agent.rounds.departures import withdraw
from agent.rounds.exclusion import AnyTurn
from agent.rounds.look import Look
from tests.agent.converging import BOOT, Node, body, outcomes, reasons, step

UNIT = "unit:nginx.service"


class Machine(MemoryHost):
    """A node with systemd and one unit. `refuses` are verbs that fail, `dies_at` one at which the agent is killed."""

    def __init__(self) -> None:
        super().__init__()
        for path in ("/etc", "/run", "/run/systemd", "/run/systemd/system"):
            self.nodes[path] = Place("directory", 0o755)
        self.programs["systemctl"] = self.systemctl
        self.running, self.refuses, self.dies_at = True, "", ""

    def systemctl(self, _: MemoryHost, argv: Sequence[str]) -> Ran:
        verb = next(word for word in argv[1:] if not word.startswith("-"))
        if verb == "show":
            state = "ActiveState=active\nSubState=running" if self.running else "ActiveState=inactive\nSubState=dead"
            return Ran(0, f"Type=simple\nLoadState=loaded\n{state}\nUnitFileState=enabled\n".encode())
        if verb == self.dies_at:
            raise SystemExit
        if verb == self.refuses:
            return Ran(1, b"", b"Job failed.")
        self.running = verb != "stop"
        return Ran(0)

    def verbs(self) -> list[str]:
        """What systemctl was told to do since the last time, looks left out."""
        told = [argv[2] for argv in self.commands if argv[0] == "systemctl" and argv[1] != "show"]
        self.commands.clear()
        return told


@pytest.fixture
def host() -> Machine:
    return Machine()


@pytest.fixture
def node(host: Machine, tmp_path: Path) -> Iterator[Node]:
    made = Node(host, tmp_path / "state")
    yield made
    made.close()


def site(content: str, name: str = "site") -> BodyStep:
    return step("ops:file", {"path": f"/etc/{name}", "content": content}, name=name)


def service(**inputs: object) -> BodyStep:
    return step("ops:service", {"name": "nginx", **inputs}, name="service")


def held(content: str, **inputs: object) -> Body:
    return body(site(content), service(**inputs))


@pytest.mark.parametrize(("word", "verb"), [("restartOn", "restart"), ("reloadOn", "reload")])
def test_it_follows_a_change_once_and_a_dry_run_says_so(node: Node, host: Machine, word: str, verb: str) -> None:
    wanted = body(site("a"), service(state="started", **{word: ["site"]}))
    noted = node.written()
    dry = node.converge(wanted, apply=False)
    assert (dry.claims[1].outcome, dry.claims[1].after) == ("Drifted", f"{verb}ed, for site changed")
    assert (host.verbs(), node.written()) == ([], noted)

    first = node.converge(wanted)
    assert (first.claims[1].outcome, first.claims[1].after) == ("Changed", dry.claims[1].after)
    assert host.verbs() == [verb]
    noted = node.written()
    assert not node.converge(wanted, cause="Interval").changed
    assert (host.verbs(), node.written()) == ([], noted)


def test_a_file_healed_by_the_agent_is_a_change_too(node: Node, host: Machine) -> None:
    wanted = held("a", restartOn=["site"])
    node.converge(wanted)
    host.verbs()
    host.nodes["/etc/site"].data = b"edited"
    node.converge(wanted, cause="Interval")
    assert host.verbs() == ["restart"]


def test_many_changes_cost_one_restart_and_a_restart_does_for_a_reload(node: Node, host: Machine) -> None:
    wanted = body(
        site("a"),
        site("b", "other"),
        site("c", "third"),
        service(restartOn=["site", "other"], reloadOn=["third"]),
    )
    assert node.converge(wanted).claims[3].after == "restarted, for site, other changed"
    assert host.verbs() == ["restart"]
    assert not node.converge(wanted, cause="Interval").changed


def test_a_step_that_is_not_named_restarts_nothing(node: Node, host: Machine) -> None:
    wanted = body(site("a"), site("b", "other"), service(restartOn=["other"]))
    node.converge(wanted)
    host.verbs()
    host.nodes["/etc/site"].data = b"edited"
    node.converge(wanted, cause="Interval")
    assert host.verbs() == []


def test_a_start_does_for_a_restart(node: Node, host: Machine) -> None:
    host.running = False
    node.converge(held("a", state="started", restartOn=["site"]))
    assert host.verbs() == ["start"]
    assert not node.converge(held("a", state="started", restartOn=["site"]), cause="Interval").changed
    assert host.verbs() == []


@pytest.mark.parametrize("inputs", [{"state": "stopped"}, {}])
def test_what_is_stopped_is_left_so_and_owes_nothing_later(node: Node, host: Machine, inputs: dict[str, str]) -> None:
    host.running = False
    node.converge(held("a", restartOn=["site"], **inputs))
    host.running = True
    node.converge(held("a", restartOn=["site"]), cause="Interval")
    assert host.verbs() == []


@pytest.mark.fault
def test_a_crash_between_the_change_and_the_restart_loses_none(node: Node, host: Machine) -> None:
    wanted = held("a", restartOn=["site"])
    host.dies_at = "restart"
    with pytest.raises(SystemExit):
        node.converge(wanted)
    host.dies_at = ""
    node.reopen()
    host.verbs()
    dry = node.converge(wanted, apply=False)
    assert outcomes(dry) == {"path:/etc/site": "Unchanged", UNIT: "Drifted"}
    assert node.converge(wanted, cause="Boot").claims[1].after == "restarted, for site changed"
    assert host.verbs() == ["restart"]
    node.reopen()
    assert not node.converge(wanted, cause="Interval").changed


def test_a_restart_that_fails_is_owed_until_it_succeeds(node: Node, host: Machine) -> None:
    wanted = held("a", reloadOn=["site"])
    host.refuses = "reload"
    assert reasons(node.converge(wanted))[UNIT] == (
        "systemctl reload: Job failed. (exit 1); `restartOn` does for a unit that cannot reload"
    )
    host.refuses = ""
    host.verbs()
    node.reopen()
    assert outcomes(node.converge(wanted, cause="Interval")) == {"path:/etc/site": "Unchanged", UNIT: "Changed"}
    assert host.verbs() == ["reload"]


def test_a_step_that_failed_and_changed_nothing_restarts_nothing(node: Node, host: Machine) -> None:
    nowhere = step("ops:file", {"path": "/none/site", "content": "a"}, name="site", on_failure="continue")
    wanted = body(nowhere, service(restartOn=["site"]))
    assert outcomes(node.converge(wanted)) == {"path:/none/site": "Failed", UNIT: "Unchanged"}
    assert host.verbs() == []
    host.nodes["/none"] = Place("directory", 0o755)
    node.converge(wanted, cause="Interval")
    assert host.verbs() == ["restart"]


def test_a_step_left_out_by_a_failure_before_it_is_restarted_later(node: Node, host: Machine) -> None:
    bad = step("ops:file", {"path": "/none/site", "content": "a"}, name="bad", on_failure="stop")
    waiting = service(restartOn=["site"])
    node.converge(body(site("a"), bad, waiting))
    assert host.verbs() == []
    node.converge(body(site("a"), waiting), generation=2)
    assert host.verbs() == ["restart"]


def test_monitoring_tells_and_leaves_it_owed(node: Node, host: Machine) -> None:
    wanted = body(site("a"), service(restartOn=["site"]), mode="ApplyAndMonitor")
    assert outcomes(node.converge(wanted, cause="Interval")) == {"path:/etc/site": "Drifted", UNIT: "Drifted"}
    assert host.verbs() == []
    node.converge(wanted, cause="Assigned")
    assert host.verbs() == ["restart"]


def test_what_a_body_no_longer_asks_for_is_forgotten(node: Node, host: Machine) -> None:
    host.refuses = "restart"
    node.converge(held("a", restartOn=["site"]))
    assert node.ledger.owed("Association/web", "service") == ["site"]
    node.converge(body(site("a")), generation=2)
    assert node.ledger.owed("Association/web", "service") == []

    node.converge(held("b", restartOn=["site"]), generation=3)
    gone = held("b", restartOn=["site"])
    withdraw(host, gone, node.ledger, claimants([]))
    node.reopen()
    assert node.ledger.owed("Association/web", "service") == []


@pytest.mark.fault
def test_a_job_that_was_killed_in_between_restarts_too(node: Node, host: Machine) -> None:
    asked = held("a", restartOn=["site"])
    host.dies_at = "restart"
    with pytest.raises(SystemExit):
        run_once(node, asked)
    assert host.verbs() == ["restart"]
    node.reopen()
    host.dies_at = ""
    site_look, service_look = run_once(node, asked)
    assert (site_look.changes, service_look.applied, host.verbs()) == ([], True, ["restart"])
    assert run_once(node, asked)[1].changes == []
    assert node.ledger.entries("Job/1") == []


def run_once(node: Node, asked: Body) -> list[Look]:
    """As an agent runs a job, from what is on disk of it."""
    bed = job_run.Bed(
        host=node.host,
        journal=node.journal,
        boot_id=BOOT,
        context=NodeContext("web-1"),
        facts={},
        held=[],
        blob=node.blobs.__getitem__,
        debts=str(node.state / "debts.json"),
        turn=AnyTurn(),
    )
    return job_run.run("Job/1", asked, bed, {}, str)
