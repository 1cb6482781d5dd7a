"""Starting the agent over SSH from memory: the archive goes to an anonymous file, which no end of the process outlives.

    server: one line of Python      node: banner, and whether it has this archive      server: the archive, if not

A node whose installed agent is of this very archive runs that one. Nothing that is secret is in the command.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.contract.canonical import digest
from agent.contract.stdio import BANNER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.core.node_ports import SshHost

HAVE, WANT = b"have\n", b"want\n"
INSTALLED = "/opt/opsctl/current"

_LOADER = """
import os, sys
if sys.version_info < (3, 8):
    sys.exit("the opsctl agent needs Python 3.8 or newer, and this is %d.%d" % sys.version_info[:2])
def put(file, data):
    while data:
        data = data[os.write(file, data):]
home, left = INSTALLED, SIZE
try:
    with open(home + "/archive.digest") as noted:
        there = noted.read() == DIGEST
except OSError:
    there = False
put(1, BANNER + (HAVE if there else WANT))
if not there:
    try:
        file = os.memfd_create("agent.pyz")
    except (AttributeError, OSError):
        import tempfile
        with tempfile.TemporaryFile() as unnamed:
            file = os.dup(unnamed.fileno())
    while left:
        data = os.read(0, min(left, 65536))
        if not data:
            sys.exit("the archive did not come whole")
        put(file, data)
        left -= len(data)
    home = "/proc/%d/fd/%d" % (os.getpid(), file)
sys.argv = ["agent.pyz"] + ARGUMENTS
import runpy
runpy.run_path(home, run_name="__main__")
"""


@dataclass(frozen=True, slots=True)
class Program:
    """agent.pyz, as bytes and by digest."""

    archive: bytes

    @property
    def digest(self) -> str:
        return digest(self.archive)

    def loader(self, arguments: Sequence[str]) -> bytes:
        """The line of Python that the command waits for."""
        given = {
            "INSTALLED": INSTALLED,
            "SIZE": len(self.archive),
            "DIGEST": self.digest,
            "BANNER": BANNER,
            "HAVE": HAVE,
            "WANT": WANT,
            "ARGUMENTS": list(arguments),
        }
        settings = "".join(f"{name} = {value!r}\n" for name, value in given.items())
        return f"exec({settings + _LOADER!r})\n".encode("ascii", "strict")


def command(host: SshHost) -> str:
    """What the login shell of any kind is asked to run: a Python that runs the line it reads."""
    read_one_line = 'exec(open(0,"rb",0,closefd=False).readline())'
    argv = [host.python, "-I", "-c", read_one_line]
    if host.sudo:
        argv = ["sudo", "-n", "--", *argv]
    return shlex.join(argv)
