"""Packages where they are real, and what goes wrong with them: apt on Debian, dnf and zypper over rpm."""

from __future__ import annotations

import datetime
import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.contract.wire import BodyStep
from tests.agent.contract.test_openpgp import TEXT as STRANGER
from tests.agent.converging import step
from tests.agent.steps.real import Converged, converge, furnish
from tests.fleet.fixtures import NodeFactory
from tests.fleet.node import Node

pytestmark = pytest.mark.realnode

SPEC = """Name: {name}
Version: {version}
Release: {release}
Summary: {name}
License: MIT
BuildArch: noarch
{more}
%description
{name}
%files
"""
REPOSITORY = "[local]\nname=local\nbaseurl=file:///srv/rpms\nenabled=1\nautorefresh=0\ngpgcheck=0\n"
HALF = "Package: half\nStatus: install ok unpacked\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n\n"
AS_RPM_HAS_IT = "mv /var/lib/dpkg /var/lib/dpkg.aside"


@pytest.fixture(scope="module")
def debian(module_node_factory: NodeFactory) -> Node:
    (made,) = module_node_factory("debian")
    furnish(made)
    deb(made, "good", "")
    deb(made, "bad", "exit 3")
    return made


@pytest.fixture(scope="module")
def rpms(module_node_factory: NodeFactory) -> Node:
    """A Debian node whose package system is rpm's: with dnf and zypper, and without dpkg's status."""
    (made,) = module_node_factory("rpms", packages=["dnf", "zypper", "rpm", "createrepo-c"])
    furnish(made)
    install = "apt-get -q update && apt-get -yq --no-install-recommends install dnf zypper rpm createrepo-c"
    made.run(["sh", "-c", install], timeout=200)
    made.write("/root/.rpmmacros", "%_dbpath /var/lib/rpm\n")
    made.run(["sh", "-c", "mkdir -p /etc/yum.repos.d /etc/zypp/repos.d /srv/rpms; echo 12 > /etc/dnf/vars/releasever"])
    made.write("/etc/yum.repos.d/local.repo", REPOSITORY)
    made.write("/etc/zypp/repos.d/local.repo", REPOSITORY)
    rpm(made, "alpha", "1.0")
    rpm(made, "alpha", "1.1")
    rpm(made, "part", "2.0")
    rpm(made, "whole", "1.0", "Requires: part")
    rpm(made, "bad", "1.0", '%pre -p <lua>\nerror("boom")')
    made.run(["sh", "-c", f"createrepo_c -q /srv/rpms; zypper -nq refresh; {AS_RPM_HAS_IT}"])
    return made


def deb(node: Node, name: str, postinst: str, signer: Signer | None = None) -> None:
    """A package, in a source of its own; one that is signed is not told to apt."""
    build = f"/srv/build/{name}"
    control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    node.write(f"{build}/DEBIAN/control", control)
    node.write(f"{build}/DEBIAN/postinst", f"#!/bin/sh\n{postinst}\n", mode=0o755)
    index = (
        f"cd /srv/debs/{name} && dpkg-deb -Zgzip --build {build} {name}.deb && {{ dpkg-deb -f {name}.deb && "
        f'echo "Filename: ./{name}.deb\nSize: $(stat -c %s {name}.deb)\n'
        f'SHA256: $(sha256sum {name}.deb | cut -d " " -f 1)"; }} > Packages'
    )
    node.run(["sh", "-c", f"mkdir -p /srv/debs/{name} && {index}"])
    if signer is None:
        node.write(f"/etc/apt/sources.list.d/{name}.list", f"deb [trusted=yes] file:/srv/debs/{name} ./\n")
        return
    packages = node.read(f"/srv/debs/{name}/Packages")
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S UTC")
    release = f"Origin: x\nLabel: x\nSuite: x\nDate: {date}\nSHA256:\n"
    release += f" {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n"
    node.write(f"/srv/debs/{name}/InRelease", signer.clear(release.encode()))


