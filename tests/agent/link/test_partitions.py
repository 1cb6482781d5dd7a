"""An hour without the server, at the node: it holds what it was given, and nothing of what happened is lost."""

from __future__ import annotations

import pytest

from tests.agent.rig import Rig, body, script

HOUR, INTERVAL = 3600, 30

pytestmark = pytest.mark.fault


def test_it_heals_at_every_interval_and_tells_of_each_later_in_order(rig: Rig) -> None:
    rig.give(1, body(), script("echo ran >> $OPSCTL_ROOT/ran"))
    rig.run()
    seqs = []
    for minute in range(0, HOUR, 60):
        rig.file().write_text(f"by hand {minute}\n")
        reports = rig.run(after=INTERVAL)
        assert rig.file().read_text() == "hello\n"
        assert [(report.uid, report.cause) for report in reports] == [("Association/motd", "Interval")]
        seqs += [report.seq for report in reports]
        assert rig.run(after=INTERVAL) == [], "nothing happened, and so there is nothing to tell"
    assert seqs == list(range(seqs[0], seqs[0] + HOUR // 60))
    assert rig.journal.pending_count() == len(seqs) + 2
    assert (rig.root / "ran").read_text() == "ran\n"


def test_also_where_the_agent_and_the_machine_are_started_again_meanwhile(rig: Rig) -> None:
    rig.give(1, body(), script("echo ran >> $OPSCTL_ROOT/ran"))
    told = rig.run()
    for quarter in range(4):
        rig.restart(boot=f"boot-{quarter + 2}" if quarter % 2 else None)
        rig.file().write_text("by hand\n")
        told += rig.run(after=HOUR / 4)
        assert rig.file().read_text() == "hello\n"
    assert [report.seq for report in told] == list(range(1, len(told) + 1))
    assert [report.seq for report in told] == [item.seq for item in rig.journal.pending()]
    assert (rig.root / "ran").read_text() == "ran\n"
