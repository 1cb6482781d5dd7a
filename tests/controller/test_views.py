"""What is shown of a node: two rows that were read one after the other, told in one breath."""

from __future__ import annotations

from reconciler.controller import views
from reconciler.core.records import AssignmentRow, StateRow

GIVEN = AssignmentRow("mi-1", "Association/motd", 2, "sha256:22", 0)


def state(generation: int, status: str, reason: str) -> StateRow:
    return StateRow("mi-1", "Association/motd", "NON_COMPLIANT", status, reason, 7, "c0ffee", generation)


def test_a_report_that_came_between_the_two_reads_is_shown_whole() -> None:
    shown = views._assignment(GIVEN, state(2, "Failed", "motd: no space left"))
    assert (shown["status"], shown["compliance"], shown["reason"]) == ("Failed", "NON_COMPLIANT", "motd: no space left")


def test_what_was_said_of_an_earlier_generation_is_no_status_of_this_one() -> None:
    shown = views._assignment(GIVEN, state(1, "Failed", "motd: no space left"))
    assert (shown["generation"], shown["status"], shown["compliance"]) == (2, "Pending", "UNKNOWN")
