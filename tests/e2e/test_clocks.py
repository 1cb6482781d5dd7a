"""Nodes whose clock is a day off: they join, converge, report and heal as any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent import program
from tests.e2e import config
from tests.e2e.conftest import Set
from tests.e2e.scene import Scene

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
DAY = {"slow": "-1d", "fast": "+1d"}

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(not _LIBRARIES, reason="libfaketime, which moves one process's clock, is not installed"),
]


@pytest.fixture(scope="module")
def scene(set_scene: Set) -> Scene:
    """The server has just been made: its certificate is as young as can be."""
    return set_scene(
        {
            **config.fleet(),
            **config.node("slow"),
            **config.node("fast"),
            **config.association("base", ["*"]),
            **config.document("base", config.file("/etc/base", "base")),
            **config.association("job", ["*"]),
            **config.document("job", config.script("echo ran >>$OPSCTL_ROOT/ran")),
        }
    )


@pytest.mark.parametrize("name", DAY)
def test_a_node_a_day_off_does_what_others_do(scene: Scene, name: str) -> None:
    machine = scene.machine(name)
    machine.environment = {"LD_PRELOAD": str(_LIBRARIES[0]), "FAKETIME": DAY[name], "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    machine.enrol(scene.daemon.url, scene.token(node=name), program.archive())
    machine.start()
    scene.wait("it to connect", lambda: scene.online(name))
    scene.wait_for_report(name, "base", compliance="COMPLIANT")
    scene.wait_for_report(name, "job", status="Success")
    wanted = machine.read("/etc/base")
    machine.write("/etc/base", "by hand")
    scene.wait_for_file(name, "/etc/base", wanted)
    scene.push(f"{name} another", config.document("base", config.file("/etc/base", f"for {name}")))
    scene.wait_for_file(name, "/etc/base", f"for {name}")
    scene.wait_for_report(name, "base", compliance="COMPLIANT", generation=scene.assignment(name, "base")["generation"])
    assert machine.read("/ran") == "ran\n"
