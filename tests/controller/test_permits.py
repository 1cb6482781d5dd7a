"""Runs of a schedule are counted: never more at once than maxConcurrency, none after maxErrors; across restarts."""

from __future__ import annotations

from agent.contract.canonical import instant
from agent.contract.leave import Ask
from tests.controller.house import BORN, ROOT, House, Machine, small
from tests.engine.repository import association

SCAN = "Association/scan"
NAMES = tuple(f"n-{number}" for number in range(6))
DOCUMENT = """\
schemaVersion: "2.2"
mainSteps:
- name: scan
  action: aws:runShellScript
  inputs: {runCommand: [scan], timeoutSeconds: 300}
"""
HOUR = 3_600_000
FIRST = (BORN // HOUR + 1) * HOUR
AT = instant(FIRST)
NEXT = instant(FIRST + HOUR)


def scanning(concurrency: str = "2", errors: str = "1", **spec: str) -> House:
    """Nodes that have an association with an hourly schedule and were at their first run."""
    limits = {"maxConcurrency": f'"{concurrency}"', "maxErrors": f'"{errors}"'}
    text = association("scan", "scan", scheduleExpression="rate(1 hour)", **limits, **spec)
    files = {"documents/scan.yaml": DOCUMENT, "associations/base.yaml": text}
    house = House(small(*NAMES) | files)
    house.join(*NAMES)
    for _ in range(12):
        for machine in house.machines.values():
            if SCAN in machine.given and machine.seq == 0:
                if not machine.permitted(SCAN):
                    machine.ask(SCAN)
                if machine.permitted(SCAN):
                    machine.say(SCAN, run_instant="", cause="Assigned")
        house.tick()
    assert all(machine.seq == 1 for machine in house.machines.values())
    return house


def at_the_hour(house: House) -> list[Machine]:
    house.tick((FIRST - house.timer.now_ms()) / 1000 + 1)
    for machine in house.machines.values():
        machine.ask(SCAN, AT)
    house.tick()
    return [machine for machine in house.machines.values() if machine.permitted(SCAN, AT)]


def run(machine: Machine, at: str = AT, status: str = "Success") -> None:
    machine.say(SCAN, run_instant=at, cause="Schedule", status=status)
    machine.house.tick()


def test_the_set_says_that_runs_are_counted() -> None:
    house = scanning()
    one = house.intake.desired(house["n-0"].id).assignments[SCAN]
    assert (one.permit, one.splay, one.heals) == ("required", 60, 240)
    horizon = one.allowed[0].not_after
    assert horizon is not None
    assert one.allowed[0].not_before is None
    assert horizon > instant(BORN + 59 * 86_400_000)


def test_no_more_than_max_concurrency_are_at_a_run_and_those_who_wait_come_next() -> None:
    house = scanning()
    assert [machine.name for machine in at_the_hour(house)] == ["n-0", "n-1"]
    assert house["n-2"].waits(SCAN) == "maxConcurrency 2: 2 of 6 at once"
    run(house["n-0"])
    assert house["n-2"].permitted(SCAN, AT)
    assert not house["n-3"].permitted(SCAN, AT)
    for name in NAMES[1:]:
        assert house[name].permitted(SCAN, AT)
        run(house[name])
    assert house.world.permits[SCAN].out == {}


def test_too_many_errors_end_a_run_for_the_others_and_not_the_next_one() -> None:
    house = scanning(errors="1")
    for machine in at_the_hour(house):
        run(machine, status="Failed")
    assert house["n-2"].permitted(SCAN, AT), "it was granted after the first error, which may be"
    assert not house["n-3"].permitted(SCAN, AT)
    (postponed,) = house["n-3"].orders.postponed
    assert (postponed.over, postponed.reason) == (True, "maxErrors: failed on 2 of 6 nodes, maxErrors allows 1")
    house["n-3"].say(SCAN, cause="Schedule", status="Cancelled", reason=f"not run at {AT}: {postponed.reason}")
    (shown,) = house.service.node(ROOT, "n-3")["assignments"]
    assert (shown["status"], shown["compliance"]) == ("Cancelled", "UNKNOWN")
    assert "maxErrors: failed on 2 of 6 nodes" in shown["reason"]
    (reason,) = house.service.explain(ROOT, "n-3", None)["reasons"]
    assert "maxErrors: failed on 2 of 6 nodes" in reason["reason"]
    run(house["n-2"])
    house.tick(3600)
    house["n-3"].ask(SCAN, NEXT)
    house.tick()
    assert house["n-3"].permitted(SCAN, NEXT)


def test_a_permit_that_is_not_returned_runs_out() -> None:
    house = scanning()
    at_the_hour(house)
    for name in ("n-0", "n-1"):
        house[name].disconnect()
    house.tick(60 + 300 + 590)
    assert not house["n-2"].permitted(SCAN, AT)
    house.tick(20)
    assert house["n-2"].permitted(SCAN, AT)
    assert house["n-3"].permitted(SCAN, AT)
    house["n-0"].connect()
    run(house["n-0"], status="Failed")
    assert house.world.permits[SCAN].failed, "its word counts all the same"


def test_a_permit_is_given_again_to_whoever_asks_again() -> None:
    house = scanning()
    at_the_hour(house)
    house["n-0"].disconnect()
    house["n-0"].connect()
    house["n-0"].ask(SCAN, AT)
    house.tick()
    assert house["n-0"].permitted(SCAN, AT)
    assert len(house.world.permits[SCAN].out) == 2
    (permit,) = house["n-0"].orders.permits
    assert 0 < permit.envelope.expires_in <= 60


def test_a_restart_forgets_neither_permits_nor_errors() -> None:
    house = scanning(errors="0")
    for machine in at_the_hour(house):
        if machine.name == "n-0":
            run(machine, status="Failed")
    before = house.world.permits[SCAN]
    house.restart()
    assert house.world.permits[SCAN] == before
    for machine in house.machines.values():
        machine.connect()
        machine.ask(SCAN, AT)
    house.tick()
    assert [machine.name for machine in house.machines.values() if machine.permitted(SCAN, AT)] == ["n-1"]
    assert {machine.orders.postponed[0].over for machine in list(house.machines.values())[2:]} == {True}


def test_a_run_is_not_made_twice_and_an_older_one_no_more() -> None:
    house = scanning(concurrency="6")
    at_the_hour(house)
    run(house["n-0"])
    house["n-0"].ask(SCAN, AT)
    house.tick()
    assert house["n-0"].waits(SCAN) == "the node has made this run"
    house.tick(3600)
    house["n-5"].ask(SCAN, NEXT)
    house.tick(900)
    house["n-4"].ask(SCAN, AT)
    house.tick()
    assert house["n-4"].waits(SCAN) == f"the run at {NEXT} has begun since"


def test_what_is_no_run_of_the_schedule_is_granted_to_nobody() -> None:
    house = scanning()
    for machine, asked in ((house["n-0"], instant(FIRST + 1)), (house["n-1"], instant(FIRST + 24 * HOUR))):
        machine.ask(SCAN, asked)
        house.tick()
        assert not machine.orders.permits
    house["n-2"].ask(SCAN, AT, generation=7)
    house.tick()
    assert house["n-0"].waits(SCAN) == "the schedule has no such run"
    assert "the node's clock is ahead" in house["n-1"].waits(SCAN)
    assert house["n-2"].waits(SCAN) == "the node does not have this"


def test_nobody_is_heard_on_what_it_does_not_have() -> None:
    house = scanning()
    for number in range(20):
        house.intake.asked(house["n-0"].id, Ask(f"Association/none-{number}", 1))
    house.tick()
    assert house["n-0"].orders.postponed == ()
    assert set(house.controller._desk._queues) == {SCAN}


def test_a_node_may_not_name_an_older_generation_than_it_was_given() -> None:
    house = scanning()
    house.push({"documents/scan.yaml": DOCUMENT.replace("[scan]", "[scan, again]")})
    house.tick(61)
    moved = next(machine for machine in house.machines.values() if machine.given[SCAN][0] == 2)
    other = next(machine for machine in house.machines.values() if machine.given[SCAN][0] == 1)
    house.tick((FIRST - house.timer.now_ms()) / 1000 + 1)
    moved.ask(SCAN, AT, generation=1)
    other.ask(SCAN, AT)
    house.tick()
    assert moved.waits(SCAN) == "the node does not have this"
    assert other.permitted(SCAN, AT)


def test_in_a_freeze_nobody_runs_and_after_it_everybody_may() -> None:
    house = scanning(concurrency="6")
    freeze = f"freeze: {{reason: stop, until: '{instant(FIRST + HOUR // 2)}'}}"
    house.push({"fleet.yaml": f"apiVersion: ops/v1\nkind: Fleet\nmetadata: {{name: acme}}\nspec: {{{freeze}}}\n"})
    house.tick(61)
    assert at_the_hour(house) == []
    assert house["n-0"].waits(SCAN) == f"frozen until {instant(FIRST + HOUR // 2)} because stop"
    house.tick(1800)
    house.tick()
    assert all(machine.permitted(SCAN, AT) for machine in house.machines.values())


def test_a_limit_that_changes_in_git_restates_the_sets_and_counts_at_once() -> None:
    house = scanning()
    before = house["n-0"].position
    assert len(at_the_hour(house)) == 2
    text = association("scan", "scan", scheduleExpression="rate(1 hour)", maxConcurrency='"4"', maxErrors='"1"')
    house.push({"associations/base.yaml": text})
    house.tick(61)
    house.tick()
    assert house["n-0"].position == before, "what nodes may do alone is the same"
    assert sum(machine.permitted(SCAN, AT) for machine in house.machines.values()) >= 2
    assert house.world.permits[SCAN].under_way(house.timer.now_ms()) == 4
    house.push({"associations/base.yaml": association("scan", "scan", scheduleExpression="rate(1 hour)")})
    house.tick(61)
    assert house["n-0"].position > before
    assert house.intake.desired(house["n-0"].id).assignments[SCAN].permit == "none"


def test_the_horizon_moves_on_in_time() -> None:
    house = scanning()
    position, day = house["n-0"].position, 86_400_000

    def later(days: int) -> int:
        """As if so many days had passed for what looks at the horizon."""
        at = house.timer.now_ms() + days * day
        house.controller._loop.call(lambda: house.controller._sync.renew(at))
        house.deliver()
        return at

    later(20)
    assert house["n-0"].position == position
    at = later(26)
    assert house["n-0"].position > position
    allowed = house.intake.desired(house["n-0"].id).assignments[SCAN].allowed
    assert allowed[0].not_after == instant(at + 60 * day)
    house.restart()
    assert house.intake.desired(house["n-0"].id).assignments[SCAN].allowed == allowed


def test_what_a_node_loses_takes_its_permit_with_it() -> None:
    house = scanning()
    at_the_hour(house)
    house.push({"associations/base.yaml": None})
    house.tick(61)
    house.apply(removals=10)
    house.tick()
    assert house.world.permits[SCAN].out == {}
    assert house.disk.permits() == []
