"""Whether this host can make real nodes, and what it would need for that."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys

from tests.fleet.archive import host_archive
from tests.fleet.commands import FleetError, run

# program -> the package that brings it
_PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "apt-ftparchive": "apt-utils",
    "ip": "iproute2",
    "mount": "mount",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setsid": "util-linux",
    "setpriv": "util-linux",
}

# Each line is tried in namespaces of its own, which end with the probe: nothing is left behind.
_PROBES = {
    "no right to make namespaces and mounts": "mount -t tmpfs tmpfs /mnt",
    "no overlayfs": "mkdir /mnt/l /mnt/u /mnt/w /mnt/m"
    " && mount -t overlay overlay -o lowerdir=/mnt/l,upperdir=/mnt/u,workdir=/mnt/w /mnt/m",
    "no cgroup v2": "mkdir /mnt/c && mount -t cgroup2 cgroup2 /mnt/c",
    "no right to make cgroups": 'c=$(mktemp -d /mnt/c/probe.XXXXXX) && trap "rmdir $c" EXIT',
    "no cgroup.kill (Linux 5.14 has it)": "test -e $c/cgroup.kill",
}
_NETWORK_PROBES = {
    "no bridges": "ip link add probe type bridge",
    "no veth pairs": "ip link add probe0 type veth peer name probe1",
}


def possible(*, once_packages_are_installed: bool = False) -> str:
    """Empty where real nodes can be made here, else the reason in one line.

    With `once_packages_are_installed`, missing programs count as present: is it worth asking to install them?
    """
    if sys.platform != "linux":
        return "real nodes need Linux"
    if os.geteuid() != 0:
        return "real nodes need root"
    if not shutil.which("apt-get"):
        return "real nodes need a Debian or Ubuntu host (no apt-get here)"
    try:
        host_archive()
    except (FleetError, OSError, StopIteration) as problem:
        return f"apt: {problem}"
    missing = missing_host_packages()
    if missing and not once_packages_are_installed:
        return f"host packages are missing: {' '.join(missing)}"
    return _kernel_refusal()


def missing_host_packages() -> list[str]:
    """The packages to install on this host before nodes can be made."""
    return sorted({package for program, package in _PROGRAMS.items() if not shutil.which(program)})


def install_host_packages() -> list[str]:
    """Install what is missing and return the names; the caller has asked the person first."""
    packages = missing_host_packages()
    if packages:
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", "-qq", env=env)
        run("apt-get", "install", "-qq", "--yes", "--no-install-recommends", *packages, env=env)
        _kernel_refusal.cache_clear()
    return packages


@functools.cache
def _kernel_refusal() -> str:
    probes = dict(_PROBES)
    if shutil.which("ip"):
        probes |= _NETWORK_PROBES
    script = "".join(
        f"{{ {probe}; }} 2>/dev/null || {{ echo '{reason}'; exit; }}\n" for reason, probe in probes.items()
    )
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", script + "echo possible"],
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout.strip() or next(iter(_PROBES))
    return "" if said == "possible" else f"real nodes are impossible here: {said}"
