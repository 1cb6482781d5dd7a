"""What befalls an installed agent on a real node, and what it holds to all the same."""

from __future__ import annotations

import dataclasses
import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from agent.contract import wire
from agent.contract.canonical import milliseconds
from tests import faults
from tests.agent.gateway import NODE, Gateway
from tests.agent.installed import STATE, UNIT, Installed, of
from tests.agent.pki import ControllerKey
from tests.agent.proxy import Proxy
from tests.agent.rig import body, script
from tests.fleet.fixtures import NodeFactory

pytestmark = [pytest.mark.realnode, pytest.mark.fault]

KILLS = faults.count(few=5, full=100)
LONGEST = 1.0
"""Seconds between an assignment and a kill, at most: fetching, running and reporting lie within."""
HOUR = 3600
MOTD = "/etc/motd"


@pytest.fixture(scope="module")
def installed(
    module_node_factory: NodeFactory,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installed]:
    """An agent whose state has a small disk of its own, to be filled."""
    (node,) = module_node_factory("web-1", packages=["libfaketime"])
    node.run(["sh", "-c", "apt-get -q update && apt-get -yq install libfaketime"], timeout=120)
    node.run(["sh", "-c", f"mkdir {STATE} && mount -t tmpfs -o size=32m,nr_inodes=4000,mode=700 tmpfs {STATE}"])
    with Gateway(tmp_path_factory.mktemp("gateway"), address=node.host_address) as gateway:
        yield Installed(node, gateway)


def version(number: int) -> wire.Body:
    return of("version", "ops:file", {"path": "/etc/version", "content": f"{number}\n"})


# Processes


def test_killed_at_any_instant_nothing_runs_twice_and_nothing_is_lost(installed: Installed) -> None:
    seed = faults.seed()
    pick = random.Random(seed)
    for number in range(1, KILLS + 1):
        tell = f"{number} >> /root/runs"
        installed.want(version(number), script(f"echo begin {tell}", "sleep 0.2", f"echo end {tell}"))
        time.sleep(pick.uniform(0, LONGEST))  # the instant is what this is about
        installed.kill()
    installed.converged(version(0), script("echo begin 0 >> /root/runs", "echo end 0 >> /root/runs"))
    installed.nothing_is_missing()
    assert installed.restarts() >= KILLS, f"seed {seed}"
    assert installed.node.read("/etc/version") == b"0\n"
    said = Counter(installed.shell("cat /root/runs").splitlines())
    assert [line for line, times in said.items() if times > 1] == [], f"seed {seed}"
    begun = {line.split()[1] for line in said if line.startswith("begin")}
    assert begun == {line.split()[1] for line in said if line.startswith("end")}, f"seed {seed}"


# Time


