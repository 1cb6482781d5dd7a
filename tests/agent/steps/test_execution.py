"""How a command ended, as its step says it."""

from __future__ import annotations

import pytest

from agent.host import Ran
from agent.steps.execution import ended_well
from agent.steps.step import StepFailed


def test_a_command_that_ended_as_wanted_is_given_back() -> None:
    for ran in (Ran(0), Ran(3)):
        assert ended_well(ran, "true", 60.0, wanted=(0, 3)) is ran


@pytest.mark.parametrize(
    ("ran", "status", "reason"),
    [
        (Ran(1, b"out", b"first\nlast words\n"), "Failed", "useradd: exit 1: last words"),
        (Ran(-9), "Failed", "useradd: killed by signal 9"),
        (Ran(-9, timed_out=True), "TimedOut", "useradd did not end in 60 seconds"),
    ],
)
def test_one_that_did_not_says_why(ran: Ran, status: str, reason: str) -> None:
    with pytest.raises(StepFailed) as caught:
        ended_well(ran, "useradd", 60.0)
    assert (caught.value.status, caught.value.reason, caught.value.rc) == (status, reason, ran.rc)
