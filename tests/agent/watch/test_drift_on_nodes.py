"""Drift on a real node: whatever touches what is held is told at once and, by mode, put right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.contract import wire
from tests.agent import program
from tests.agent.gateway import Gateway
from tests.agent.program import until
from tests.agent.rig import body, outcomes
from tests.fleet import Node
from tests.fleet.fixtures import NodeFactory

pytestmark = pytest.mark.realnode
DEMO = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
PACKAGE = "Package: demo\nVersion: VERSION\nArchitecture: all\nMaintainer: Mary <mary@example.org>\nDescription: d\n"
BUILD = """\
set -e
for version in 1 2; do
    mkdir -p /root/demo/DEBIAN /root/demo/etc
    printf '%s' "$1" | sed "s/VERSION/$version/" > /root/demo/DEBIAN/control
    echo /etc/demo.conf > /root/demo/DEBIAN/conffiles
    echo "as version $version has it" > /root/demo/etc/demo.conf
    dpkg-deb --build /root/demo /root/demo-$version.deb > /dev/null
done
dpkg --install /root/demo-1.deb > /dev/null
"""


class Ground:
    """A node with an agent whose interval is too long to be waited for."""

    def __init__(self, node: Node, gateway: Gateway) -> None:
        self.node, self.gateway = node, gateway

    def told_of(self, *command: str) -> wire.Report:
        """The report that comes of a command on the node."""
        known = len(self.gateway.reports)
        self.node.run(list(command))
        self.gateway.wait(lambda: len(self.gateway.reports) > known, f"the report of {' '.join(command)}")
        assert self.gateway.reports[known].cause == "Drift"
        return self.gateway.reports[known]


@pytest.fixture(scope="module")
def ground(
    module_node_factory: NodeFactory,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Ground]:
    (node,) = module_node_factory("web-1")
    with Gateway(tmp_path_factory.mktemp("gateway"), address=node.host_address) as gateway:
        node.put(program.archive(), "/root/agent.pyz")
        node.run(["python3", "/root/agent.pyz", "enroll", "--token-file", "-"], stdin=gateway.token())
        node.run(["python3", "/root/agent.pyz", "install"])
        for name in ("one", "two"):
            node.write(f"/etc/systemd/system/{name}.service", DEMO)
        node.run(["sh", "-c", BUILD, "sh", PACKAGE])
        held = [
            *(body(f"Association/{name}", path=f"/etc/{name}") for name in ("vim", "sed", "mv", "mount", "user")),
            body("Association/demo", path="/etc/demo.conf"),
            body("Association/monitored", path="/etc/monitored", mode="ApplyAndMonitor"),
            _of("one", "ops:service", {"name": "one", "state": "started", "enabled": True}),
            _of("two", "ops:service", {"name": "two", "state": "started"}, mode="ApplyAndMonitor"),
            _of("mary", "ops:user", {"name": "mary", "shell": "/bin/sh"}),
            _of("package", "ops:package", {"name": ["demo"]}, mode="ApplyAndMonitor"),
        ]
        gateway.want(1, held, interval=1800)
        gateway.wait(lambda: len(gateway.reports) == len(held), "the first reports")
        assert {(report.status, report.reason) for report in gateway.reports} == {("Success", None)}
        yield Ground(node, gateway)


def _of(name: str, action: str, inputs: dict[str, object], mode: str = "ApplyAndAutoCorrect") -> wire.Body:
    return wire.Body(f"Association/{name}", name, [wire.BodyStep("it", action, 1, inputs)], mode)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("vim", "cp $file $file~; echo by hand > /etc/4913; mv /etc/4913 $file; rm $file~"),
        ("sed", "sed -i s/hello/bye/ $file"),
        ("mv", "mv $file /root/; touch /root/somebody-else"),
    ],
)
def test_an_edit_is_told_and_put_right(ground: Ground, name: str, command: str) -> None:
    report = ground.told_of("sh", "-c", f"file=/etc/{name}; {command}")
    assert (report.uid, outcomes(report)) == (f"Association/{name}", ["Changed"])
    assert ground.node.read(f"/etc/{name}") == b"hello\n"


def test_a_package_upgrade_that_replaces_a_managed_file(ground: Ground) -> None:
    report = ground.told_of("dpkg", "--install", "--force-confnew", "/root/demo-2.deb")
    assert (report.uid, outcomes(report)) == ("Association/demo", ["Changed"])
    assert ground.node.read("/etc/demo.conf") == b"hello\n"


def test_a_package_that_is_taken_away_is_told(ground: Ground) -> None:
    known = len(ground.gateway.reports)
    ground.node.run(["dpkg", "--remove", "demo"])
    wanted = ("Association/package", ["Drifted"])
    ground.gateway.wait(
        lambda: wanted in [(report.uid, outcomes(report)) for report in ground.gateway.reports[known:]], "the report"
    )


def test_what_is_monitored_is_told_and_left(ground: Ground) -> None:
    report = ground.told_of("sh", "-c", "echo by hand > /etc/monitored")
    assert outcomes(report) == ["Drifted"]
    assert ground.node.read("/etc/monitored") == b"by hand\n"


def test_a_stopped_service_is_started_again(ground: Ground) -> None:
    report = ground.told_of("systemctl", "stop", "one")
    assert (report.uid, outcomes(report)) == ("Association/one", ["Changed"])
    assert ground.node.run(["systemctl", "is-active", "one"]).stdout == "active\n"


def test_a_stopped_service_that_is_monitored_stays_so(ground: Ground) -> None:
    report = ground.told_of("systemctl", "stop", "two")
    assert (report.uid, outcomes(report)) == ("Association/two", ["Drifted"])
    assert ground.node.run(["systemctl", "is-active", "two"], check=False).stdout == "inactive\n"


def test_a_users_shell_is_put_right(ground: Ground) -> None:
    report = ground.told_of("usermod", "--shell", "/bin/bash", "mary")
    assert (report.uid, outcomes(report)) == ("Association/mary", ["Changed"])


def test_a_directory_that_is_mounted_over_is_watched_and_the_one_beneath_again(ground: Ground) -> None:
    """What is held is at the path, whatever is mounted there."""
    node = ground.node
    copy = "mkdir /tmp/etc; cp -a /etc/. /tmp/etc; rm /tmp/etc/mount"
    report = ground.told_of("sh", "-c", f"{copy}; mount --bind /tmp/etc /etc")
    assert (report.uid, outcomes(report)) == ("Association/mount", ["Changed"])
    report = ground.told_of("sh", "-c", "echo by hand > /etc/mount")
    assert outcomes(report) == ["Changed"]
    node.run(["umount", "/etc"])
    report = ground.told_of("sh", "-c", "echo by hand > /etc/user")
    assert (report.uid, outcomes(report)) == ("Association/user", ["Changed"])


def test_without_a_bus_systemd_is_heard_itself(ground: Ground) -> None:
    node = ground.node
    node.run(["systemctl", "stop", "dbus.socket", "dbus.service"])
    watch = "/var/lib/opsctl/status/watch.json"
    log = ["journalctl", "--unit=opsctl-agent", "--output=cat"]
    until(lambda: " units (" in node.run(log).stdout, "the loss of the bus")
    until(lambda: b"units (" not in node.read(watch), "systemd's own socket")
    node.run(["systemctl", "stop", "two"])
    node.run(["systemctl", "start", "two"])
    report = ground.told_of("systemctl", "stop", "one")
    assert report.uid in ("Association/one", "Association/two")


def test_a_fight_is_told_and_nobody_burns_the_processor(ground: Ground) -> None:
    node, gateway = ground.node, ground.gateway
    known = len(gateway.reports)
    foe = "while :; do grep -q hello /etc/vim && echo by another hand > /etc/vim; sleep 0.02; done"
    node.run(["systemd-run", "--unit=foe", "sh", "-c", foe])

    def fought() -> bool:
        reasons = [claim.reason or "" for report in gateway.reports[known:] for claim in report.claims]
        return any(reason.startswith("Fight: ") for reason in reasons)

    gateway.wait(fought, "the fight")
    gateway.wait(lambda: gateway.reports[-1].claims[0].outcome == "Drifted", "its being left alone")
    said = node.run(["python3", "/root/agent.pyz", "status"]).stdout
    assert "Fight: something else changes it back; put right 3 times" in said
    assert node.read("/etc/vim") == b"by another hand\n"
    node.run(["systemctl", "stop", "foe"])
    assert len(gateway.reports) - known <= 4
