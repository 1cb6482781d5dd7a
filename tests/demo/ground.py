"""What the demo stands on: the virtual environment, the nodes' file system and packages, prepared side by side."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests import fleet
from tests.demo.voice import say
from tests.fleet import packages, rootfs

CLONE = Path(__file__).resolve().parents[2]
DIRECTORY = CLONE / ".demo"
"""Everything that the demo makes but its environment and its nodes' file system."""
OPSCTL = CLONE / ".venv" / "bin" / "opsctl"
PACKAGES = ("cron", "logrotate", "nginx-light", "sudo")
"""What the example's documents install, fetched on the host and served to the nodes, which have no other network."""


class DemoError(Exception):
    """The demo cannot go on; the text is for the person who started it."""


def choose() -> tuple[bool, str]:
    """Whether real nodes are used, and, where not, why. Asks before anything is installed on this host."""
    if os.environ.get("OPSCTL_DEMO") == "sandbox":
        return False, "OPSCTL_DEMO=sandbox"
    reason = fleet.possible(once_packages_are_installed=True)
    if reason:
        return False, reason
    missing = fleet.missing_host_packages()
    if not missing:
        return True, ""
    listed = " ".join(missing)
    if os.environ.get("ASSUME_YES") != "1":
        if not sys.stdin.isatty():
            return False, f"this host lacks {listed}, and nobody is there to ask (ASSUME_YES=1 answers)"
        answer = input(f"Real nodes need these packages on this host: {listed}. Install them? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            return False, f"without {listed}"
    say(f"installing on this host, to stay: {listed}")
    fleet.install_host_packages()
    return True, ""


def prepare(*, real: bool) -> Path:
    """Install opsctl into .venv and, beside it, build what the nodes boot from; the agent's path."""
    work: dict[str, Callable[[], None]] = {"opsctl": _install}
    if real:
        work["nodes"] = _build
    failures: list[str] = []

    def run(name: str, job: Callable[[], None]) -> None:
        started = time.monotonic()
        try:
            job()
        except (fleet.FleetError, DemoError, OSError) as error:
            failures.append(f"{name}: {error}")
        else:
            say(f"{name} ready after {time.monotonic() - started:.0f} s", faint=True)

    threads = [threading.Thread(target=run, args=item) for item in work.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise DemoError("; ".join(failures))
    agent = CLONE / "build" / "agent.pyz"
    agent.parent.mkdir(exist_ok=True)
    subprocess.run([str(OPSCTL), "agent", "package", "--out", str(agent)], check=True, capture_output=True)
    return agent


def _install() -> None:
    done = subprocess.run(
        ["make", "run", f"PYTHON={sys.executable}"], cwd=CLONE, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise DemoError(f"make run failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _build() -> None:
    packages.ensure(rootfs.ensure(fleet.DEFAULT_SUITE, rootfs.CACHE), PACKAGES)
