"""A shell, or commands, on a pseudo-terminal: as a user logs in, with that user's environment and nothing of ours."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pkgutil
import pwd
import signal
import struct
import subprocess
import sys
import termios
from typing import Dict, List, Optional

from agent.contract.session import Opening, Ticket
from agent.streams.endpoint import NotOpened

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SIGNALS = {"INT": signal.SIGINT, "TERM": signal.SIGTERM, "HUP": signal.SIGHUP, "QUIT": signal.SIGQUIT}
LARGEST = 4096
"""Rows or columns."""
_END_OF_FILE = b"\x04"


class Terminal:
    """Implements `Endpoint`. Raises `NotOpened`."""

    def __init__(self, ticket: Ticket, opening: Opening) -> None:
        user = _user(ticket.run_as)
        master, slave = os.openpty()
        try:
            _set_size(master, opening.rows, opening.columns)
            self._process = _started(user, _argv(user, ticket), opening.term, slave)
        except OSError as error:
            os.close(master)
            raise NotOpened("the shell of %s cannot be started: %s" % (user.pw_name, error.strerror)) from error
        finally:
            os.close(slave)
        os.set_blocking(master, False)
        self.file = master

    def read(self, most: int) -> Optional[bytes]:
        try:
            return os.read(self.file, most)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno == errno.EIO:  # nobody has the other side open any more
                return b""
            raise

    def write(self, data: bytes) -> int:
        try:
            return os.write(self.file, data)
        except BlockingIOError:
            return 0

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self.file, _END_OF_FILE)

    def echoes(self) -> bool:
        """Whether what is typed is shown: not where a password is asked for."""
        try:
            return bool(termios.tcgetattr(self.file)[3] & termios.ECHO)
        except termios.error:
            return True

    def resize(self, rows: int, columns: int) -> None:
        with contextlib.suppress(OSError):
            _set_size(self.file, rows, columns)

    def signal(self, name: str) -> None:
        number = SIGNALS.get(name)
        with contextlib.suppress(OSError):
            if number is not None:
                os.killpg(os.tcgetpgrp(self.file), number)

    def over(self) -> bool:
        return self._process.poll() is not None

    def code(self) -> Optional[int]:
        """As a shell would say it: 128 and its number for a signal."""
        found = self._process.poll()
        return 128 - found if found is not None and found < 0 else found

    def close(self) -> None:
        """Hang up, as a terminal that goes away does; the kernel tells all in the foreground, this the shell itself."""
        with contextlib.suppress(OSError):
            os.close(self.file)
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGHUP)
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name) if name else pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise NotOpened("there is no user %.64s on this node" % name) from error


def _argv(user: pwd.struct_passwd, ticket: Ticket) -> List[str]:
    """A login shell; after a profile's lines it takes the place of the shell that ran them."""
    shell = user.pw_shell or "/bin/sh"
    if ticket.commands:
        return [shell, "-lc", "\n".join(ticket.commands)]
    if ticket.profile.strip():
        return [shell, "-lc", "%s\nexec %s -l" % (ticket.profile, shell)]
    return [shell, "-l"]


def _environment(user: pwd.struct_passwd, term: str) -> Dict[str, str]:
    return {
        "HOME": user.pw_dir,
        "LOGNAME": user.pw_name,
        "USER": user.pw_name,
        "SHELL": user.pw_shell or "/bin/sh",
        "PATH": PATH,
        "TERM": term if term.isascii() and term.replace("-", "").replace(".", "").isalnum() else "xterm",
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }


def _started(user: pwd.struct_passwd, argv: List[str], term: str, slave: int) -> "subprocess.Popen[bytes]":
    """The process, leader of a session of its own whose terminal this is."""
    text = pkgutil.get_data("agent.streams", "login.py")
    assert text is not None
    who = [str(user.pw_uid), str(user.pw_gid), user.pw_name, user.pw_dir or "/"]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", text.decode(), *who, *argv],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd="/",
        env=_environment(user, term),
        start_new_session=True,
    )


def _set_size(file: int, rows: int, columns: int) -> None:
    rows, columns = max(1, min(rows, LARGEST)), max(1, min(columns, LARGEST))
    fcntl.ioctl(file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
