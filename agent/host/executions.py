"""Scripts that outlive the agent: each run is a directory, kept company by a process of its own (`supervisor`).

STATE/executions/NAME/    NAME says association, generation and step; a digest makes it that one run's
  script                  the text, while it runs
  stdout  stderr          what it says, as it says it; the middle left out where it is long
  pid                     the supervisor's process id, while it runs
  result                  how it ended, written by the supervisor
  (a lock on the directory itself is held as long as the supervisor lives)

An agent that was killed, restarted or upgraded asks for the run by its name, waits for the supervisor that is still
there, and finds the result. Imported when first needed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
from typing import Dict, Iterator, List, Optional

from agent import durable
from agent.contract.record import NamedTuple
from agent.host import script
from agent.host.port import Bounded, EndNotSeen, Ran
from agent.host.supervisor import HEAD, ROOM, TAIL
from agent.log import WARNING, log

KEPT = 100
KEPT_BYTES = 50 * 1024 * 1024
KEPT_SECONDS = 30 * 86400
"""Runs that ended are kept for people to read: so many, so large together, so long."""
MEMORY = (3, 4)
"""The share of the machine's memory that a script may have."""
_HERE, _FAILED = "here", "failed"


class Place(NamedTuple):
    """Where and how a script runs. Without `scope` it stays in the control group of the agent.

    `whole` bytes of each output are kept, from its beginning and as they come; 0 for a beginning and an end.
    """

    env: Dict[str, str]
    cwd: str
    scope: bool
    whole: int = 0


def stage(directory: str, name: str, text: str) -> None:
    """Put the text where the run of that name will have it, with room for its result.

    Raises OSError: then nothing was started, and nothing is in the way of a later try. A run that was begun is left
    as it is.
    """
    durable.make_directory(directory)
    _sweep(directory, name)
    here = os.path.join(directory, name)
    if _was_begun(here):
        return
    _remove(here)
    os.mkdir(here, 0o700)
    try:
        _create(os.path.join(here, "script"), text.encode("utf-8", "surrogateescape"), 0o700)
        _create(os.path.join(here, "result.new"), b" " * ROOM, 0o600)
    except OSError:
        _remove(here)
        raise


def run(directory: str, name: str, place: Place, timeout: float, keep: int) -> Ran:
    """Run what was staged, or wait for it where it was begun already.

    Raises `EndNotSeen` where its supervisor was killed, another OSError only where it has not begun.
    """
    here = os.path.join(directory, name)
    if not _was_begun(here):
        said = _supervised(here, name, place, timeout)
        if said:
            return _ran(said, here, keep)
    found = ended(directory, name, keep)
    if found is None:
        raise EndNotSeen(errno.ECHILD, "its supervisor was killed", name)
    return found


