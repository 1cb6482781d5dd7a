"""Nodes that do not come by themselves: who is visited when, who may join, what people are told."""

from __future__ import annotations

from typing import Any

import pytest

from agent.contract.wire import Enrolment
from reconciler.controller.guests import secret_of
from reconciler.core.node_ports import Guest, SshHost
from reconciler.core.problem import Refused, Unavailable
from tests.controller.house import ROOT, House, Machine, small
from tests.engine.repository import DOCUMENT, association, node

BASE = "Association/base"
INTERVAL = 1800


def visited(name: str, **ssh: Any) -> str:
    """A Node file of a node that the server visits."""
    given = "".join(f", {key}: {value}" for key, value in ssh.items())
    head = f"apiVersion: ops/v1\nkind: Node\nmetadata: {{name: {name}}}\n"
    return f"{head}spec: {{transport: ssh, ssh: {{host: {name}.example{given}}}}}\n"


class Town(House):
    """A house with machines that are visited. `broken` machines do not answer."""

    def __init__(self, *names: str, **more: str) -> None:
        self.broken: dict[str, Exception] = {}
        self.joins: list[str] = []
        super().__init__(small(**{f"nodes/{name}.yaml": visited(name) for name in names}, **more), start=False)
        for name in names:
            self.settle_down(name)
        self.start()

    def settle_down(self, name: str) -> Machine:
        """A machine that can be visited."""
        machine = self.machines[name] = Machine(self, name, f"ssh-ed25519 {name}")
        self.visitor.machines[f"{name}.example"] = lambda host, guest: self.receive(machine, host, guest)
        return machine

    def receive(self, machine: Machine, host: SshHost, guest: Guest) -> str:
        """What a machine does that is visited, as the agent does."""
        if machine.name in self.broken:
            raise self.broken[machine.name]
        join = guest.join()
        self.joins.append(join.node_id)
        if host.ephemeral:
            machine.id, machine.position, machine.given, machine.seq = "", (0, 0), {}, join.last_seq
            machine.told, machine.key = {}, f"{machine.key}+"
        if machine.id and machine.id != join.node_id:
            raise Refused(f"it holds the identity of {machine.id}", "visit")
        if not machine.id:
            request = Enrolment("", secret_of(join), machine.key, "seal", machine.name, "linux", "0.1.0")
            machine.id = guest.enrol(request, "127.0.0.1").node_id
            self.controller._settle()
        machine.connect()
        machine.work()
        machine.disconnect()
        return machine.id

    def names(self) -> list[str]:
        """Who was visited, in order, since the last call."""
        found = [host.node for host in self.visitor.visits]
        self.visitor.visits.clear()
        return found

    def row(self, name: str) -> dict[str, Any]:
        return next(row for row in self.service.nodes(ROOT) if row["name"] == name)


@pytest.fixture
def town() -> Town:
    town = Town("a", "b")
    town.tick(2)
    return town


def test_what_git_declares_joins_by_itself_and_is_told_what_it_should_hold(town: Town) -> None:
    assert town.given(BASE) == {"a", "b"}
    assert [town.row(name)["state"] for name in ("a", "b")] == ["Online", "Online"]
    assert [town.row(name)["compliance"] for name in ("a", "b")] == ["COMPLIANT", "COMPLIANT"]
    assert ("ssh:a", "a", town["a"].id) in town.audit("enroll")
    (known,) = (row for row in town.disk.nodes() if row.id == town["a"].id)
    assert known.sign_key == "ssh-ed25519 a"


def test_it_is_visited_at_the_interval_and_when_its_set_changes(town: Town) -> None:
    town.names()
    town.tick(INTERVAL * 0.85)
    assert town.names() == []
    town.tick(INTERVAL * 0.2)
    assert sorted(town.names()) == ["a", "b"]
    town.push({"documents/motd.yaml": DOCUMENT.replace("hello", "changed")})
    town.tick(61)
    assert sorted(set(town.names())) == ["a", "b"]
    town.tick(10)
    assert town.names() == []
    assert town.in_flight(BASE) == set()


