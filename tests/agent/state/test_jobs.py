"""Jobs on disk: each is taken once, nothing that is not this node's, and what is over stays so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.contract import sshsig
from agent.contract.canonical import digest
from agent.state import jobs as state
from agent.state.jobs import JobRefused, NotSupported
from tests.agent.jobs import job_id, signed_end, signed_job
from tests.agent.pki import ControllerKey
from tests.agent.rig import Rig

BODY = digest(b"a body")


def open_ids(rig: Rig) -> list[str]:
    return [taken.id for taken in rig.node.jobs.open()]


def take(rig: Rig, number: int = 1, **changes: Any) -> tuple[str, bool]:
    return rig.node.jobs.take(signed_job(rig.controller, BODY, number, **changes))


def test_it_is_on_disk_and_taken_once(rig: Rig) -> None:
    assert take(rig) == (job_id(), True)
    assert take(rig, issued_at="2026-03-01T00:00:01.000Z") == (job_id(), True)
    assert open_ids(rig) == [job_id()]
    rig.restart()
    assert open_ids(rig) == [job_id()]
    assert rig.node.jobs.bodies() == [BODY]


def test_what_is_over_is_not_taken_again(rig: Rig) -> None:
    take(rig)
    rig.node.jobs.reported(job_id(), 7)
    assert rig.node.jobs.report_of(job_id()) == 7
    rig.restart()
    assert rig.node.jobs.is_reported(job_id())
    assert rig.node.jobs.report_of(job_id()) == 7
    rig.node.jobs.delivered(job_id())
    for _ in range(2):
        assert open_ids(rig) == []
        assert take(rig) == (job_id(), False)
        rig.restart()


def test_the_end_of_one_that_never_came_keeps_it_from_coming(rig: Rig) -> None:
    assert rig.node.jobs.revoke(signed_end(rig.controller)) == (job_id(), False)
    rig.restart()
    assert take(rig) == (job_id(), False)


def test_an_end_is_remembered(rig: Rig) -> None:
    take(rig)
    assert rig.node.jobs.revoke(signed_end(rig.controller)) == (job_id(), True)
    rig.restart()
    assert rig.node.jobs.is_cancelled(job_id())


def test_the_oldest_are_forgotten_and_nothing_older_is_taken(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "KNOWN", 3)
    for number in range(10, 15):
        take(rig, number)
        rig.node.jobs.delivered(job_id(number))
    for _ in range(2):
        assert [take(rig, number)[1] for number in (1, 10, 11, 12, 14)] == [False] * 5
        rig.restart()
    assert take(rig, 15) == (job_id(15), True)


def test_no_more_than_so_many_are_open(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "OPEN_AT_MOST", 2)
    take(rig, 1)
    take(rig, 2)
    with pytest.raises(JobRefused):
        take(rig, 3)
    assert take(rig, 2) == (job_id(2), True)


@pytest.mark.parametrize("changes", [
    {"node_id": "mi-00000000000000000"}, {"fleet_id": "other"}, {"job_id": "../../etc"}, {"job_id": None},
])  # fmt: skip
def test_what_is_not_for_this_node_is_refused(rig: Rig, changes: dict[str, Any]) -> None:
    with pytest.raises(JobRefused):
        take(rig, **changes)
    assert open_ids(rig) == []


@pytest.mark.parametrize("changes", [{"must_understand": ["quorum"]}, {"protocol": 2}, {"delivery_timeout": None}])
def test_what_is_of_another_version_is_not_supported(rig: Rig, changes: dict[str, Any]) -> None:
    with pytest.raises(NotSupported):
        take(rig, **changes)


def test_what_is_forged_or_of_another_hand_is_refused(rig: Rig) -> None:
    with pytest.raises(sshsig.BadSignature):
        rig.node.jobs.take(signed_job(ControllerKey(), BODY))
    with pytest.raises(sshsig.BadSignature):
        rig.node.jobs.take(signed_end(rig.controller))  # of another namespace
    with pytest.raises(JobRefused):
        rig.node.jobs.take(rig.controller.sign(sshsig.JOB, b"[]"))
    assert open_ids(rig) == []


def test_what_somebody_put_on_disk_is_not_run(rig: Rig) -> None:
    take(rig)
    Path(rig.node.jobs.place(job_id()), "job").write_text('{"payload": "e30=", "sig": "AAAA"}')
    rig.restart()
    assert open_ids(rig) == []
