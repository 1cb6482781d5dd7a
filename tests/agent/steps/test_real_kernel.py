"""What the kernel holds: mounts and the firewall, where they are real, on a Debian node with systemd."""

from __future__ import annotations

import pytest

from agent.contract.wire import BodyStep
from tests.agent.converging import step
from tests.agent.steps.real import converge, furnish, twice
from tests.fleet.fixtures import NodeFactory
from tests.fleet.node import Node

pytestmark = pytest.mark.realnode


@pytest.fixture(scope="module")
def node(module_node_factory: NodeFactory) -> Node:
    (made,) = module_node_factory("kernel", packages=["nftables"])
    return furnish(made)


def shown(node: Node, path: str) -> str:
    return node.run(["findmnt", "--noheadings", "--output", "FSTYPE,OPTIONS", path], check=False).stdout


def scratch(*options: str) -> BodyStep:
    return step("ops:mount", {"path": "/srv/scratch", "device": "tmpfs", "type": "tmpfs", "options": list(options)})


def test_a_tmpfs_its_options_and_back(node: Node) -> None:
    uid = "Association/scratch"
    assert set(twice(node, scratch("size=1m", "noexec", "mode=0750"), uid=uid).values()) == {"Changed"}
    assert "size=1024k" in shown(node, "/srv/scratch")
    node.write("/srv/scratch/kept", "kept")

    node.run(["mount", "-o", "remount,exec,size=2m", "/srv/scratch"])
    healed = converge(node, scratch("size=1m", "noexec", "mode=0750"), uid=uid, cause="Interval")
    assert healed.outcomes["mount:/srv/scratch"] == "Changed", healed.reasons
    assert "noexec" in shown(node, "/srv/scratch")

    other = twice(node, scratch("size=3m", "nosuid", "mode=0750"), uid=uid, generation=2)
    assert set(other.values()) == {"Changed"}
    assert "size=3072k" in shown(node, "/srv/scratch")
    assert "noexec" not in shown(node, "/srv/scratch")
    assert node.read("/srv/scratch/kept") == b"kept"

    gone = converge(node, uid=uid, prune=True, generation=3)
    assert set(gone.outcomes.values()) == {"Changed"}, gone.reasons
    assert shown(node, "/srv/scratch") == ""


def test_a_bind_mount_that_is_read_only(node: Node) -> None:
    uid = "Association/bind"
    node.write("/srv/a/file", "a")
    node.write("/srv/b/file", "b")

    def bound(source: str) -> BodyStep:
        return step("ops:mount", {"path": "/mnt", "device": source, "type": "none", "options": ["bind", "ro"]})

    assert set(twice(node, bound("/srv/a"), uid=uid).values()) == {"Changed"}
    assert node.run(["touch", "/mnt/file"], check=False).returncode == 1
    assert node.run(["touch", "/srv/a/file"]).returncode == 0
    assert set(twice(node, bound("/srv/b"), uid=uid, generation=2).values()) == {"Changed"}
    assert node.read("/mnt/file") == b"b"

    node.run(["systemd-run", "--unit=busy", "--working-directory=/mnt", "sleep", "infinity"])
    absent = step("ops:mount", {"path": "/mnt", "state": "absent"})
    busy = converge(node, absent, uid=uid, generation=3)
    assert "busy" in busy.reasons["mount:/mnt"]
    assert b"/srv/b /mnt none bind,ro" in node.read("/etc/fstab")
    node.run(["systemctl", "stop", "busy"])
    assert set(twice(node, absent, uid=uid, generation=3).values()) == {"Changed"}
    assert b"/mnt" not in node.read("/etc/fstab")


def test_what_cannot_be_mounted_does_not_wait_for_the_next_boot(node: Node) -> None:
    before = node.run(["sh", "-c", "cat /etc/fstab || true"]).stdout
    wrong = step("ops:mount", {"path": "/srv/disk", "device": "UUID=no-such", "type": "ext4"})
    told = converge(node, wrong, uid="Association/disk")
    assert "UUID=no-such" in told.reasons["mount:/srv/disk"]
    assert node.run(["sh", "-c", "cat /etc/fstab || true"]).stdout == before


