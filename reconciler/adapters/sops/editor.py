"""A plaintext in a person's editor: one file for its owner alone, in memory where the machine has such a place."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from reconciler.adapters.private_files import OWNER_ONLY
from reconciler.core.problem import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_VARIABLES = ("SOPS_EDITOR", "VISUAL", "EDITOR")
_IN_MEMORY = "/dev/shm"  # noqa: S108  # the directory made below it is private


class Editor:
    """The editor that a person's environment names, `vi` where it names none."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        text = next((environ[name] for name in _VARIABLES if environ.get(name)), "vi")
        try:
            self._command = shlex.split(text)
        except ValueError as error:
            raise Unavailable(f"the editor {text!r}", str(error)) from None
        self._places = [environ.get("XDG_RUNTIME_DIR", ""), _IN_MEMORY, tempfile.gettempdir()]

    @contextmanager
    def open(self, name: str, data: bytes) -> Iterator[Path]:
        """A private file that holds `data`; afterwards it and all that lies beside it is overwritten and gone."""
        directory = self._directory()
        restored = _interruptible()
        try:
            file = directory / name
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(data)
            yield file
        finally:
            _wipe(directory)
            for number, handler in restored.items():
                signal.signal(number, handler)

    def edit(self, file: Path) -> bytes:
        """What is in the file once the person has left the editor. Raises `Unavailable` where it failed."""
        try:
            done = subprocess.run([*self._command, str(file)], check=False)
        except OSError as error:
            raise Unavailable(f"the editor {self._command[0]}", error.strerror or str(error)) from None
        if done.returncode != 0:
            raise Unavailable(f"the editor {self._command[0]}", f"it ended with {done.returncode}; nothing was written")
        try:
            return file.read_bytes()
        except OSError as error:
            raise Unavailable("what the editor left", error.strerror or str(error)) from None

    def _directory(self) -> Path:
        place = next(place for place in self._places if place and os.access(place, os.W_OK | os.X_OK))
        return Path(tempfile.mkdtemp(prefix="opsctl-", dir=place))


def _interruptible() -> dict[signal.Signals, Any]:
    """Have signals that end a program raise instead, so that what is to be wiped is; the handlers that there were."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, _raise) for number in (signal.SIGTERM, signal.SIGHUP)}


def _raise(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _wipe(directory: Path) -> None:
    for folder, folders, names in os.walk(directory, topdown=False):
        for name in names:
            path = Path(folder, name)
            with suppress(OSError):
                if not path.is_symlink():
                    with path.open("r+b") as file:
                        file.write(bytes(path.stat().st_size))
                        file.flush()
                        os.fsync(file.fileno())
                path.unlink()
        for name in folders:
            with suppress(OSError):
                Path(folder, name).rmdir()
    with suppress(OSError):
        directory.rmdir()