class Signer:
    """A key of gpg on this host, which signs for nodes."""

    def __init__(self, home: Path) -> None:
        self._gpg = ["gpg", "--homedir", str(home), "--batch", "--yes"]
        home.mkdir(mode=0o700)
        user = ["--passphrase", "", "--quick-generate-key", "tests <tests@example.org>", "ed25519", "sign", "never"]
        self._run(b"", *user)
        self.public = self._run(b"", "--armor", "--export").decode()
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)

    def clear(self, data: bytes) -> bytes:
        return self._run(data, "--clearsign")

    def detached(self, data: bytes) -> bytes:
        return self._run(data, "--armor", "--detach-sign")

    def _run(self, data: bytes, *argv: str) -> bytes:
        return subprocess.run([*self._gpg, *argv], input=data, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    if shutil.which("gpg") is None:
        pytest.skip("this machine has no gpg to sign with")
    home = tmp_path_factory.mktemp("gpg") / "home"
    yield Signer(home)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


def rpm(node: Node, name: str, version: str, more: str = "") -> None:
    node.write(f"/srv/build/{name}.spec", SPEC.format(name=name, version=version, release=1, more=more))
    build = f"rpmbuild --quiet -bb --define '_topdir /srv/build' --define '_rpmdir /srv/rpms' /srv/build/{name}.spec"
    node.run(["sh", "-c", build])


def package(node: Node, *names: str, **more: Any) -> Converged:
    inputs: dict[str, Any] = {"name": list(names)}
    inputs |= {word: more.pop(word) for word in ("state", "version") if word in more}
    return converge(node, step("ops:package", inputs), **more)


def only(result: Converged) -> tuple[str, str]:
    """Outcome and reason of the one claim."""
    ((name, outcome),) = result.outcomes.items()
    return outcome, result.reasons[name] or ""


def test_a_package_that_no_source_has(debian: Node) -> None:
    outcome, reason = only(package(debian, "nosuch"))
    assert (outcome, reason) == (
        "Failed",
        "no package nosuch is offered by this node's package sources (lists refreshed just now)",
    )


@pytest.mark.fault
def test_a_package_whose_script_fails(debian: Node) -> None:
    outcome, reason = only(package(debian, "bad"))
    assert outcome == "Failed"
    assert "bad: installed bad package post-installation script subprocess returned error exit status 3" in reason
    again = package(debian, "bad", cause="Interval")
    assert again.changes["package:bad"] == ("1 (half-configured)", "installed")
    assert only(again)[0] == "Failed"

    debian.run(["sh", "-c", "printf '#!/bin/sh\n' > /var/lib/dpkg/info/bad.postinst"])
    assert only(package(debian, "bad", cause="Interval")) == ("Changed", "")


@pytest.mark.fault
def test_an_interrupted_dpkg_is_brought_to_its_end_first(debian: Node) -> None:
    debian.run(["sh", "-c", "printf 'Package: left\nStatus: x\n\n' > /var/lib/dpkg/updates/0001"])
    assert "dpkg was interrupted" in debian.run(["apt-get", "-y", "install", "good"], check=False).stderr
    debian.run(["sh", "-c", "rm /var/lib/dpkg/updates/0001"])

    debian.run(["touch", "/var/lib/dpkg/info/half.list"])
    debian.write("/var/lib/dpkg/updates/0001", HALF)
    assert only(package(debian, "good")) == ("Changed", "")
    assert debian.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", "half"]).stdout == "installed"


@pytest.mark.fault
def test_a_dpkg_that_is_held_too_long_is_named(debian: Node) -> None:
    package(debian, "good", state="absent")
    lock = (
        "import fcntl, time; file = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(file, fcntl.LOCK_EX);"
        "open('/run/locked', 'w'); time.sleep(600)"
    )
    debian.run(["systemd-run", "--collect", "--unit=holder", "python3", "-c", lock])
    debian.run(["sh", "-c", "until test -e /run/locked; do sleep 0.05; done"])
    try:
        outcome, reason = only(package(debian, "good", lock_wait=1))
    finally:
        debian.run(["systemctl", "stop", "holder"])
    assert outcome == "Failed"
    assert re.match(r"process \d+ \(python3\) changes packages, and did not end in 1 seconds: apt-get: ", reason)
    assert only(package(debian, "good", cause="Interval")) == ("Changed", "")


@pytest.fixture(params=["dnf", "zypper"])
def system(rpms: Node, request: pytest.FixtureRequest) -> Node:
    """The node with one of the two only, and none of the packages."""
    other = {"dnf": "zypper", "zypper": "dnf"}[request.param]
    hide = "cd /usr/bin; for p in dnf zypper; do test -e $p.aside && mv $p.aside $p; done; mv $0 $0.aside"
    rpms.run(["sh", "-c", hide, other])
    rpms.run(["sh", "-c", "for p in alpha whole part; do rpm -e $p 2>/dev/null; done; rm -rf /var/lib/opsctl"])
    return rpms


def test_packages_of_rpm(system: Node) -> None:
    assert package(system, "alpha", "whole", apply=False).outcomes == {
        "package:alpha": "Drifted",
        "package:whole": "Drifted",
    }
    first = package(system, "alpha", "whole")
    assert first.status == "Success", first.reasons
    assert system.run(["rpm", "-q", "alpha", "whole", "part"]).stdout.split() == [
        "alpha-1.1-1.noarch",
        "whole-1.0-1.noarch",
        "part-2.0-1.noarch",
    ]
    assert not package(system, "alpha", "whole", cause="Interval").changed

    older = package(system, "alpha", version="1.0-1", generation=2)
    assert older.changes["package:alpha"] == ("1.1-1", "1.0-1"), older.reasons
    assert not package(system, "alpha", version="1.0", generation=3).changed, "of any release"
    assert not package(system, "alpha", generation=4).changed
    newest = package(system, "alpha", state="latest", generation=5)
    assert newest.changes["package:alpha"] == ("1.0-1", "1.1-1"), newest.reasons
    assert only(newest) == ("Changed", "")

    gone = converge(system, prune=True, generation=6)
    assert gone.outcomes == {"package:alpha": "Changed", "package:whole": "Changed"}, gone.reasons
    assert system.run(["rpm", "-q", "part"]).returncode == 0


def test_what_rpm_cannot_install(system: Node) -> None:
    known = package(system, "alpha", "nosuch")
    assert known.outcomes == {"package:alpha": "Changed", "package:nosuch": "Failed"}, known.reasons
    assert known.reasons["package:nosuch"].startswith("no package nosuch is offered by this node's package sources")
    outcome, reason = only(package(system, "bad", uid="Association/bad"))
    assert outcome == "Failed"
    assert "bad" in reason
    outcome, reason = only(package(system, "alpha", version="9.9", generation=2))
    assert outcome == "Failed"
    assert "9.9" in reason


def test_what_others_need_is_not_pruned(system: Node) -> None:
    package(system, "part")
    package(system, "whole", uid="Association/other")
    kept = converge(system, prune=True, generation=2)
    assert kept.reasons["package:part"] == "left in place: to remove it would remove whole-1.0-1.noarch as well"


def source(name: str, kind: str, uri: str, **more: Any) -> BodyStep:
    return step("ops:repository", {"name": name, "type": kind, "uris": [uri], **more}, name="source")


def test_a_source_of_apt_its_key_and_a_package_of_it(debian: Node, signer: Signer) -> None:
    uid, path = "Association/source", "path:/etc/apt/sources.list.d/vendor.sources"
    deb(debian, "signed", "", signer)
    package = step("ops:package", {"name": ["signed"]}, name="package")

    def vendor(key: str) -> BodyStep:
        return source("vendor", "apt", "file:/srv/debs/signed", suites=["./"], key=key)

    refused = converge(debian, vendor(STRANGER), package, uid=uid)
    assert refused.outcomes[path] == "Failed"
    assert "InRelease" in refused.reasons[path]
    assert re.search("NO_PUBKEY|[Mm]issing key", refused.reasons[path])
    assert debian.run(["ls", "-A", "/etc/apt/keyrings"]).stdout == ""
    assert refused.outcomes["package:signed"] == "Skipped"

    made = converge(debian, vendor(signer.public), package, uid=uid, generation=2)
    assert made.status == "Success", made.reasons
    assert set(made.outcomes.values()) == {"Changed"}
    assert not converge(debian, vendor(signer.public), package, uid=uid, generation=2, cause="Interval").changed

    gone = converge(debian, uid=uid, prune=True, generation=3)
    assert set(gone.outcomes.values()) == {"Changed"}, gone.reasons
    assert "vendor" not in debian.run(["ls", "/etc/apt/sources.list.d", "/etc/apt/keyrings"]).stdout


def test_a_source_of_rpm_and_its_key(system: Node, signer: Signer) -> None:
    kind = "dnf" if system.run(["test", "-e", "/usr/bin/dnf"], check=False).returncode == 0 else "zypper"
    path = {"dnf": "/etc/yum.repos.d/vendor.repo", "zypper": "/etc/zypp/repos.d/vendor.repo"}[kind]
    package(system, "part", uid="Association/other")  # zypper cannot read a database that has keys alone
    system.run(["sh", "-c", "rm -rf /srv/vendor; cp -r /srv/rpms /srv/vendor"])
    index = "/srv/vendor/repodata/repomd.xml"
    system.write(f"{index}.asc", signer.detached(system.read(index)))

    def vendor(key: str) -> BodyStep:
        return source("vendor", kind, "file:///srv/vendor", key=key, options={"repo_gpgcheck": "1"})

    refused = converge(system, vendor(STRANGER))
    assert refused.outcomes[f"path:{path}"] == "Failed", refused.outcomes
    assert system.run(["test", "-e", path], check=False).returncode != 0
    made = converge(system, vendor(signer.public), generation=2)
    assert made.status == "Success", made.reasons
    assert not converge(system, vendor(signer.public), generation=2, cause="Interval").changed
    assert set(converge(system, prune=True, generation=3).outcomes.values()) == {"Changed"}
