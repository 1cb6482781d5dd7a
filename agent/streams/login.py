"""Becomes a user on a terminal, then the program. A program of its own; imports nothing of ours.

    python3 -I -S -c TEXT UID GID NAME HOME PROGRAM [ARGUMENT ...]

Standard input is the terminal, and this process leads its session. The agent has threads, of which a fork could leave
locks behind that nobody opens; so what has to be done between fork and exec is done here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import termios


def main(argv: list[str]) -> int:
    uid, gid, name, home = int(argv[0]), int(argv[1]), argv[2], argv[3]
    try:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        if uid != os.geteuid():
            os.fchown(0, uid, -1)
            os.initgroups(name, gid)
            os.setgid(gid)
            os.setuid(uid)
        with contextlib.suppress(OSError):
            os.chdir(home)
        os.execv(argv[4], argv[4:])  # a shell is what was asked for
    except OSError as error:
        sys.stderr.write("opsctl-agent: a session as %s cannot begin: %s\r\n" % (name, error))
    return 126


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
