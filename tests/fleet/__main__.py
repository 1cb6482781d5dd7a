"""`python -m tests.fleet`: real nodes for a person at a terminal."""
# ruff: noqa: T201 -- printing is what a command line does

from __future__ import annotations

import argparse
import sys

from tests.fleet import packages, rootfs
from tests.fleet.commands import FleetError
from tests.fleet.fleet import Fleet, close_kept, kept_nodes
from tests.fleet.leftovers import sweep
from tests.fleet.node import Node


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed; `exec` returns what its command did."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
    except FleetError as problem:
        print(f"fleet: {problem}", file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fleet", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="build root file systems ahead of use")
    build.add_argument("suites", nargs="*", default=[rootfs.DEFAULT_SUITE], metavar="SUITE")
    build.add_argument("--packages", default="", help="fetch these, comma-separated, with their dependencies")
    build.set_defaults(command=_build)

    up = commands.add_parser("up", help="start nodes n1 to nN, which stay until `down`")
    up.add_argument("count", type=int, nargs="?", default=1)
    up.add_argument("--suite", default=rootfs.DEFAULT_SUITE)
    up.add_argument("--packages", default="", help="what their apt can install, comma-separated")
    up.set_defaults(command=_up)

    commands.add_parser("list", help="what is up").set_defaults(command=_list)

    execute = commands.add_parser("exec", help="run a command in a node, on this terminal")
    execute.add_argument("node", metavar="[FLEET/]NODE")
    execute.add_argument("argv", nargs="*", metavar="COMMAND", help="default: bash")
    execute.set_defaults(command=_exec)

    down = commands.add_parser("down", help="remove fleets that `up` made: all of them, or those named")
    down.add_argument("fleets", nargs="*", type=int, metavar="FLEET")
    down.set_defaults(command=_down)

    commands.add_parser("sweep", help="remove what dead tests and demos left").set_defaults(command=_sweep)
    return parser


def _build(arguments: argparse.Namespace) -> int:
    for suite in arguments.suites:
        built = rootfs.ensure(suite)
        print(built.directory)
        if arguments.packages:
            print(packages.ensure(built, arguments.packages.split(",")))
    return 0


def _up(arguments: argparse.Namespace) -> int:
    wanted = tuple(filter(None, arguments.packages.split(",")))
    with Fleet() as fleet:
        for number in range(1, arguments.count + 1):
            fleet.up(f"n{number}", arguments.suite, wanted)
        fleet.wait_booted()
        fleet.keep()
        for node in fleet.nodes.values():
            _show(fleet.number, node)
    return 0


def _list(_: argparse.Namespace) -> int:
    for number, nodes in kept_nodes().items():
        for node in nodes:
            _show(number, node)
    return 0


def _exec(arguments: argparse.Namespace) -> int:
    fleet, _, name = arguments.node.rpartition("/")
    for number, nodes in kept_nodes().items():
        for node in nodes:
            if node.name == name and fleet in ("", str(number)):
                return node.attach(arguments.argv or ["bash"])
    raise FleetError(f"no node {arguments.node} is up; `list` shows those that are")


def _down(arguments: argparse.Namespace) -> int:
    for number in arguments.fleets or kept_nodes():
        close_kept(number)
        print(f"removed fleet {number}")
    return 0


def _sweep(_: argparse.Namespace) -> int:
    for name in sweep():
        print(f"removed {name}")
    return 0


def _show(number: int, node: Node) -> None:
    print(f"{number}/{node.name}  {node.address}  {node.spec.rootfs.suite}  {'on' if node.is_on() else 'off'}")


if __name__ == "__main__":
    sys.exit(main())
