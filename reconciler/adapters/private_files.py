"""Files that hold secrets, and files that must be whole: written beside, synced, then renamed over."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

OWNER_ONLY = 0o600
EVERYONE_READS = 0o644


def make_private(directory: Path) -> None:
    """A directory for its owner only, where there is none; one that is there stays as it is."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"the directory {directory}", error.strerror or str(error)) from error


def write_whole(path: Path, data: bytes, mode: int = OWNER_ONLY) -> None:
    """After this the file has these bytes and this mode; before it ends, whatever it had."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise
        _sync_directory(path.parent)
    except OSError as error:
        raise Unavailable(f"writing {path}", error.strerror or str(error)) from error


def read_private(path: Path) -> bytes:
    """A secret's bytes. `Refused` where others may read it too, `Unavailable` where it cannot be read."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                what = f"{path} can be read by others (mode {mode:04o})"
                raise Refused(what, "private keys are their owner's alone", f"chmod 600 {path}")
            return file.read()
    except OSError as error:
        raise Unavailable(f"reading {path}", error.strerror or str(error)) from error


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
