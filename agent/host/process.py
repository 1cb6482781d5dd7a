"""Running a program to its end: bounded in time and output, in a session of its own. Imported when first needed."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from typing import IO, Callable, Dict, List, Sequence

from agent.host.port import Bounded, Ran

GRACE = 5.0
"""Seconds between asking a process group to end and killing it."""
_LOOK_EVERY = 0.05
_LAST_READS = 64


def run(
    argv: Sequence[str],
    *,
    env: Dict[str, str],
    cwd: str,
    timeout: float,
    keep: int,
    stopped: Callable[[], object] = bool,
) -> Ran:
    """Raises OSError where the program cannot be started. Once `stopped` says something it is ended.

    The result does not wait for a background process that keeps the pipes open after its parent ended.
    """
    process = subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=env,
        start_new_session=True,
    )
    with _Pipes(process, keep) as pipes:
        ended = pipes.read_until_exit(timeout, stopped)
        cancelled = not ended and bool(stopped())
        if not ended:
            _signal_group(process, signal.SIGTERM)
            pipes.read_until_exit(GRACE)
            _signal_group(process, signal.SIGKILL)
            pipes.read_until_exit(GRACE)
        return Ran(
            process.wait(),
            pipes.stdout.value(),
            pipes.stderr.value(),
            pipes.spilled,
            not ended and not cancelled,
            cancelled,
        )


class _Pipes:
    """The two outputs of a process, read without blocking until the process has ended."""

    def __init__(self, process: "subprocess.Popen[bytes]", keep: int) -> None:
        self.stdout, self.stderr = Bounded(keep), Bounded(keep)
        self._process = process
        self._selector = selectors.DefaultSelector()
        self._files: List[IO[bytes]] = []
        for file, sink in ((process.stdout, self.stdout), (process.stderr, self.stderr)):
            assert file is not None
            os.set_blocking(file.fileno(), False)
            self._selector.register(file, selectors.EVENT_READ, sink)
            self._files.append(file)

    def __enter__(self) -> "_Pipes":
        return self

    def __exit__(self, *exception: object) -> None:
        self._selector.close()
        for file in self._files:
            file.close()

    @property
    def spilled(self) -> int:
        return self.stdout.spilled + self.stderr.spilled

    def read_until_exit(self, seconds: float, stopped: Callable[[], object] = bool) -> bool:
        """Whether the process ended in time; it is left unreaped, so that its group id stays its own."""
        deadline = time.monotonic() + seconds
        pause = 0.0005
        while not self._exited():
            left = deadline - time.monotonic()
            if left <= 0 or stopped():
                return False
            if self._selector.get_map():
                self._read(min(left, _LOOK_EVERY))
            else:
                time.sleep(min(left, pause))
                pause = min(2 * pause, _LOOK_EVERY)
        for _ in range(_LAST_READS):
            if not (self._selector.get_map() and self._read(0)):
                break
        return True

    def _exited(self) -> bool:
        if not hasattr(os, "waitid"):
            return self._process.poll() is not None
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, flags) is not None

    def _read(self, wait: float) -> int:
        """Reads what is there; how many pipes had something, or ended."""
        ready = self._selector.select(wait)
        for key, _ in ready:
            data = os.read(key.fd, 65536)
            if data:
                key.data.add(data)
            else:
                self._selector.unregister(key.fileobj)
        return len(ready)


def _signal_group(process: "subprocess.Popen[bytes]", number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
