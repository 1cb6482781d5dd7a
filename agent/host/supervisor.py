"""Stays with one script until its end, whatever becomes of the agent. A program of its own; imports nothing of ours.

    python3 -I -S supervisor.py DIRECTORY LOCK PIPE TIMEOUT MEMORY SCOPE WHOLE PROGRAM [ARGUMENT ...]

DIRECTORY   of this run: `stdout` and `stderr` are written there as they come, `result` when all is over, and in between
            `pid`, this process's id: SIGUSR1 has it end the script
LOCK        descriptor of a lock on DIRECTORY, held as long as this process lives
PIPE        descriptor where `here`, then `begun`, then the result are said
TIMEOUT     seconds that the script may take
MEMORY      bytes that a process of it may have where no control group bounds it; 0 for no limit
SCOPE       the systemd scope that this was started in; `-` for none
WHOLE       bytes of each output that are kept from its beginning, all of it as it comes; 0 for beginning and end

Environment, working directory and the rest of PROGRAM's inheritance are this process's own. It is small and reads no
input, so that nothing but its own death takes the result from us.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

HEAD = TAIL = 256 * 1024
"""Bytes of each output that are kept: its beginning as it comes, its end when all is over."""
ROOM = 256
"""Bytes that `result.new` has from the start, so that a full disk does not take the result."""
GRACE = 5.0
"""Seconds between asking the script to end and killing it."""
INSISTS = 600
"""Seconds for which a result that cannot be written is tried again."""
_PASSES = 64
_ASKED_TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SCORE = "/proc/self/oom_score_adj"


class Output:
    """One stream: its beginning goes to the file at once, its end is held until `close`."""

    def __init__(self, path: str, whole: int) -> None:
        self._path = path
        self._file = -1
        self._tail, self._room = bytearray(), whole or HEAD
        self._tail_kept = 0 if whole else TAIL
        self.left_out = 0

    def add(self, data: bytes) -> None:
        head, rest = data[: self._room], data[self._room :]
        self._room -= len(head)
        self._write(head)
        self._tail += rest
        excess = len(self._tail) - self._tail_kept
        if excess > 0:
            del self._tail[:excess]
            self.left_out += excess

    def close(self) -> None:
        tail, self._tail = bytes(self._tail), bytearray()
        if self.left_out and self._tail_kept:
            self._write(b"\n... %d bytes left out ...\n" % self.left_out)
        self._write(tail)
        if self._file >= 0:
            os.close(self._file)

    def _write(self, data: bytes) -> None:
        """What a full disk does not take is counted; the script goes on."""
        try:
            if data and self._file < 0:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            while data:
                data = data[os.write(self._file, data) :]
        except OSError:
            self.left_out += len(data)


class Members:
    """The processes that the script has become: those of the scope, else those that descend from this one."""

    def __init__(self, scope: str) -> None:
        self._group = _control_group(scope)
        self.bounded = self._group is not None and memory_bounded()
        if self._group is None:
            with contextlib.suppress(ImportError, OSError, AttributeError):
                import ctypes

                ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans come to us

    def signal(self, number: int) -> None:
        for pid in self.alive():
            with contextlib.suppress(OSError):
                os.kill(pid, number)

    def alive(self) -> list[int]:
        found = _in_group(self._group) if self._group else _descendants(os.getpid())
        return [pid for pid in found if pid != os.getpid()]


def _in_group(group: str) -> list[int]:
    found = []
    for directory, _, names in os.walk(group):
        if "cgroup.procs" in names:
            found += [int(line) for line in _lines(os.path.join(directory, "cgroup.procs"))]
    return found


def _control_group(scope: str) -> str | None:
    """The directory of the scope's control group; None outside of it."""
    for line in _lines("/proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if path.endswith("/" + scope) and controllers in ("", "name=systemd"):
            for mount in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"):
                if str(os.getpid()) in _lines(mount + path + "/cgroup.procs"):
                    return mount + path
    return None


def memory_bounded() -> bool:
    """Whether the kernel bounds the memory of this control group."""
    for line in _lines("/proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "" and _lines("/sys/fs/cgroup" + path + "/memory.max") not in ([], ["max"]):
            return True
        if "memory" in controllers.split(",") and _lines("/sys/fs/cgroup/memory" + path + "/memory.limit_in_bytes"):
            return True
    return False


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if name.isdigit():
            for line in _lines("/proc/%s/stat" % name):
                children.setdefault(int(line.rpartition(")")[2].split()[1]), []).append(int(name))
                break
    found: list[int] = []
    ahead = [root]
    while ahead:
        born = children.get(ahead.pop(), ())
        found += born
        ahead += born
    return found


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


class Script:
    """The script's own process, and what comes of it."""

    def __init__(self, argv: list[str], directory: str, limit: int, score: str, whole: int) -> None:
        self.outputs: dict[int, Output] = {}
        writers = []
        for name in ("stdout", "stderr"):
            reader, writer = os.pipe()
            os.set_blocking(reader, False)
            self.outputs[reader] = Output(os.path.join(directory, name), whole)
            writers.append(writer)
        self._open = set(self.outputs)
        self.status: int | None = None
        self.cancelled = False
        self._wake, woken = os.pipe()
        for end in (self._wake, woken):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGUSR1, self._cancel)
        self.pid = _started(argv, writers, limit, score)

    def _cancel(self, *_: object) -> None:
        self.cancelled = True

    def wait(self, seconds: float, *, heeding: bool = False) -> bool:
        """Read until the script's process has ended, for some time at most; whether it has.

        `heeding`: also until somebody asks for its end.
        """
        deadline = time.monotonic() + seconds
        poll = select.poll()
        for reader in [*self._open, self._wake]:
            poll.register(reader, select.POLLIN)
        while self.status is None and time.monotonic() < deadline and not (heeding and self.cancelled):
            left = min(deadline - time.monotonic(), 86400.0)
            for ready, _ in poll.poll(max(0, int(left * 1000) + 1)):
                if ready == self._wake:
                    os.read(ready, 4096)
                elif not self._read(ready):
                    poll.unregister(ready)
            self.reap()
        return self.status is not None

    def drain(self) -> None:
        """Read what is there, without waiting for whoever keeps the pipes open."""
        for reader in list(self._open):
            for _ in range(_PASSES):
                if not select.select([reader], [], [], 0)[0] or not self._read(reader):
                    break
        for output in self.outputs.values():
            output.close()

    def _read(self, reader: int) -> bytes:
        data = os.read(reader, 65536)
        if data:
            self.outputs[reader].add(data)
        else:
            self._open.discard(reader)
        return data

    def reap(self) -> None:
        """All that ended, orphans too; the script's own end is kept."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self.pid:
                    self.status = status

    @property
    def rc(self) -> int:
        """The exit code, negative for a signal."""
        if self.status is None:  # it cannot be killed: it hangs in the kernel
            return -signal.SIGKILL
        return -os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else os.WEXITSTATUS(self.status)


def _started(argv: list[str], writers: list[int], limit: int, score: str) -> int:
    """The process id of the script, begun for certain. Raises OSError where it cannot be."""
    failed, fails = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _spared(score)
            _become(argv, writers, limit)
        except OSError as error:
            os.write(fails, b"%d" % (error.errno or 1))
        finally:
            os._exit(127)
    for end in (fails, *writers):
        os.close(end)
    said = os.read(failed, 16)
    os.close(failed)
    if said:
        os.waitpid(pid, 0)
        raise OSError(int(said), os.strerror(int(said)), argv[0])
    return pid


def _spared(score: str) -> str:
    """Set how readily the kernel takes this process when memory runs out; what it was. Only root may spare one."""
    former = "".join(_lines(_SCORE)) or "0"
    with contextlib.suppress(OSError), open(_SCORE, "w", encoding="ascii") as file:
        file.write(score)
    return former


def _become(argv: list[str], writers: list[int], limit: int) -> None:
    os.setsid()
    for number in (*_ASKED_TO_END, signal.SIGUSR1, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    for descriptor, source in enumerate([os.open(os.devnull, os.O_RDONLY), *writers]):
        os.dup2(source, descriptor)
    import resource

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]  # the soft one is the agent's own
    most = limit if limit and (hard == resource.RLIM_INFINITY or limit < hard) else hard
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    os.execvp(argv[0], argv)


def _end(script: Script, members: Members) -> None:
    """Ask the script to end, then make it, and all that forked away from it."""
    members.signal(signal.SIGTERM)
    script.wait(GRACE)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline:
        members.signal(signal.SIGKILL)
        script.wait(0.05)
        script.reap()
        if not members.alive():
            return
        time.sleep(0.01)


def _write_result(directory: str, text: str) -> None:
    """Durable on return: the reserved bytes are filled and get their name."""
    path = os.path.join(directory, "result.new")
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.write(file, text.encode().ljust(ROOM))
        os.fsync(file)
    finally:
        os.close(file)
    os.rename(path, os.path.join(directory, "result"))
    for name in ("script", "pid"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(directory, name))
    here = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(here)
    finally:
        os.close(here)


def _written(directory: str, text: str) -> bool:
    try:
        _write_result(directory, text)
    except OSError:
        return False
    return True


def _note_pid(directory: str) -> None:
    """What a full disk does not take costs the chance to end the script early, no more."""
    with contextlib.suppress(OSError), open(os.path.join(directory, "pid"), "w", encoding="ascii") as file:
        file.write("%d" % os.getpid())


def _say(pipe: int, text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(pipe, text.encode() + b"\n")


def main(argv: list[str]) -> int:
    directory, timeout, memory, scope, whole = argv[0], float(argv[3]), int(argv[4]), argv[5], int(argv[6])
    lock, pipe = int(argv[1]), int(argv[2])
    for descriptor in (lock, pipe):
        os.set_inheritable(descriptor, False)
    for number in (*_ASKED_TO_END, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    for name in ("INVOCATION_ID", "SYSTEMD_EXEC_PID"):  # systemd's, and no part of what scripts are promised
        os.environ.pop(name, None)
    _say(pipe, "here")
    members = Members(scope)
    try:
        script = Script(argv[7:], directory, 0 if members.bounded else memory, _spared("-900"), whole)
    except OSError as error:
        _say(pipe, "failed %d %s" % (error.errno or 1, error.filename))
        return 1
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    _note_pid(directory)
    _say(pipe, "begun")
    ended = script.wait(timeout, heeding=True)
    timed_out = not ended and not script.cancelled
    if not ended:
        _end(script, members)
    script.drain()
    left_out = sum(output.left_out for output in script.outputs.values())
    ending = ', "cancelled": true' if not ended and not timed_out else ""
    timed = "true" if timed_out else "false"
    result = '{"rc": %d, "timedOut": %s, "leftOut": %d%s}' % (script.rc, timed, left_out, ending)
    written = _written(directory, result)
    _say(pipe, result)
    os.close(pipe)
    deadline = time.monotonic() + INSISTS
    while not written and time.monotonic() < deadline and os.path.isdir(directory):
        time.sleep(1)
        written = _written(directory, result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
