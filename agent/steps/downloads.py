"""Where what is downloaded is put: the run's own directory or a path on the node, made as it is needed.

As SSM has it: only the agent's user may read what was downloaded, and may run it.
"""

from __future__ import annotations

import posixpath
from typing import Callable, Iterator, Mapping, Optional

from agent.host.port import Content, Host, Login
from agent.steps.step import StepFailed, why

BYTES_AT_MOST = 1 << 30
TIME = 3600.0
"""Bytes of one file, and seconds that it may take."""
DIRECTORY_MODE = FILE_MODE = 0o700


def destination(downloads: str, path: str) -> str:
    """The path that `destinationPath` means, with its `/` at the end where it has one; the run's own if it is empty."""
    if path.startswith("/"):
        return path
    if not downloads:
        raise StepFailed("this run has no directory of its own; give an absolute `destinationPath`")
    return posixpath.join(downloads, path)


def file_at(host: Host, place: str, name: str) -> str:
    """Where a single file goes: into a directory under its own name, else to the path itself."""
    entry = host.lstat(_plain(place))
    if place.endswith("/") or (entry is not None and entry.kind == "directory"):
        return posixpath.join(_plain(place), name)
    return place


def make(host: Host, directory: str) -> str:
    """The directory, made with those above it where they are missing."""
    directory = _plain(directory)
    missing = []
    while directory != "/" and host.lstat(directory) is None:
        missing.append(directory)
        directory = posixpath.dirname(directory)
    for path in reversed(missing):
        host.mkdir(path, DIRECTORY_MODE)
    return missing[0] if missing else directory


def put(host: Host, path: str, data: Content) -> None:
    """A file with these bytes, whole or not at all, and the directories above it."""
    make(host, posixpath.dirname(path))
    host.stage(path, data, FILE_MODE)
    host.publish(path)
    host.sync_directory(posixpath.dirname(path))


def remove(host: Host, path: str) -> None:
    """What is at the path, with all in it; links are not followed."""
    entry = host.lstat(path)
    if entry is None:
        return
    if entry.kind != "directory":
        host.unlink(path)
        return
    for name in host.listdir(path):
        remove(host, posixpath.join(path, name))
    host.rmdir(path)


def _plain(place: str) -> str:
    return posixpath.normpath(place)


def fetched(
    host: Host,
    url: str,
    stopped: Callable[[], str],
    login: Optional[Login] = None,
    headers: Optional[Mapping[str, str]] = None,
) -> Iterator[bytes]:
    """The bytes at a URL, in pieces. That they do not come, or are to come no more, is a `StepFailed`."""
    try:
        for piece in host.fetch(url, BYTES_AT_MOST, TIME, login, headers):
            yield piece
            if stopped():
                raise StepFailed("it was given up: %s" % stopped(), status="Cancelled")
    except OSError as error:
        raise StepFailed(why(error)) from error
