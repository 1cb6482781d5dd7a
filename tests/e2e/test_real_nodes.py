"""The example on three real nodes: packages from apt, services of systemd, reboots, power cuts, pulled cables."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.ground import PACKAGES
from tests.e2e import config
from tests.e2e.on_nodes import SceneOnNodes
from tests.fleet import Fleet, Node

pytestmark = [pytest.mark.realnode, pytest.mark.usefixtures("node_rootfs")]
NAMES = ("gate-1", "web-1", "db-1")
UNIT = "opsctl-agent"


class Town(SceneOnNodes):
    """A scene on real nodes, with the example repository in a hurry."""

    def __init__(self, directory: Path, fleet: Fleet) -> None:
        super().__init__(directory, None, fleet)
        self.repository.replace("fleet.yaml", "agent:\n    interval: 30m", "agent:\n    interval: 2")
        self.repository.replace("fleet.yaml", "interval: 30s", "interval: 1")
        self.repository.replace("fleet.yaml", "interval: 5m", "interval: 1")
        self.repository.push("In a hurry")

    def is_active(self, name: str, unit: str) -> bool:
        return self.run(name, "systemctl", "is-active", unit) == "active\n"

    def answer(self) -> str:
        """What nginx on web-1 answers: headers, then the page."""
        with urllib.request.urlopen(f"http://{self.fleet.nodes['web-1'].address}/", timeout=5) as answer:
            return f"{answer.headers}{answer.read().decode()}"

    def compliant(self) -> None:
        self.daemon.compliant(NAMES)


@pytest.fixture(scope="module")
def town(node_rootfs: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Fleet() as fleet:
        for name in NAMES:
            fleet.up(name, packages=PACKAGES)
        with Town(tmp_path_factory.mktemp("e"), fleet) as town:
            fleet.wait_booted()
            town.join(*NAMES)
            town.compliant()
            yield town


@pytest.fixture
def web(town: Town) -> Node:
    return town.fleet.nodes["web-1"]


@pytest.fixture
def db(town: Town) -> Node:
    return town.fleet.nodes["db-1"]


class TestTheExample:
    def test_all_is_as_git_says(self, town: Town) -> None:
        page = "**3 of 3 nodes compliant** (100 %)"
        town.wait("the page", lambda: page in town.repository.compliance("README.md"))
        assert "install ok installed" in town.run("web-1", "dpkg-query", "-W", "-f", "${Status}", "nginx-light")
        assert "Served by web-1 as shop.harbour-books.example." in town.answer()
        for name, unit in (("web-1", "nginx"), ("web-1", "orders-worker"), ("db-1", "cron")):
            assert town.is_active(name, unit)
        assert "orders" in town.run("web-1", "id", "orders")
        assert town.run("gate-1", "cat", "/etc/motd").startswith("gate-1 is a bastion machine of Harbour Books")
        assert town.status()["conditions"] == []

    def test_what_is_installed_is_collected_and_shown(self, town: Town) -> None:
        town.daemon.run("document", "run", "AWS-GatherSoftwareInventory", "--targets", "web-1")
        shown = json.loads(town.daemon.run("inventory", "web-1", "--format", "json").stdout)
        types = {one["typeName"]: one["content"] for one in shown["types"]}
        assert "nginx-light" in {item["Name"] for item in types["AWS:Application"]}
        services = {item["Name"]: item["Status"] for item in types["AWS:Service"]}
        assert services["nginx.service"] == "Running"
        assert "10." in town.daemon.run("inventory", "web-1", "--type", "AWS:Network").stdout

    def test_a_commit_reaches_the_page_that_nginx_serves(self, town: Town) -> None:
        town.repository.replace("files/web/index.html.j2", "Second-hand sea charts", "New and second-hand sea charts")
        town.repository.replace("files/web/shop.conf.j2", "nosniff", "nosniff', 'X-Frame-Options': 'DENY")
        town.push("Sell new charts, and not in frames")
        town.wait("the page", lambda: "New and second-hand" in town.answer())

        town.wait("nginx to be reloaded", lambda: "X-Frame-Options: DENY" in town.answer())


class TestDrift:
    def test_a_service_that_was_stopped(self, town: Town, db: Node) -> None:
        db.run(["systemctl", "disable", "--now", "cron"])
        town.wait("cron to run again", lambda: town.is_active("db-1", "cron"))
        town.wait("at boot too", lambda: town.run("db-1", "systemctl", "is-enabled", "cron") == "enabled\n")

    def test_a_package_that_was_removed(self, town: Town, db: Node) -> None:
        db.run(["apt-get", "remove", "--yes", "--quiet", "cron"])
        town.wait("cron to be installed and to run", lambda: town.is_active("db-1", "cron"), 60)
        town.compliant()

    def test_an_account_and_what_is_its(self, town: Town) -> None:
        town.run("web-1", "chown", "root", "/var/lib/orders")
        town.run("web-1", "chmod", "0777", "/etc/systemd/system/orders-worker.service")
        wanted = "orders 750\n"
        town.wait(
            "the owner and the mode",
            lambda: (
                town.run("web-1", "stat", "-c", "%U %a", "/var/lib/orders") == wanted
                and town.run("web-1", "stat", "-c", "%a", "/etc/systemd/system/orders-worker.service") == "644\n"
            ),
        )


def test_a_package_that_does_not_exist_fails_there_and_nowhere_else(town: Town) -> None:
    package = {"action": "ops:package", "inputs": {"name": "no-such-package-anywhere"}}
    files = {
        **config.association("wishful", ["web-1"]),
        **config.document("wishful", package),
        **config.association("sound", ["web-1"]),
        **config.document("sound", config.file("/etc/sound", "sound")),
    }
    town.push("A package that nobody has", files)
    failed = town.wait_for_report("web-1", "wishful", status="Failed")
    assert "no-such-package-anywhere" in failed["reason"]
    town.wait_for_file("web-1", "/etc/sound", "sound")
    town.wait_for_report("web-1", "sound", status="Success")
    assert "web-1 is not compliant with wishful" in town.wait(
        "the commit", lambda: next((line for line in town.repository.compliance_log() if "wishful" in line), "")
    )
    town.push("Nobody needs it", {"associations/wishful.yaml": None, "documents/wishful.yaml": None})
    town.apply(allow_removals=1)
    town.compliant()


class TestTheAgentAsAService:
    def test_to_install_it_again_changes_nothing(self, town: Town, web: Node) -> None:
        process = town.run("web-1", "systemctl", "show", "-P", "MainPID", UNIT)
        unit = web.read("/etc/systemd/system/opsctl-agent.service")
        said = town.at("web-1").agent("install").stdout
        assert said.endswith("is installed already\n")
        assert town.run("web-1", "systemctl", "show", "-P", "MainPID", UNIT) == process
        assert web.read("/etc/systemd/system/opsctl-agent.service") == unit
        assert b"KillMode=process" in unit

    def test_a_job_outlives_a_restart_of_the_agent(self, town: Town, web: Node) -> None:
        step = config.script(
            "echo begin >>/root/job", "while [ ! -e /root/go ]; do sleep 0.1; done", "echo end >>/root/job"
        )
        town.push("A long job", {**config.association("job", ["web-1"]), **config.document("job", step)})
        town.wait("it to begin", lambda: town.run("web-1", "cat", "/root/job") == "begin\n")
        process = town.run("web-1", "systemctl", "show", "-P", "MainPID", UNIT)
        web.run(["systemctl", "restart", UNIT], timeout=120)  # does not wait: the script is left to itself
        assert town.run("web-1", "systemctl", "show", "-P", "MainPID", UNIT) != process
        assert town.run("web-1", "cat", "/root/job") == "begin\n"
        web.write("/root/go", "")
        town.wait_for_report("web-1", "job", status="Success")
        assert town.run("web-1", "cat", "/root/job") == "begin\nend\n"

    def test_a_reboot_heals(self, town: Town, web: Node) -> None:
        wanted = town.run("web-1", "cat", "/etc/motd")
        web.run(["systemctl", "stop", UNIT])
        web.write("/etc/motd", "while nobody looked\n")
        web.run(["systemctl", "disable", "nginx"])
        web.reboot()
        town.wait_for_file("web-1", "/etc/motd", wanted)
        town.wait("nginx to run", lambda: town.is_active("web-1", "nginx"))
        town.wait("it to connect", lambda: town.online("web-1"))
        town.compliant()
        assert "New and second-hand" in town.answer()


class TestPowerAndCables:
    def test_power_that_is_cut_while_it_applies(self, town: Town, db: Node) -> None:
        files = {
            **config.association("cut", ["db-1"]),
            **config.document("cut", config.script("echo begin >>/root/cut", "sync", "sleep 600")),
            **config.association("after", ["db-1"]),
            **config.document("after", config.file("/etc/after", "after")),
        }
        town.push("A job that the power cut ends", files)
        town.wait("it to begin", lambda: town.run("db-1", "cat", "/root/cut") == "begin\n")
        db.power_off()
        town.push("Meanwhile", config.document("sound", config.file("/etc/sound", "meanwhile")))
        town.wait_for_file("web-1", "/etc/sound", "meanwhile")
        db.start().wait_booted()
        told = town.wait_for_report("db-1", "cut", status="Failed")
        assert "Interrupted" in told["reason"]
        town.wait_for_file("db-1", "/etc/after", "after")
        town.wait("cron to run", lambda: town.is_active("db-1", "cron"))
        assert town.run("db-1", "cat", "/root/cut") == "begin\n"
        town.push("It has served", {"associations/cut.yaml": None, "documents/cut.yaml": None})
        town.apply(allow_removals=1)
        town.compliant()

    def test_a_cable_that_is_pulled_while_it_applies(self, town: Town) -> None:
        gate = town.fleet.nodes["gate-1"]
        gate.link_down()
        town.repository.replace("documents/base-hardening.yaml", "Authorised use only.", "Authorised use only!")
        town.push("Louder")
        town.wait_for_file("web-1", "/etc/issue.net", "Authorised use only! Sessions are recorded.\n")
        gate.write("/etc/motd", "by hand\n")
        town.wait("it to heal alone", lambda: "bastion" in town.run("gate-1", "cat", "/etc/motd"))
        assert "Authorised use only." in town.run("gate-1", "cat", "/etc/issue.net")
        gate.link_up()
        town.wait(
            "the change to arrive", lambda: "Authorised use only!" in town.run("gate-1", "cat", "/etc/issue.net"), 90
        )
        town.compliant()


def test_a_document_run_once_restarts_its_own_agent_reboots_and_ends(town: Town, tmp_path: Path) -> None:
    """A script in a scope of its own: it outlives its agent, comes back after the reboot that it asks for, and ends."""
    lines = (
        "[ -e /root/rebooted ] && { echo after; exit 0; }",
        f"systemctl restart {UNIT}; while ! systemctl is-active --quiet {UNIT}; do sleep 0.1; done",
        "touch /root/rebooted; echo before; exit 194",
    )
    document = tmp_path / "reboot.yaml"
    document.write_text(
        next(iter(config.document("x", config.script(*lines), config.script("cat /proc/self/cgroup")).values()))
    )
    said = town.opsctl("document", "run", str(document), "--targets", "db-1")
    assert [line for line in said.splitlines() if line.startswith("db-1: ")][:2] == ["db-1: before", "db-1: after"]
    assert "opsctl-" in said
    assert ".scope" in said
    assert "Success: 1 of 1 done" in said