def test_an_apply_visits_everybody_and_waits_for_it(town: Town) -> None:
    town.names()
    begun = town.service.apply(ROOT, None, None, 0)
    assert (begun["visiting"], begun["finished"]) == (2, False)
    town.tick(1)
    after = town.service.apply_status(ROOT, begun["apply"])
    assert (after["visiting"], after["finished"]) == (0, True)
    assert sorted(town.names()) == ["a", "b"]


def test_an_apply_counts_those_who_join_for_it(town: Town) -> None:
    town.settle_down("c")
    town.push({"nodes/c.yaml": visited("c")})
    begun = town.service.apply(ROOT, None, None, 0)
    assert not begun["finished"]
    town.tick(2)
    after = town.service.apply_status(ROOT, begun["apply"])
    assert after["finished"]
    (row,) = after["associations"]
    assert (row["total"], row["done"], row["offline"]) == (1, 1, 0)


def test_one_that_does_not_answer_stalls_nobody_and_is_tried_again_more_and_more_slowly(town: Town) -> None:
    town.broken["a"] = Unavailable("root@a.example:22", "no answer in time")
    town.names()
    begun = town.service.apply(ROOT, None, None, 0)
    town.tick(1)
    assert town.service.apply_status(ROOT, begun["apply"])["finished"]
    assert sorted(town.names()) == ["a", "b"]
    row = town.row("a")
    assert (row["state"], row["reason"]) == ("ConnectionLost", "root@a.example:22: no answer in time")
    assert town.service.node(ROOT, "a")["reason"] == row["reason"]
    assert (
        "a is not reached over SSH: root@a.example:22: no answer in time"
        in town.service.plan(ROOT, None, None)["warnings"]
    )
    tries = []
    for _ in range(600):
        town.tick(1)
        tries.append(len(town.names()))
    assert 5 <= sum(tries) <= 12
    assert sum(tries[:60]) >= sum(tries[540:])
    del town.broken["a"]
    town.service.apply(ROOT, None, None, 0)
    town.tick(1)
    assert (town.row("a")["state"], town.row("a")["reason"]) == ("Online", "")


def test_a_change_that_cannot_be_brought_counts_as_offline(town: Town) -> None:
    town.broken["a"] = Unavailable("root@a.example:22", "no answer in time")
    town.push({"documents/motd.yaml": DOCUMENT.replace("hello", "changed")})
    begun = town.service.apply(ROOT, None, None, 0)
    town.tick(2)
    after = town.service.apply_status(ROOT, begun["apply"])
    assert (after["finished"], after["done"], after["offline"], after["unreached"]) == (True, 1, 1, 1)


def test_what_only_a_person_can_help_waits_for_one(town: Town) -> None:
    town.broken["a"] = Refused("root@a.example:22: it has another host key", "host key")
    town.service.apply(ROOT, None, None, 0)
    town.tick(1)
    town.names()
    town.tick(140)
    assert town.names() == []
    assert "another host key" in town.row("a")["reason"]
    del town.broken["a"]
    town.push({"nodes/a.yaml": visited("a", port=2222)})
    town.tick(62)
    assert "a" in town.names()
    assert town.row("a")["state"] == "Online"


def test_the_servers_restart_finds_them_again(town: Town) -> None:
    ids = {name: town[name].id for name in ("a", "b")}
    town.names()
    town.restart()
    town.tick(2)
    assert sorted(set(town.names())) == ["a", "b"]
    assert {name: town[name].id for name in ("a", "b")} == ids
    assert town.row("a")["state"] == "Online"


def test_a_lost_answer_is_given_again_and_another_machine_gets_none(town: Town) -> None:
    known = town["a"].id
    town["a"].id = ""
    town.service.apply(ROOT, None, None, 0)
    town.tick(1)
    assert town["a"].id == known
    town["a"].id, town["a"].key = "", "ssh-ed25519 another"
    town.service.apply(ROOT, None, None, 0)
    town.tick(1)
    assert "enrolled already, with another key" in town.row("a")["reason"]


