"""Containers where they are real: podman on a Debian node.

A node is itself a container, without devices of its own and with a network that is its own already; podman's settings
here say so, and are no part of what is tried.
"""

from __future__ import annotations

import pytest

from agent.contract.wire import BodyStep
from tests.agent.converging import step
from tests.agent.steps.real import converge, furnish, twice
from tests.fleet.fixtures import NodeFactory
from tests.fleet.node import Node

pytestmark = pytest.mark.realnode

UID, CLAIM = "Association/shop", "container:shop"
STORAGE = '[storage]\ndriver = "vfs"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n'
CONTAINERS = """[containers]
cgroups = "disabled"
userns = "auto"
netns = "none"
default_sysctls = []
default_ulimits = ["memlock=65536:65536", "nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
FURNISHED = """
apt-get update -qq && apt-get install -qq -y podman busybox-static >/dev/null
mkdir -p /root/image/bin && cp /bin/busybox /root/image/bin/sh
tar -C /root/image -c . | podman import - localhost/tiny:1
"""


@pytest.fixture(scope="module")
def node(module_node_factory: NodeFactory) -> Node:
    (made,) = module_node_factory("containers", packages=["podman", "busybox-static"])
    made.write("/etc/containers/storage.conf", STORAGE)
    made.write("/etc/containers/containers.conf", CONTAINERS)
    for path in ("/etc/subuid", "/etc/subgid"):
        made.write(path, "containers:100000:200000\n")
    made.run(["sh", "-ec", FURNISHED], timeout=200)
    return furnish(made)


def shop(script: str, **more: object) -> BodyStep:
    command = ["/bin/sh", "-c", f"{script}; trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"]
    return step("ops:container", {"name": "shop", "image": "localhost/tiny:1", "command": command, **more})


def said(node: Node, text: str) -> None:
    node.run(["sh", "-c", f"until podman logs shop 2>&1 | grep -qx '{text}'; do sleep 0.1; done"])


def test_a_container_its_drift_what_replaces_it_and_back(node: Node) -> None:
    wanted = shop('echo "token $TOKEN"', environment={"TOKEN": "a b $c"})
    assert twice(node, wanted, uid=UID) == {CLAIM: "Changed"}
    said(node, "token a b $c")
    assert node.run(["sh", "-c", "ls /run/opsctl-container-*"], check=False).stdout == ""

    node.run(["podman", "kill", "shop"])
    healed = converge(node, wanted, uid=UID, cause="Interval")
    assert healed.changes[CLAIM] == ("exited", "localhost/tiny:1, running"), healed.reasons

    wrong = step("ops:container", {"name": "shop", "image": "localhost/tiny:1", "command": ["/no/such/program"]})
    refused = converge(node, wrong, uid=UID, generation=2)
    assert refused.reasons[CLAIM].endswith("; the former container runs again")
    assert not converge(node, wanted, uid=UID, generation=1, cause="Interval").changed

    other = shop("echo other", restart="no")
    assert twice(node, other, uid=UID, generation=3) == {CLAIM: "Changed"}
    said(node, "other")
    assert node.run(["podman", "ps", "--all", "--format", "{{.Names}}"]).stdout == "shop\n"

    gone = converge(node, uid=UID, prune=True, generation=4)
    assert gone.outcomes == {CLAIM: "Changed"}, gone.reasons
    assert node.run(["podman", "ps", "--all", "--quiet"]).stdout == ""
