"""Folders of programs that came with a body: put on disk whole, each under a name that is its content's.

DIRECTORY/NAME/   the files, modes and links of one folder; what a program leaves beside them is left alone
DIRECTORY/NAME.new   one that is being put there
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from typing import Mapping

from agent import durable
from agent.host.port import Packed

UNUSED_SECONDS = 30 * 86400
"""Folders that nobody asked for so long are removed, when another comes."""


def unpack(directory: str, name: str, files: Mapping[str, Packed]) -> str:
    """Where the folder is, as `files` have it by path: what somebody changed in it is put right first."""
    here = os.path.join(directory, name)
    if not _is_whole(here, files):
        durable.make_directory(directory)
        _sweep(directory)
        _put(here, files)
    os.utime(here)
    return here


def _is_whole(here: str, files: Mapping[str, Packed]) -> bool:
    try:
        return all(_found(os.path.join(here, path)) == packed for path, packed in files.items())
    except OSError:
        return False


def _found(path: str) -> Packed:
    if os.path.islink(path):
        return Packed(target=os.readlink(path))
    with open(path, "rb") as file:
        return Packed(file.read(), bool(os.fstat(file.fileno()).st_mode & 0o100))


def _put(here: str, files: Mapping[str, Packed]) -> None:
    """Whole or not at all: it gets its name when all of it is on disk."""
    coming = here + ".new"
    for path in (coming, here):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
    os.mkdir(coming, 0o700)
    for path, packed in files.items():
        at = os.path.join(coming, path)
        os.makedirs(os.path.dirname(at), 0o700, exist_ok=True)
        if packed.target:
            os.symlink(packed.target, at)
            continue
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(at, flags, 0o700 if packed.executable else 0o600), "wb") as out:
            out.write(packed.data)
            out.flush()
            os.fsync(out.fileno())
    os.rename(coming, here)


def _sweep(directory: str) -> None:
    for entry in os.scandir(directory):
        if time.time() - entry.stat(follow_symlinks=False).st_mtime > UNUSED_SECONDS:
            shutil.rmtree(entry.path, ignore_errors=True)
