"""Throwaway real nodes: a Debian userland with systemd as its PID 1, made on this host without Docker.

Here belongs what makes, breaks and removes nodes for the tests and for the demo. What opsctl does with them does not:
nothing here imports `agent` or `reconciler`, and only the standard library is used, so that a clone can run it before
anything is installed. Everything made lies under one directory of the clone, or is named after its fleet's number.
"""

from tests.fleet.commands import FleetError
from tests.fleet.fleet import Fleet, close_kept, kept_nodes
from tests.fleet.host import install_host_packages, missing_host_packages, possible
from tests.fleet.leftovers import sweep
from tests.fleet.node import Node, NodeSpec
from tests.fleet.rootfs import DEFAULT_SUITE, SUITES, Rootfs

__all__ = [
    "DEFAULT_SUITE",
    "SUITES",
    "Fleet",
    "FleetError",
    "Node",
    "NodeSpec",
    "Rootfs",
    "close_kept",
    "install_host_packages",
    "kept_nodes",
    "missing_host_packages",
    "possible",
    "sweep",
]
