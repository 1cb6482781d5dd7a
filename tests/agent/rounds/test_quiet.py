"""Which looks are repeated by what they read, and which are taken in full."""

from __future__ import annotations

from typing import Any

import pytest

from agent.contract import wire
from agent.host import LocalHost
from agent.rounds.claimants import Claimants
from agent.rounds.outcome import RunResult
from agent.rounds.quiet import Grounds, Quiet
from agent.rounds.reports import Subject
from agent.rounds.standing import Seen
from agent.state.journal import Reported
from tests.agent.rig import FLEET, NODE, Rig, body, script

MOTD = "Association/motd"
SUBJECT = Subject(FLEET, NODE, "boot-1", 1, MOTD, 1, "sha256:00", "sha256:01")
GROUNDS = Grounds(SUBJECT, body(), True, None, Claimants({}, frozenset()), None)


def result(outcome: str = "Unchanged", **changes: Any) -> RunResult:
    claims = [wire.ClaimReport("path:/etc/motd", "motd", outcome)]
    return RunResult("Success", claims, "", "")._replace(**changes)


def seen(host: LocalHost) -> Seen:
    made = Seen()
    made.through(host).snapshot("/etc/motd")
    return made


@pytest.fixture
def host(rig: Rig) -> LocalHost:
    rig.file().write_text("hello\n")
    return LocalHost(str(rig.root))


def test_a_look_is_quiet_while_it_reads_what_it_read(rig: Rig, host: LocalHost) -> None:
    quiet = Quiet(host)
    assert not quiet.still(GROUNDS)
    quiet.note(GROUNDS, result(), seen(host))
    assert [quiet.still(GROUNDS), quiet.still(GROUNDS)] == [True, True]
    rig.file().write_text("by hand\n")
    assert not quiet.still(GROUNDS)
    rig.file().write_text("hello\n")
    assert not quiet.still(GROUNDS), "what was not quiet once is looked at in full"


@pytest.mark.parametrize(
    "other",
    [
        {"subject": SUBJECT._replace(generation=2)},
        {"body": None},
        {"body": body(text="other\n")},
        {"may_change": False},
        {"reported": Reported(1, "sha256:00", "sha256:01", "sha256:02", True)},
        {"claimants": Claimants({(MOTD, "motd"): "it is already claimed"}, frozenset())},
        {"facts": {"osName": "Debian"}},
    ],
)
def test_a_look_on_other_grounds_is_not_quiet(host: LocalHost, other: dict[str, Any]) -> None:
    quiet = Quiet(host)
    quiet.note(GROUNDS, result(), seen(host))
    assert not quiet.still(GROUNDS._replace(**other))
    assert not quiet.still(GROUNDS)


@pytest.mark.parametrize(
    ("found", "of"),
    [
        (result("Changed", changed=True), body()),
        (result("Drifted"), body()),
        (result(status="Failed"), body()),
        (result(truncated=1), body()),
        (result(), script("true", uid=MOTD)),
    ],
)
def test_a_look_that_may_come_to_something_else_is_not_kept(host: LocalHost, found: RunResult, of: wire.Body) -> None:
    quiet = Quiet(host)
    quiet.note(GROUNDS._replace(body=of), found, seen(host))
    assert not quiet.still(GROUNDS._replace(body=of))


def test_a_look_that_did_more_than_read_is_not_kept(host: LocalHost) -> None:
    quiet, more = Quiet(host), seen(host)
    more.through(host).now()
    quiet.note(GROUNDS, result(), more)
    assert not quiet.still(GROUNDS)


def test_the_reads_of_a_whole_pass_are_those_of_quiet_looks_alone(host: LocalHost) -> None:
    quiet = Quiet(host)
    assert quiet.reads([MOTD]) is None
    quiet.note(GROUNDS, result(), seen(host))
    assert quiet.reads([MOTD]) == seen(host).reads != {}
    assert quiet.reads([MOTD, "Association/other"]) is None
    for other in (GROUNDS._replace(may_change=False), GROUNDS._replace(facts={"osName": "Debian"})):
        quiet.note(other, result(), seen(host))
        assert quiet.reads([MOTD]) is None
