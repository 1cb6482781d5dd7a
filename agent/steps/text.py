"""A text file that others own too: its lines, byte for byte, and how it is written again."""

from __future__ import annotations

from typing import List, Optional

from agent.host.port import Host, Snapshot, replace
from agent.steps.directory import no_parent
from agent.steps.step import StepFailed

DEFAULT_MODE = 0o644


def lines_of(data: bytes) -> List[str]:
    """The lines, each with its line end; what is no UTF-8 survives."""
    *ended, last = data.decode("utf-8", "surrogateescape").split("\n")
    return [line + "\n" for line in ended] + ([last] if last else [])


def joined(lines: List[str]) -> bytes:
    """The bytes of a file with these lines."""
    return "".join(lines).encode("utf-8", "surrogateescape")


def bare(line: str) -> str:
    """A line without its line end."""
    return line.rstrip("\r\n")


def line_end(lines: List[str]) -> str:
    """What lines of this file end with."""
    return "\r\n" if lines and lines[0].endswith("\r\n") else "\n"


def appended(lines: List[str], new: List[str]) -> List[str]:
    """The lines and more at the end, ended as their neighbours are."""
    end = line_end(lines)
    if lines and not lines[-1].endswith("\n"):
        lines = [*lines[:-1], lines[-1] + end]
    return [*lines, *(line + end for line in new)]


def editable(path: str, snapshot: Optional[Snapshot]) -> None:
    """Raises `StepFailed` for what is no text file of a size to be edited."""
    if snapshot is None:
        return
    if snapshot.entry.kind != "file":
        raise StepFailed("%s is %s where a regular file is expected; it is not followed" % (path, snapshot.entry))
    if snapshot.data is None:
        raise StepFailed("%s is too large (%d bytes) to manage lines in" % (path, snapshot.entry.size))


def write(
    host: Host,
    path: str,
    content: bytes,
    snapshot: Optional[Snapshot],
    mode: int = DEFAULT_MODE,
    uid: int = -1,
    gid: int = -1,
) -> None:
    """Puts the content there whole, with the mode and owners that the file had; those given are a new file's."""
    if snapshot is not None:
        mode = snapshot.entry.mode
        uid, gid = (-1, -1) if host.sandbox else (snapshot.entry.uid, snapshot.entry.gid)
    try:
        replace(host, path, content, mode, uid, gid)
    except FileNotFoundError:
        raise StepFailed(no_parent(path)) from None
