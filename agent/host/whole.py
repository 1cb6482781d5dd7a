"""Making much durable at once: a whole file system in one commit, instead of one commit for each file."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from typing import Iterable

OTHERS_AT_MOST = 64 * 1024
"""KiB of the machine's unwritten data that may be written with ours: more than that is not waited for."""
_TELLS_ERRORS = (5, 8)
"""The first Linux whose syncfs says that something could not be written."""
_UNWRITTEN = re.compile(rb"^(?:Dirty|Writeback): +(\d+) kB", re.MULTILINE)


def possible() -> bool:
    """Whether `sync` tells what it did, and would not wait for what others have written."""
    release = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    if sys.platform != "linux" or release < _TELLS_ERRORS:
        return False
    try:
        with open("/proc/meminfo", "rb") as file:
            return sum(map(int, _UNWRITTEN.findall(file.read()))) <= OTHERS_AT_MOST
    except OSError:
        return False


def sync(descriptors: Iterable[int]) -> None:
    """The file systems of these, whole. Raises OSError where something could not be written."""
    library = ctypes.CDLL(None, use_errno=True)
    for descriptor in descriptors:
        if library.syncfs(descriptor) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