def test_a_token_of_another_visit_is_worth_nothing(town: Town) -> None:
    joins: list[Any] = []

    def listen(_host: SshHost, guest: Guest) -> str:
        joins.append(guest.join())
        return "x"

    town.visitor.machines["c.example"] = listen
    town.push({"nodes/c.yaml": visited("c")})
    town.tick(62)
    request = Enrolment("", secret_of(joins[0]), "ssh-ed25519 thief", "seal", "c", "linux", "0.1.0")
    with pytest.raises(Refused, match="not that of this visit"):
        town.controller.visits._guests.guest(SshHost("c", "c.example")).enrol(request, "127.0.0.1")


def test_retired_it_is_told_so_and_joins_again_when_its_file_changes(town: Town) -> None:
    first = town["a"].id
    town.names()
    town.service.retire(ROOT, "a")
    town.tick(1)
    assert town.names() == ["a"]
    assert town["a"].retired
    town["a"].id, town["a"].key, town["a"].position = "", "ssh-ed25519 a2", (0, 0)
    town.tick(INTERVAL * 2)
    row = town.row("a")
    assert (row["state"], "was retired at" in row["reason"]) == ("NotEnrolled", True)
    town.push({"nodes/a.yaml": visited("a") + "# again\n"})
    town.tick(62)
    town.tick(2)
    assert town.row("a")["state"] == "Online"
    assert town["a"].id not in ("", first)


def test_it_may_come_by_itself_and_be_visited_again_and_is_the_same_node(town: Town) -> None:
    known = town["a"].id
    town.push({"nodes/a.yaml": node("a")})
    town.tick(62)
    town.names()
    assert town.row("a")["state"] == "ConnectionLost"
    town["a"].connect()
    town.tick(INTERVAL * 2)
    assert town.names().count("a") == 0
    assert town.row("a")["state"] == "Online"
    town.push({"nodes/a.yaml": visited("a")})
    town.tick(62)
    assert town.names().count("a") == 0
    assert "it is connected by itself" in town.row("a")["reason"]
    assert town.row("a")["state"] == "Online"
    town["a"].disconnect()
    town.service.apply(ROOT, None, None, 0)
    town.tick(1)
    assert town.names().count("a") == 1
    assert (town["a"].id, town.row("a")["reason"], town.row("a")["state"]) == (known, "", "Online")


def test_an_ephemeral_node_stays_the_same_and_its_reports_go_on() -> None:
    town = Town()
    town.settle_down("e")
    town.push({"nodes/e.yaml": visited("e", ephemeral="true")})
    town.tick(62)
    town.tick(2)
    known, seq = town["e"].id, town["e"].seq
    assert town.row("e")["compliance"] == "COMPLIANT"
    town["e"].drifts.add(BASE)
    town.service.apply(ROOT, None, None, 0)
    town.tick(1)
    assert (town["e"].id, town["e"].seq) == (known, seq + 1)
    assert town.row("e")["compliance"] == "NON_COMPLIANT"
    assert len([row for row in town.disk.nodes() if row.name == "e"]) == 1


def test_what_takes_a_memory_is_refused_to_an_ephemeral_node_at_plan_time() -> None:
    prune = association("base", maxConcurrency='"100%"', prune="true")
    town = Town("a", **{"associations/base.yaml": prune, "nodes/e.yaml": visited("e", ephemeral="true")})
    town.settle_down("e")
    town.tick(2)
    town.service.apply(ROOT, None, None, 0)
    town.tick(2)
    assert town.given(BASE) == {"a"}
    (wait,) = town.service.plan(ROOT, None, None)["waiting"]
    assert (wait["rule"], wait["nodes"]) == ("ephemeral", ["e"])
    assert "pruning takes the ledger" in wait["reason"]