RULES = """
set guests { type ipv4_addr; flags dynamic,timeout; timeout 1h; }
set admins { type ipv4_addr; elements = { 10.0.0.1, 10.0.0.2 }; }
chain input {
  type filter hook input priority 0; policy accept;
  ct state established,related accept
  ip saddr @admins tcp dport 22 counter accept comment "ssh {"
  tcp dport PORT drop
}
"""


def firewall(content: str) -> list[BodyStep]:
    return [
        step("ops:package", {"name": ["nftables"]}, name="package"),
        step("ops:firewall", {"name": "web", "content": content}, name="rules"),
    ]


def test_a_firewall_its_drift_a_reboot_and_back(node: Node) -> None:
    uid, table = "Association/firewall", "table:inet/web"
    converge(node, *firewall("")[:1], uid=uid)
    rules = RULES.replace("PORT", "81")
    assert set(twice(node, *firewall(rules), uid=uid).values()) == {"Changed", "Unchanged"}
    assert "tcp dport 81 drop" in node.run(["nft", "list", "table", "inet", "web"]).stdout

    node.run(["nft", "add", "element", "inet", "web", "guests", "{ 10.9.9.9 }"])
    assert not converge(node, *firewall(rules), uid=uid, cause="Interval").changed, "what packets fill is no drift"
    node.run(["nft", "add", "table", "ip", "other"])
    node.run(["nft", "add", "element", "inet", "web", "admins", "{ 10.9.9.9 }"])
    healed = converge(node, *firewall(rules), uid=uid, cause="Interval")
    assert healed.changes[table] == ("changed since it was loaded", "loaded"), healed.reasons
    listed = node.run(["nft", "list", "ruleset"]).stdout
    assert "10.9.9.9" not in listed
    assert "table ip other" in listed

    wrong = converge(node, *firewall(rules + "chain x { tcp dprot 80; }"), uid=uid, generation=2)
    assert "nft does not accept the new content" in wrong.reasons["path:/etc/nftables.d/opsctl-inet-web.nft"]
    assert set(twice(node, *firewall(RULES.replace("PORT", "82")), uid=uid, generation=3).values()) >= {"Changed"}

    node.reboot()
    listed = node.run(["nft", "list", "ruleset"]).stdout
    assert "tcp dport 82 drop" in listed
    again = converge(node, *firewall(RULES.replace("PORT", "82")), uid=uid, generation=3, cause="Boot")
    assert not again.changed, "what was loaded at boot is as it was"

    gone = converge(node, uid=uid, prune=True, generation=4)
    assert gone.outcomes[table] == "Changed", gone.reasons
    assert node.run(["nft", "list", "ruleset"], check=False).stdout == ""
    assert node.run(["sh", "-c", "find /etc/systemd/system -name '*opsctl-firewall*'"]).stdout == ""


def test_modules_as_far_as_a_node_has_any(node: Node) -> None:
    """The kernel of a node is the host's, from which no module is taken and to which none is given here."""
    uid = "Association/modules"
    kept_out = step("ops:kernelModule", {"name": "no-such-module", "state": "blacklisted"}, name="out")
    built_in = node.run(["sh", "-c", "cd /sys/module && for m in *; do test -e $m/initstate || echo $m; done"]).stdout
    there = step("ops:kernelModule", {"name": built_in.split()[0]}, name="in")
    assert "Failed" not in twice(node, kept_out, there, uid=uid).values()
    assert b"install no_such_module /bin/false\n" in node.read("/etc/modprobe.d/opsctl-no_such_module.conf")
    wanted = converge(node, step("ops:kernelModule", {"name": "no-such-module"}), uid=uid, generation=2)
    assert wanted.outcomes["module:no_such_module"] == "Failed"
    assert "no_such_module" not in node.run(["ls", "/etc/modules-load.d"]).stdout
