"""Processes that do not outlive the one that started them, even where that is killed.

A witness reads a pipe whose other end this process alone holds. When the pipe ends, it kills what was not let go.
"""

from __future__ import annotations

import atexit
import functools
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Any

_WITNESS = """\
import os, signal, sys
bound = set()
for line in sys.stdin:
    (bound.add if line[0] == "+" else bound.discard)(int(line[1:]))
for group in bound:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        continue  # it ended by itself
"""


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """As `Popen`, in a session of its own, which ends with this process."""
    process = subprocess.Popen(command, start_new_session=True, **options)
    _tell("+", process.pid)
    return process


def let_go(process: int) -> None:
    """One that was started has ended, or is to live on."""
    _tell("-", process)


def _tell(sign: str, process: int) -> None:
    pipe = _pipe()
    pipe.write(f"{sign}{process}\n")
    pipe.flush()


@functools.lru_cache(maxsize=1)  # Python 3.8 has no other
def _pipe() -> IO[str]:
    command = [sys.executable, "-I", "-S", "-c", _WITNESS]
    witness = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    )
    atexit.register(witness.communicate)
    assert witness.stdin is not None
    return witness.stdin