def ended(directory: str, name: str, keep: int) -> Optional[Ran]:
    """How the run of that name ended; waits for it while its supervisor lives. None where nobody will ever know."""
    here = os.path.join(directory, name)
    try:
        lock = os.open(here, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
    finally:
        os.close(lock)
    result = durable.read(os.path.join(here, "result"))
    return None if result is None else _ran(result.decode("ascii", "replace"), here, keep)


def cancel(directory: str, name: str) -> None:
    """Have the run of that name ended, where it goes on and its supervisor is up to it. Asking again does no harm."""
    here = os.path.join(directory, name)
    with contextlib.suppress(OSError, ValueError):
        with open(os.path.join(here, "pid"), encoding="ascii") as file:
            pid = int(file.read())
        if _was_begun(here) and not os.path.exists(os.path.join(here, "result")):
            os.kill(pid, signal.SIGUSR1)


def cancel_all(directory: str) -> None:
    """Have every run in a directory ended that goes on. Asking again does no harm."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(directory):
            cancel(directory, name)


def _supervised(here: str, name: str, place: Place, timeout: float) -> str:
    """The result as its supervisor says it; empty where that was killed. Raises OSError where it has not begun."""
    argv = [*script.interpreter(_first_line(here)), os.path.join(here, "script")]
    scope = script.unit_name(name) if place.scope and script.can_scope() else ""
    with _Company(here, argv, scope, place, timeout) as company:
        if company.heard() == _HERE:
            return company.result()
        complaint = company.complaint()
    if not scope:
        raise OSError(errno.EIO, "its supervisor could not be started: %s" % complaint, sys.executable)
    log(WARNING, "no scope for %s could be made, it runs without: %s", name, complaint)
    return _supervised(here, name, place._replace(scope=False), timeout)


class _Company:
    """A supervisor as this agent started it."""

    def __init__(self, here: str, argv: List[str], scope: str, place: Place, timeout: float) -> None:
        lock = os.open(here, os.O_RDONLY | os.O_DIRECTORY)
        reader, writer = os.pipe()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            limits = [repr(float(timeout)), str(_memory()), scope or "-", str(place.whole)]
            told = [here, str(lock), str(writer), *limits, *argv]
            self._process = subprocess.Popen(
                [*_in_scope(scope), sys.executable, "-I", "-S", _program(here), *told],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=place.cwd,
                env=place.env,
                start_new_session=True,
                pass_fds=(lock, writer),
            )
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(lock)
            os.close(writer)
        self._pipe = os.fdopen(reader, encoding="ascii", errors="replace")

    def __enter__(self) -> "_Company":
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()

    def heard(self) -> str:
        """The next line that it says; empty when it is gone."""
        return self._pipe.readline().strip()

    def result(self) -> str:
        """Waits for the end; empty where it is not said. Raises OSError where the script cannot be started."""
        said = self.heard()
        if said.startswith(_FAILED):
            _, number, program = said.split(" ", 2)
            raise OSError(int(number), os.strerror(int(number)), program)
        return self.heard() if said else ""

    def complaint(self) -> str:
        """Why it is gone."""
        said = self._process.stderr.read(4096).decode("utf-8", "replace").strip() if self._process.stderr else ""
        return said or "exit %d" % self._process.wait()


def _in_scope(scope: str) -> List[str]:
    if not scope:
        return []
    argv = ["systemd-run", "--scope", "--quiet", "--collect", "--unit=" + scope]
    return [*argv, "--property=MemoryMax=%d" % _memory(), "--"]


def _program(here: str) -> str:
    """The supervisor as a file. Out of an archive it is put beside the script."""
    from agent.host import supervisor

    path = supervisor.__file__
    if os.path.isfile(path):
        return path
    text = pkgutil.get_data("agent.host", "supervisor.py")
    assert text is not None
    beside = os.path.join(here, "supervisor.py")
    if not os.path.exists(beside):
        _create(beside, text, 0o600)
    return beside


def _memory() -> int:
    """Bytes that a script may have."""
    of_all, parts = MEMORY
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * of_all // parts


def _was_begun(here: str) -> bool:
    """Whether a supervisor is or was at work on it."""
    if os.path.exists(os.path.join(here, "result")):
        return True
    try:
        lock = os.open(here, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _ran(result: str, here: str, keep: int) -> Ran:
    found = json.loads(result)
    outputs = []
    spilled = found["leftOut"]
    for name in ("stdout", "stderr"):
        kept = Bounded(keep)
        for part in _ends_of(os.path.join(here, name)):
            kept.add(part)
        outputs.append(kept.value())
        spilled += kept.spilled
    return Ran(found["rc"], outputs[0], outputs[1], spilled, found["timedOut"], found.get("cancelled", False))


def _ends_of(path: str) -> Iterator[bytes]:
    """What a file begins and ends with; all of it where it is no longer than both together."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        yield file.read(HEAD)
        file.seek(max(HEAD, os.fstat(file.fileno()).st_size - TAIL))
        yield file.read(TAIL)


def _first_line(here: str) -> str:
    with open(os.path.join(here, "script"), encoding="utf-8", errors="surrogateescape") as file:
        return file.readline(4096)


def _create(path: str, data: bytes, mode: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with open(file, "wb") as out:
        out.write(data)


class _Kept(NamedTuple):
    at: float
    size: int
    path: str


def _sweep(directory: str, coming: str) -> None:
    """Drop runs that are old, or too many; never one that goes on."""
    found = []
    for entry in os.scandir(directory):
        if entry.name != coming and entry.is_dir(follow_symlinks=False):
            sizes = [inside.stat(follow_symlinks=False).st_size for inside in os.scandir(entry.path)]
            found.append(_Kept(entry.stat(follow_symlinks=False).st_mtime, sum(sizes), entry.path))
    found.sort(reverse=True)
    total = 0
    for number, kept in enumerate(found, 2):
        total += kept.size
        old = time.time() - kept.at > KEPT_SECONDS
        if (number > KEPT or total > KEPT_BYTES or old) and _was_ended(kept.path):
            _remove(kept.path)


def _remove(path: str) -> None:
    """A run's directory with its files, as far as can be. Not by `shutil`, which brings more than it is needed for."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(path):
            os.unlink(entry.path)
        os.rmdir(path)


def _was_ended(path: str) -> bool:
    return os.path.exists(os.path.join(path, "result")) or not _was_begun(path)
