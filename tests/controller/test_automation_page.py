"""The examples of docs/automation.md, as they are executed."""

from __future__ import annotations

import pytest

from reconciler.core.access import Subject
from tests.controller.house import ROOT, House, small
from tests.controller.test_automations import end_job, show, start, started_by, status
from tests.docs import examples
from tests.docs.pages import ROOT as TOP
from tests.engine.repository import node, operator, role

PAGE = (TOP / "docs" / "automation.md").read_text()


@pytest.fixture
def house() -> House:
    access = role("approver", "{verbs: [approve], kinds: [Automation]}")
    files = {
        **small("web-1"),
        **examples.of(PAGE),
        "nodes/web-1.yaml": node("web-1", "{Role: web}"),
        "access/roles.yaml": access,
        "access/operators.yaml": operator("alice", "approver"),
    }
    house = House(files)
    house.join("web-1")
    house.settle(2)
    house.tick(31)
    return house


def test_a_restart_and_a_look(house: House) -> None:
    end_job(house)
    end_job(house, output="active\n")
    house.tick(2)
    assert started_by(house, "Association/restart-weekly") == ["Success"]
    known = start(house, "restart-web", parameters={"Node": ["web-1"]})
    end_job(house, status="Failed", rc=1)
    end_job(house)
    end_job(house, output="failed\n")
    found = show(house, known)
    assert found["steps"][0]["attempts"] == 2
    assert found["waitsFor"] == "somebody to resume `ask`"
    assert "so the default" in found["steps"][2]["why"]
    house.service.automations.signal(ROOT, known, "Resume", "")
    assert show(house, known)["outputs"] == {"look.Output": "failed\n"}


def test_one_after_another(house: House) -> None:
    house.service.automations.stop(ROOT, house.service.automations.list(ROOT, 1)[0]["execution"], "")
    known = start(house, "restart-all")
    house.tick(1)
    for output in ("hi\n", "active\n"):
        end_job(house, output=output)
    house.tick(2)
    assert status(house, known) == "Success"


def test_asked_first(house: House) -> None:
    house.service.automations.stop(ROOT, house.service.automations.list(ROOT, 1)[0]["execution"], "")
    known = start(house, "reboot-asked", parameters={"Node": ["web-1"]})
    assert show(house, known)["waitsFor"] == "approval by 1 of alice, on-call: May web-1 be rebooted now?"
    house.service.automations.signal(Subject("alice"), known, "Approve", "")
    house.deliver()
    end_job(house)
    assert status(house, known) == "Success"
