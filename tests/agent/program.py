"""The agent as people get it: the built archive, run by a Python of its own."""

from __future__ import annotations

import functools
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import lifeline

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "OPSCTL_RECONNECT_MAX": "0.2"}
PATIENCE = 30.0


def builder() -> Any:
    """`hatch_build`, which is no package."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.lru_cache(maxsize=None)
def _home() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="opsctl-agent-")


@functools.lru_cache(maxsize=None)
def archive() -> Path:
    """The archive of this checkout, built once for a test process."""
    out = Path(_home().name) / "agent.pyz"
    builder().build_agent(out)
    return out


def run(python: str, *arguments: str, stdin: str = "", program: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [python, "-I", str(program or archive()), *arguments],
        input=stdin,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Serving:
    """`serve` in a process of its own. Killed at the end if it has not ended by then."""

    def __init__(self, python: str, *arguments: str, program: Path | None = None) -> None:
        self.process = lifeline.start(
            [python, "-I", str(program or archive()), "serve", *arguments],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        lifeline.let_go(self.process.pid)

    def terminate(self) -> tuple[int, str]:
        """Ask it to end; exit code and what it said."""
        self.process.terminate()
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.02)


THIS = sys.executable
