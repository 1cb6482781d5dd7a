"""What a channel leads to on this node, whatever it is: a terminal or a connection."""

from __future__ import annotations

from typing import Optional, Protocol


class NotOpened(Exception):
    """The endpoint could not be opened; the message is for the person who asked."""


class Endpoint(Protocol):
    """Read and written by one thread, which never waits for it. `file` is what to poll."""

    file: int

    def read(self, most: int) -> Optional[bytes]:
        """What came; None where nothing did, empty at the end."""

    def write(self, data: bytes) -> int:
        """How much of it was taken. Raises OSError where nobody will ever take it."""

    def finish(self) -> None:
        """The client says nothing more."""

    def resize(self, rows: int, columns: int) -> None: ...

    def signal(self, name: str) -> None:
        """Give a signal to what runs in the foreground."""

    def over(self) -> bool:
        """Whether, after the end of what it says, nothing is left to wait for."""

    def code(self) -> Optional[int]:
        """The exit code of what ran, None where there is none."""

    def close(self) -> None:
        """End it, and whatever it started."""
