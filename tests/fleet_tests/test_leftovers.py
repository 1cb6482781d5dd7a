"""Nothing of a fleet stays on the host: not after its end, not after its owner was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleet import Fleet, FleetError, Node, NodeSpec, close_kept, kept_nodes, sweep
from tests.fleet.commands import wait_for
from tests.fleet.ground import Ground
from tests.fleet.rootfs import CLONE, Rootfs, remove_drafts

pytestmark = pytest.mark.realnode

OWNER = """
import sys
from tests.fleet import Fleet
fleet = Fleet()
for name in ("a", "b"):
    fleet.up(name)
fleet.wait_booted()
if sys.argv[1] == "keep":
    fleet.keep()
print(fleet.number, flush=True)
sys.stdin.read()
"""


def traces(ground: Ground) -> list[str]:
    """What of this fleet is on the host."""
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(ground.directory) in line]
    links = [str(link) for link in Path("/sys/class/net").glob(f"{ground.network.bridge}*")]
    cgroups = [line.name for line in ground.hierarchy.glob(f"opsctl-fleet-{ground.number}")]
    processes = [path.parent.name for path in Path("/proc").glob("[0-9]*/cgroup") if _lives_in(ground, path)]
    files = [str(path) for path in (ground.directory, ground.record) if path.exists()]
    return mounts + links + cgroups + processes + files


def _lives_in(ground: Ground, cgroups: Path) -> bool:
    """A zombie does not live: it waits for the host's init to look."""
    try:
        in_fleet = f"/opsctl-fleet-{ground.number}/" in cgroups.read_text()
        return in_fleet and "State:\tZ" not in cgroups.with_name("status").read_text()
    except OSError:
        return False


def ground_of(number: int) -> Ground:
    return Ground(CLONE / "build" / "nodes" / "fleets", number)


def start_owner(what: str) -> tuple[subprocess.Popen[str], Ground]:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, what], cwd=CLONE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, ground_of(int(process.stdout.readline()))


def stop(process: subprocess.Popen[str]) -> None:
    with process:
        process.kill()


def test_closing_a_fleet_leaves_nothing(node_rootfs: Rootfs) -> None:
    with Fleet() as fleet:
        fleet.up("running")
        fleet.up("frozen")
        fleet.up("off")
        fleet.wait_booted()
        fleet.nodes["frozen"].freeze()
        fleet.nodes["off"].power_off()
        ground = ground_of(fleet.number)
        assert len(traces(ground)) > 5
    assert traces(ground) == []
    fleet.close()


def test_fleets_live_side_by_side(node_rootfs: Rootfs) -> None:
    with Fleet() as one, Fleet() as other:
        assert one.number != other.number
        a, b = one.up("same-name"), other.up("same-name")
        one.wait_booted()
        other.wait_booted()
        assert a.address != b.address
        one.close()
        assert b.run(["echo", "alive"]).stdout == "alive\n"


def test_a_dead_owner_is_swept_and_a_living_one_is_not(node_rootfs: Rootfs) -> None:
    process, ground = start_owner("die")
    try:
        sweep()
        assert len(traces(ground)) > 5
    finally:
        stop(process)
    sweep()
    # Another worker's sweep may have come first, and be still at it.
    wait_for(lambda: not traces(ground), f"nothing of {ground.directory} to be left", 20)


def test_a_kept_fleet_outlives_its_owner_and_the_sweep(node_rootfs: Rootfs) -> None:
    process, ground = start_owner("keep")
    stop(process)
    try:
        sweep()
        nodes = kept_nodes()[ground.number]
        assert [node.run(["hostname"]).stdout for node in nodes] == ["a\n", "b\n"]
    finally:
        close_kept(ground.number)
    assert traces(ground) == []
    with pytest.raises(FleetError, match=f"no fleet {ground.number} was kept"):
        close_kept(ground.number)


def test_a_build_dies_with_its_caller(node_rootfs: Rootfs, tmp_path: Path) -> None:
    program = "import sys, pathlib; from tests.fleet import rootfs; rootfs.ensure(cache=pathlib.Path(sys.argv[1]))"
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=CLONE, text=True)
    draft = tmp_path / f"{node_rootfs.suite}.draft"
    try:
        wait_for(lambda: _building(tmp_path), "the build to begin", 20)
        assert remove_drafts(tmp_path) == []
    finally:
        stop(process)
    wait_for(lambda: not _building(tmp_path), "the build to end", 10)
    assert remove_drafts(tmp_path) == [draft.name]
    assert [path.name for path in tmp_path.iterdir()] == [f"{node_rootfs.suite}.lock"]


def _building(directory: Path) -> bool:
    needle = f"{directory}/".encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if b"mmdebstrap" in command and needle in command:
            return True
    return False


def test_a_node_that_cannot_start_says_why(node_rootfs: Rootfs, tmp_path: Path) -> None:
    with Fleet() as fleet:
        broken = Node(NodeSpec("broken", 1, Rootfs("none", tmp_path)), ground_of(fleet.number)).start()
        with pytest.raises(FleetError, match=r"broken is off; its console: .*root"):
            broken.wait_booted()
