"""Memory that an idle agent does not need, given back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import re

_ARENA_MAX = -8
_READ_ONLY_FILE = re.compile(
    r"^(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) r-.p \S+ \S+ [1-9]\d* +/.*\n(?P<values>(?:[A-Z].*\n)*)", re.MULTILINE
)
_CLEAN = re.compile(r"^Private_Dirty: +0 kB$", re.MULTILINE)
_SMAPS = "/proc/self/smaps"


def use_one_heap() -> None:
    """Lets threads share the C library's heap: each of their own would keep what the other could use.

    Before the first thread is started. Does nothing where the system has no such thing.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Frees what was allocated and is not used, and lets go of program text, which comes back when it is called.

    Text is that of Python and its libraries as it is on disk: most of it was needed to start, some to do a TLS
    handshake, little to wait. A mapping of which any page was written to is left alone. Does nothing where the system
    has no such thing.
    """
    gc.collect()
    try:
        libc = ctypes.CDLL(None)
        libc.malloc_trim(0)
        libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        with open(_SMAPS, encoding="utf-8", errors="replace") as file:
            mappings = file.read()
        for mapping in _READ_ONLY_FILE.finditer(mappings):
            if _CLEAN.search(mapping["values"]):
                start, end = int(mapping["start"], 16), int(mapping["end"], 16)
                libc.madvise(start, end - start, mmap.MADV_DONTNEED)
    except (AttributeError, OSError):
        return
