"""Commands: SSM's waves, statuses and their precedence, timeouts; no clock and no node in sight."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.contract.canonical import canonical
from agent.contract.codec import to_wire
from agent.contract.wire import PROTOCOL, Body, BodyStep, Report, StepReport
from reconciler.core import indexing
from reconciler.core.commands import CommandRow, InvocationRow
from reconciler.core.effect import Cause, Dispatch
from reconciler.core.nodes import NodeEntry
from reconciler.core.world import World
from reconciler.engine import commands
from reconciler.engine.commands import Open
from reconciler.engine.leave import GRACE

AT = 1_700_000_000_000
BODY = canonical(
    to_wire(
        Body("Command/x", "x", [BodyStep("a", "aws:runShellScript", 1, {"runCommand": ["true"], "timeoutSeconds": 60})])
    )
)
WORLD = World("fleet", 1, nodes=indexing.index([NodeEntry(f"mi-{number}", f"n{number}", {}) for number in range(10)]))


class Story:
    """A command that is played: nodes are online unless they are in `away`."""

    def __init__(self, **asked: Any) -> None:
        effect = Dispatch("x", WORLD.nodes.everyone, BODY, **asked)
        self.command = commands.begun(effect, WORLD, Cause("cause", AT, "alice"))
        self.away: set[str] = set()
        self.unable: set[str] = set()
        self.at = AT

    def settle(self, seconds: int = 0) -> None:
        self.at += seconds * 1000
        row, changed = commands.settled(
            self.command, self.at, lambda node: node not in self.away, lambda node: node not in self.unable
        )
        self.command = Open(row, {**self.command.invocations, **{one.job_id: one for one in changed}})

    def put(self, one: InvocationRow) -> None:
        self.command = Open(self.command.row, {**self.command.invocations, one.job_id: one})

    def released(self) -> list[InvocationRow]:
        return [one for one in self.command.invocations.values() if one.released_at and not one.final]

    def end(self, one: InvocationRow, status: str = "Success", steps: bool = True) -> None:
        self.put(commands.reported(one, report(one, status, steps=steps), self.at))

    def details(self) -> dict[str, int]:
        found = [one.details for one in self.command.invocations.values()]
        return {word: found.count(word) for word in sorted(set(found))}

    @property
    def status(self) -> tuple[str, str]:
        return self.command.row.status, self.command.row.details


def report(one: InvocationRow, status: str, *, steps: bool = True, reason: str | None = None) -> Report:
    said = [StepReport("a", "aws:runShellScript", status, reason=reason)] if steps else []
    return Report(
        PROTOCOL, "fleet", one.node_id, "boot", 1, 1, "Job/x", 1, "", "", "1", status, [], "Job", "", "",
        reason=reason, job_id=one.job_id, steps=said,
    )  # fmt: skip


def test_ids_come_from_the_cause_and_differ() -> None:
    first, second = Story().command, Story().command
    assert first == second
    assert len(first.invocations) == 10
    assert {known[14] for known in (first.row.id, *first.invocations)} == {"7"}


@pytest.mark.parametrize(("limit", "at_once"), [("3", 3), ("50%", 5), ("1%", 1), ("50", 10)])
def test_so_many_at_once(limit: str, at_once: int) -> None:
    story = Story(max_concurrency=limit)
    story.settle()
    assert len(story.released()) == at_once
    for one in story.released():
        story.end(commands.accepted(one, story.at))
    story.settle()
    assert len(story.released()) == min(at_once, 10 - at_once)


@pytest.mark.parametrize(("allowed", "failing", "status"), [
    ("0", 1, ("Failed", "Failed")), ("1", 2, ("Failed", "Failed")), ("20%", 3, ("Failed", "Failed")),
    ("1", 1, ("Failed", "Incomplete")), ("100%", 10, ("Failed", "Incomplete")), ("0", 0, ("Success", "Success")),
])  # fmt: skip
def test_errors_stop_what_has_not_begun(allowed: str, failing: int, status: tuple[str, str]) -> None:
    story = Story(max_concurrency="1", max_errors=allowed)
    for turn in range(10):
        story.settle()
        for one in story.released():
            story.end(one, "Failed" if turn < failing else "Success")
    story.settle()
    assert story.status == status
    assert story.details().get("Failed", 0) == failing
    assert ("Terminated" in story.details()) == (status == ("Failed", "Failed"))


def test_those_at_it_finish() -> None:
    story = Story(max_concurrency="3")
    story.settle()
    first, *others = story.released()
    story.end(first, "Failed")
    story.settle()
    assert story.details() == {"Failed": 1, "Pending": 2, "Terminated": 7}
    assert story.status == ("InProgress", "InProgress")
    for one in others:
        story.end(one)
    story.settle()
    assert story.status == ("Failed", "Failed")


def test_who_is_offline_stalls_nobody_and_is_given_up_in_time() -> None:
    story = Story(max_concurrency="1", delivery_timeout=100)
    story.away = {"mi-0", "mi-1"}
    for _ in range(8):
        story.settle()
        (one,) = story.released()
        assert one.node_id not in story.away
        story.end(one)
    story.settle()
    assert story.details() == {"Delayed": 2, "Success": 8}
    story.away = {"mi-1"}
    story.settle(99)
    (one,) = story.released()
    assert one.node_id == "mi-0"
    story.end(one)
    story.settle(1)
    assert story.details() == {"DeliveryTimedOut": 1, "Success": 9}
    assert story.status == ("TimedOut", "DeliveryTimedOut")


def test_who_took_it_and_says_nothing_is_given_up_and_may_still_say_it() -> None:
    story = Story(max_errors="100%")
    story.settle()
    for one in story.released():
        story.put(commands.accepted(one, story.at))
    limit = story.command.row.execution_timeout
    story.settle(limit + GRACE - 1)
    assert story.details() == {"InProgress": 10}
    story.settle(1)
    assert story.details() == {"ExecutionTimedOut": 10}
    (one, *_) = story.command.invocations.values()
    story.end(one)
    assert story.details() == {"ExecutionTimedOut": 9, "Success": 1}
    assert commands.reported(story.command.invocations[one.job_id], report(one, "Failed"), story.at).status == "Success"


def test_cancelled() -> None:
    story = Story(max_concurrency="2")
    story.settle()
    first, second = story.released()
    story.put(commands.accepted(first, story.at))
    row, changed = commands.cancelled(story.command, "bob", story.at)
    story.command = Open(row, {**story.command.invocations, **{one.job_id: one for one in changed}})
    story.settle()
    assert story.status == ("Cancelling", "Cancelling")
    assert story.details() == {"Cancelled": 8, "Cancelling": 2}
    revocations = [commands.revocation_of(row, one, WORLD, story.at) for one in story.released()]
    assert sorted(one.revoked_id for one in revocations if one) == sorted([first.job_id, second.job_id])
    assert all(commands.job_of(row, one, WORLD, story.at) is None for one in story.released())
    story.put(commands.revoked(story.command.invocations[second.job_id], story.at))
    story.end(story.command.invocations[first.job_id], "Success")
    story.settle()
    assert story.status == ("Cancelled", "Cancelled")
    assert story.details() == {"Cancelled": 9, "Success": 1}


def test_an_old_agent_is_given_nothing() -> None:
    story = Story()
    story.unable = {"mi-3"}
    story.settle()
    for one in story.released():
        story.end(one)
    story.settle()
    assert story.details() == {"Success": 9, "Undeliverable": 1}
    assert story.status == ("Failed", "Incomplete")


def test_a_job_is_for_one_node_and_for_so_long() -> None:
    story = Story(delivery_timeout=100)
    story.settle()
    one = story.released()[0]
    job = commands.job_of(story.command.row, one, WORLD, story.at + 40_000)
    assert job is not None
    envelope = job.envelope
    assert (envelope.node_id, envelope.job_id, envelope.expires_in) == (one.node_id, one.job_id, 60)
    assert (envelope.delivery_timeout, envelope.execution_timeout) == (100, story.command.row.execution_timeout)
    assert commands.job_of(story.command.row, one, WORLD, story.at + 100_000) is None
    assert commands.job_of(story.command.row, commands.accepted(one, story.at), WORLD, story.at) is None


@pytest.mark.parametrize(("said", "status", "details"), [
    ("Success", "Success", "Success"), ("Failed", "Failed", "Failed"), ("Cancelled", "Cancelled", "Cancelled"),
    ("TimedOut", "TimedOut", "ExecutionTimedOut"), ("Interrupted", "Failed", "Failed"), ("Odd", "Failed", "Failed"),
])  # fmt: skip
def test_a_nodes_word(said: str, status: str, details: str) -> None:
    one = InvocationRow("c", "mi-1", "n1", "j")
    after = commands.reported(one, report(one, said), AT)
    assert (after.status, after.details, after.finished_at) == (status, details, AT)


def test_never_begun_in_time_is_a_delivery_that_timed_out() -> None:
    one = InvocationRow("c", "mi-1", "n1", "j")
    assert commands.reported(one, report(one, "TimedOut", steps=False), AT).details == "DeliveryTimedOut"
    skipped = report(one, "Success", reason="InvalidPlatform: not here")
    assert commands.reported(one, skipped, AT).details == "InvalidPlatform"


def test_precedence() -> None:
    row = CommandRow("c", "x", "d", "alice", AT, "*", 2)

    def of(*details: str) -> tuple[str, str]:
        statuses = {"ExecutionTimedOut": "TimedOut", "DeliveryTimedOut": "TimedOut"}
        ones = [
            replace(InvocationRow("c", word, word, str(at)), status=statuses.get(word, word), details=word)
            for at, word in enumerate(details)
        ]
        return commands.overall(row, ones)

    assert of("Failed", "ExecutionTimedOut", "DeliveryTimedOut") == ("Failed", "Failed")
    assert of("ExecutionTimedOut", "DeliveryTimedOut") == ("TimedOut", "ExecutionTimedOut")
    assert of("Success", "DeliveryTimedOut") == ("TimedOut", "DeliveryTimedOut")
    assert of("Success", "Cancelled") == ("Failed", "Incomplete")
    assert of("Pending", "Delayed") == ("Pending", "Pending")
    assert of("Delayed", "Delayed") == ("Delayed", "Delayed")
    assert of("Success", "Pending") == ("InProgress", "InProgress")
