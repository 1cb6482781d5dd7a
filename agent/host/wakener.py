"""A wait that another thread can end."""

from __future__ import annotations

import contextlib
import os

_ALL = 1 << 16
"""All that a pipe holds, in bytes."""


class Wakener:
    """Ends another thread's wait. `file` becomes readable at `wake` and stays so until `clear`."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self.file = self._read

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # the pipe is full: it is awake already
            os.write(self._write, b"!")

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, _ALL)

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)
