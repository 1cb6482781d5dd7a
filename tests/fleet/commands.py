"""Running the host's own programs, and waiting for what they cause."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from typing import IO


class FleetError(RuntimeError):
    """A node, a network or a package could not be made, reached or removed; the text says which and why."""


def run(
    *argv: str, stdin: str | None = None, env: Mapping[str, str] | None = None, log: IO[bytes] | None = None
) -> str:
    """Standard output of a program of the host; FleetError with its last words if it fails or is not there."""
    try:
        done = subprocess.run(
            argv,
            input=None if stdin is None else stdin.encode(),
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=log or subprocess.PIPE,
            stderr=log or subprocess.PIPE,
            env=env,
            check=False,
        )
    except FileNotFoundError as missing:
        raise FleetError(f"{argv[0]}: no such program on this host") from missing
    if done.returncode:
        said = (done.stderr or b"").decode(errors="replace").strip()
        raise FleetError(f"`{' '.join(argv)}` ended with {done.returncode}: {said or 'see its log'}")
    return (done.stdout or b"").decode(errors="replace")


def wait_for(condition: Callable[[], bool], what: str, seconds: float, every: float = 0.01) -> None:
    """Return once `condition` holds; FleetError naming `what` if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise FleetError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(every)