def test_an_hour_behind_a_cut_cable(installed: Installed) -> None:
    """The hour is the agent's, by a clock that is set forward for it alone."""
    node = installed.node
    files = {passed: f"/etc/after-{passed}" for passed in range(0, HOUR, HOUR // 6)}
    _set_clock(installed, 0)
    _fake(installed, FAKETIME_TIMESTAMP_FILE="/run/agent-clock", FAKETIME_NO_CACHE="1")
    installed.restart()
    held = [body(f"Association/after-{passed}", path=path) for passed, path in files.items()]
    installed.converged(*held, script("echo ran >> /root/partition"))
    known = installed.reports()[-1]
    node.link_down()
    try:
        for passed, path in files.items():
            node.write(path, "by hand\n")
            installed.wait(installed.reads(path, b"hello\n"), "healing alone")
            _set_clock(installed, passed + HOUR // 6)
        assert installed.reports()[-1] == known
    finally:
        node.link_up()
    installed.nothing_is_missing()
    later = [report for report in installed.reports() if report.seq > known.seq]
    assert [(report.uid, report.claims[0].outcome) for report in later] == [(item.uid, "Changed") for item in held]
    assert milliseconds(later[-1].finished_at) - milliseconds(known.finished_at) >= (HOUR - HOUR // 6) * 1000
    assert node.read("/root/partition") == b"ran\n"


def _fake(installed: Installed, **how: str) -> None:
    """Another time for the agent alone; how long things take is as it is."""
    library = installed.shell("ls /usr/lib/*/faketime/libfaketime.so.1").strip()
    installed.configure(LD_PRELOAD=library, FAKETIME_DONT_FAKE_MONOTONIC="1", **how)


def _set_clock(installed: Installed, ahead: int) -> None:
    installed.shell(f"echo +{ahead} > /run/.clock && mv /run/.clock /run/agent-clock")


@pytest.mark.parametrize("offset", ["-1d", "+1d"])
def test_a_clock_that_is_off_by_a_day(installed: Installed, offset: str) -> None:
    _fake(installed, FAKETIME=offset)
    installed.restart()
    installed.converged(body(), version(1))
    installed.node.write(MOTD, "by hand\n")
    installed.wait(installed.reads(MOTD, b"hello\n"), "healing")
    installed.nothing_is_missing()
    installed.configure()
    installed.restart()
    installed.converged(body(text="of now\n"))
    assert installed.node.read(MOTD) == b"of now\n"


# Disks

FILL = "cat /dev/zero > {at}/hog 2>/dev/null; printf x >> {at}/hog; true"
USE_UP = "mkdir {at}/hogs; for n in $(seq 5000); do true > {at}/hogs/$n || break; done 2>/dev/null; true"
RELIEVE = "rm -rf {at}/hog {at}/hogs; mount -o remount,rw {at}"


@pytest.mark.parametrize(
    ("trouble", "says"), [(FILL, "it is full"), (USE_UP, "it has no inodes left")], ids=["full", "no inodes"]
)
def test_a_state_that_cannot_grow(installed: Installed, trouble: str, says: str) -> None:
    slow = script("echo begun; while [ ! -e /run/go ]; do sleep 0.05; done; exit 3", uid="Association/slow")
    installed.shell("rm -f /run/go")
    installed.converged(body())
    run = f"{STATE}/executions/slow-{installed.want(body(), slow)}-*"
    installed.wait(lambda: installed.shell(f"cat {run}/stdout 2>/dev/null; true") == "begun\n", "its start")
    starts = installed.restarts()
    try:
        installed.shell(trouble.format(at=STATE))
        assert says in installed.agent("status")
        installed.shell("touch /run/go")
        pulses = len(installed.gateway.pulses)
        installed.node.write(MOTD, "by hand\n")
        installed.wait(lambda: len(installed.gateway.pulses) > pulses + 1, "further pulses")
    finally:
        installed.shell(RELIEVE.format(at=STATE))
    told = installed.told(slow.uid)
    assert (told.status, told.output) == ("Failed", "begun\n")
    installed.wait(installed.reads(MOTD, b"hello\n"), "healing")
    installed.nothing_is_missing()
    assert installed.restarts() == starts


def test_a_state_that_turned_read_only(installed: Installed) -> None:
    installed.converged(body())
    installed.shell(f"systemctl stop {UNIT} && mount -o remount,ro {STATE}")
    try:
        installed.node.write(MOTD, "by hand\n")
        hellos = len(installed.gateway.hellos)
        installed.shell(f"systemctl start {UNIT}")
        installed.wait(lambda: len(installed.gateway.hellos) > hellos, "its hello")
        assert "it is read-only" in installed.agent("status")
        assert installed.node.read(MOTD) == b"by hand\n", "what cannot be written down is not done"
    finally:
        installed.shell(RELIEVE.format(at=STATE))
    installed.wait(installed.reads(MOTD, b"hello\n"), "healing")
    installed.nothing_is_missing()


TROUBLES = {"full": FILL, "no inodes": USE_UP, "read-only": "mount -o remount,ro {at}"}
SMALL = "/srv/small"


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_file_on_a_disk_that_takes_no_more(installed: Installed, trouble: str) -> None:
    """The old content stays, whole, until the new one can be."""
    installed.shell(f"mkdir -p {SMALL}; mount -t tmpfs -o size=1m,nr_inodes=100 tmpfs {SMALL}; echo old > {SMALL}/file")
    try:
        installed.shell(TROUBLES[trouble].format(at=SMALL))
        wanted = of("small", "ops:file", {"path": f"{SMALL}/file", "content": "new\n" * 2000})
        (failed,) = installed.converged(wanted)
        assert (failed.status, failed.claims[0].outcome) == ("Failed", "Failed")
        assert any(word in (failed.reason or "") for word in ("No space left", "Read-only")), failed.reason
        assert installed.node.read(f"{SMALL}/file") == b"old\n"
        installed.shell(RELIEVE.format(at=SMALL))
        installed.wait(installed.reads(f"{SMALL}/file", b"new\n" * 2000), "the new content")
        assert installed.shell(f"ls -A {SMALL}") == "file\n"
    finally:
        installed.want(body())
        installed.shell(f"umount --lazy {SMALL}")


# Scripts


def test_a_script_that_prints_a_hundred_megabytes(installed: Installed) -> None:
    (told,) = installed.converged(script("echo first; head -c 100000000 /dev/zero | tr '\\0' x; echo; echo last"))
    assert told.status == "Success"
    assert len(told.output or "") < wire.REPORT_LIMIT
    kept = installed.shell(f"du -sk {STATE}/executions | cut -f 1")
    assert int(kept) < 2048


def test_a_script_that_waits_for_input(installed: Installed) -> None:
    (told,) = installed.converged(script("read -r line; echo got $? and [$line]", "cat; exit 4"))
    assert (told.status, told.output) == ("Failed", "got 1 and []\n")


# The server, and what is in between


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"\xff" * 64, "reserved"),
        (b'\x81\x05{"a":', ""),
        (b"\x82\x7f" + (2 * wire.FRAME_LIMIT).to_bytes(8, "big"), "over the limit"),
    ],
    ids=["garbage", "half a value", "an oversized frame"],
)
def test_a_server_that_talks_nonsense_is_left_and_tried_again(installed: Installed, said: bytes, reason: str) -> None:
    gateway = installed.gateway
    installed.converged(body())
    hellos, closes, starts = len(gateway.hellos), len(gateway.closes), installed.restarts()
    gateway.connections[-1].send_raw(said)
    installed.wait(lambda: len(gateway.hellos) > hellos, "the next connection")
    assert reason in gateway.closes[closes][1]
    installed.converged(body(text="sense\n"))
    assert installed.node.read(MOTD) == b"sense\n"
    assert installed.restarts() == starts


def test_a_set_of_another_hand_is_not_taken(installed: Installed) -> None:
    gateway = installed.gateway
    installed.converged(body())
    held, serial = len(gateway.held), installed.generation
    forged = wire.Assignment(serial + 1, gateway.put_value(body(text="forged\n")), "none", [wire.Interval()])
    newer = dataclasses.replace(gateway.desired[NODE], serial=serial + 1, assignments={body().uid: forged})
    gateway.connections[-1].say(gateway.sign_set(newer, ControllerKey()))
    installed.wait(lambda: len(gateway.held) > held, "the answer")
    assert gateway.held[-1].serial == serial
    assert installed.node.read(MOTD) == b"hello\n"
    installed.converged(body(text="signed\n"))
    assert installed.node.read(MOTD) == b"signed\n"


def test_a_proxy_in_between(installed: Installed) -> None:
    gateway = installed.gateway
    with Proxy(address=gateway.address) as proxy:
        installed.configure(https_proxy=f"http://{gateway.address}:{proxy.port}")
        installed.restart()
        assert proxy.heads[-1].startswith(f"CONNECT {gateway.address}:{gateway.port} ".encode())
        installed.converged(body(text="through a proxy\n"))
        installed.configure()
        installed.restart()
    assert installed.node.read(MOTD) == b"through a proxy\n"
