"""What a node can do and what can be done to it."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fleet import FleetError, Node, pythons
from tests.fleet.commands import run, wait_for
from tests.fleet.fixtures import NodeFactory
from tests.fleet.rootfs import ensure

pytestmark = pytest.mark.realnode


@pytest.fixture(scope="module")
def shared(module_node_factory: NodeFactory) -> Node:
    """A node that tests look at without changing what others rely on."""
    return module_node_factory("looked-at")[0]


def _hears(node: Node) -> bool:
    """Whether the node's kernel answers the host."""
    program = "import socket,sys; s=socket.socket(); s.settimeout(0.3); sys.exit(s.connect_ex((sys.argv[1], 9)))"
    done = subprocess.run(["python3", "-c", program, node.address], check=False, capture_output=True)
    return done.returncode == 111  # ECONNREFUSED: it is there, and nobody listens


@contextmanager
def _listening(address: str) -> Iterator[str]:
    """A server of the host on the fleet's bridge; its URL."""
    server = http.server.HTTPServer((address, 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{address}:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_systemd_is_its_process_1_and_all_is_well(shared: Node) -> None:
    assert shared.run(["readlink", "/proc/1/exe"]).stdout.strip().endswith("/systemd")
    assert shared.run(["systemctl", "is-system-running"]).stdout == "running\n"
    assert shared.run(["hostname"]).stdout == "looked-at\n"
    assert "Reached target" in shared.journal("--boot")


def test_failure_names_node_command_and_its_words(shared: Node) -> None:
    with pytest.raises(FleetError, match=r"looked-at: `ls /nowhere` ended with 2: .*No such file"):
        shared.run(["ls", "/nowhere"])
    assert shared.run(["sh", "-c", "exit 7"], check=False).returncode == 7


def test_environment_of_the_caller_stays_outside(shared: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    seen = shared.run(["env"], env={"GIVEN": "y"}).stdout
    assert "SECRET_OF_THE_HOST" not in seen
    assert "GIVEN=y\n" in seen


def test_timeout_ends_the_command_and_its_children(shared: Node) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        shared.run(["sh", "-c", "sleep 4711 & sleep 4711"], timeout=0.3)
    assert shared.run(["pgrep", "-f", "sleep 4711"], check=False).returncode == 1


def test_files_go_in_and_come_out(shared: Node, tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "data").write_bytes(content)
    (tree / "tool").write_text("#!/bin/sh\necho works\n")
    (tree / "tool").chmod(0o755)
    shared.put(tree, "/opt/made/here")
    assert shared.read("/opt/made/here/sub/data") == content
    assert shared.run(["/opt/made/here/tool"]).stdout == "works\n"
    shared.write("/etc/deep/secret", "s3cret", mode=0o600)
    assert shared.run(["stat", "-c", "%a %U", "/etc/deep/secret"]).stdout == "600 root\n"
    with pytest.raises(FleetError, match="No such file"):
        shared.read("/etc/absent")


def test_reaches_the_host_and_nothing_else(shared: Node) -> None:
    fetch = "import urllib.request,sys; urllib.request.urlopen(sys.argv[1], timeout=2)"
    with _listening(shared.host_address) as url:
        answer = shared.run(["python3", "-c", fetch, url], check=False).stderr
    assert "501" in answer  # the bare server's answer to any request
    beyond = shared.run(["python3", "-c", fetch, "http://192.0.2.1/"], check=False, timeout=20)
    assert beyond.returncode == 1


def test_a_command_has_no_more_rights_than_the_node_itself(shared: Node) -> None:
    """Looked up, not tried: a try that succeeded would set the clock of every process on this machine."""
    sets = ("CapEff", "CapPrm", "CapBnd")
    own = shared.run(["grep", "-E", "|".join(sets), "/proc/self/status"]).stdout.splitlines()
    of_node = int(shared.run(["grep", "CapBnd", "/proc/1/status"]).stdout.split()[1], 16)
    cap_sys_module, cap_sys_rawio, cap_sys_time, cap_mknod = 1 << 16, 1 << 17, 1 << 25, 1 << 27
    assert not of_node & (cap_sys_module | cap_sys_rawio | cap_sys_time | cap_mknod)
    assert {line.split(":")[0]: int(line.split()[1], 16) & ~of_node for line in own} == dict.fromkeys(sets, 0)


def test_reboot_keeps_the_disk_and_changes_the_boot(node_factory: NodeFactory) -> None:
    (node,) = node_factory("rebooted")
    node.write("/etc/kept", "yes")
    before = node.boot_id()
    node.reboot()
    assert node.boot_id() != before
    assert node.read("/etc/kept") == b"yes"
    assert _hears(node)


def test_reboot_from_within_is_not_held_up_by_a_command_of_the_host(node_factory: NodeFactory) -> None:
    """Shutting down stops, ends and awaits every process it sees, of which some have their parent on the host."""
    (node,) = node_factory("self-made")
    before = node.boot_id()
    with node.expect_reboot(timeout=30):
        node.run(["sh", "-c", "systemctl --no-block reboot && exec sleep 4711"], timeout=30, check=False)
    assert node.boot_id() != before


def test_power_cut_and_start_on_the_same_disk(node_factory: NodeFactory) -> None:
    (node,) = node_factory("cut")
    node.write("/etc/kept", "yes")
    identity = node.read("/etc/machine-id")
    node.run(["systemd-run", "--unit=witness", "sh", "-c", "trap 'touch /etc/goodbye' TERM; while :; do sleep 1; done"])
    node.power_off()
    assert not node.is_on()
    with pytest.raises(FleetError, match="cut is off"):
        node.run(["true"])
    node.start().wait_booted()
    assert node.read("/etc/kept") == b"yes"
    assert node.read("/etc/machine-id") == identity
    assert node.run(["test", "-e", "/etc/goodbye"], check=False).returncode == 1


def test_node_that_shuts_itself_down_is_off(node_factory: NodeFactory) -> None:
    (node,) = node_factory("quit")
    node.run(["systemctl", "--no-block", "poweroff"])
    node.wait_off()
    node.start().wait_booted()


def test_partition_lasts_until_the_cable_is_back(node_factory: NodeFactory) -> None:
    near, far = node_factory("near", "far")
    far.link_down()
    assert _hears(near)
    assert not _hears(far)
    assert far.run(["echo", "reached"]).stdout == "reached\n"  # the test still reaches in
    far.power_off()
    far.start().wait_booted()
    assert not _hears(far)
    far.link_up()
    wait_for(lambda: _hears(far), "the partition to heal", 10)


def test_frozen_node_answers_nobody_until_thawed(node_factory: NodeFactory) -> None:
    (node,) = node_factory("frozen")
    node.freeze()
    with pytest.raises(subprocess.TimeoutExpired):
        node.run(["systemctl", "is-system-running"], timeout=0.5)
    node.thaw()
    assert node.run(["systemctl", "is-system-running"]).stdout == "running\n"


def test_apt_installs_from_the_local_repository(node_factory: NodeFactory) -> None:
    (node,) = node_factory("web", packages=["nginx-light"])
    node.run(["apt-get", "update"])
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    node.run(["apt-get", "install", "--yes", "nginx-light"], env=env, timeout=120)
    assert node.run(["systemctl", "is-active", "nginx"]).stdout == "active\n"
    page = run("python3", "-c", f"import urllib.request as u; print(u.urlopen('http://{node.address}/').read())")
    assert "nginx" in page
    absent = node.run(["apt-get", "install", "--yes", "no-such-package"], check=False)
    assert "Unable to locate package no-such-package" in absent.stderr


def test_time_daemon_runs_without_setting_the_clock(node_factory: NodeFactory) -> None:
    (node,) = node_factory("timely", packages=["chrony"])
    node.run(["apt-get", "update"])
    node.run(["apt-get", "install", "--yes", "chrony"], env={"DEBIAN_FRONTEND": "noninteractive"}, timeout=120)
    assert node.run(["systemctl", "is-active", "chrony"]).stdout == "active\n"


@pytest.mark.parametrize(("suite", "python"), [("bullseye", "3.9"), ("trixie", "3.13")])
def test_other_releases(node_factory: NodeFactory, suite: str, python: str) -> None:
    (node,) = node_factory(suite, suite=suite, packages=["logrotate"])
    assert node.run(["python3", "--version"]).stdout.startswith(f"Python {python}.")
    node.run(["apt-get", "update"])
    node.run(["apt-get", "install", "--yes", "logrotate"], timeout=120)
    assert node.run(["systemctl", "is-system-running"]).stdout == "running\n"
    node.reboot()


def test_a_node_runs_a_python_of_this_machine(node_factory: NodeFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path(sys.base_prefix)
    refusal = pythons.refusal(home, ensure())
    if refusal or home == Path("/usr"):
        pytest.skip(refusal or "this machine has no Python but its release's own")
    monkeypatch.setenv("OPSCTL_NODE_PYTHON", str(home))
    (node,) = node_factory("lent")
    asked = "import sys, ssl, ctypes; print(sys.base_prefix)"
    assert node.run(["python3", "-c", asked]).stdout == f"{home}\n"
    assert node.run(["/usr/bin/python3", "-c", asked]).stdout == "/usr\n"


def test_a_python_that_does_not_start_in_a_release_is_refused_with_its_words(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").write_text("#!/bin/sh\necho it was built for another day >&2; exit 1\n")
    (tmp_path / "bin/python3").chmod(0o755)
    assert pythons.refusal(tmp_path, ensure()) == "it was built for another day"
