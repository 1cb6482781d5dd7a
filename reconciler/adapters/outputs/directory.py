"""The output store as files: DIRECTORY/ID/STEP.STREAM, where ID is the job's. Synced before the node is told."""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent.contract.job import OUTPUT_KEPT
from reconciler.adapters.outputs.naming import began, checked, fresh
from reconciler.core.problem import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_LOCKS = 64


class DirectoryOutputs:
    """Implements `OutputStore`. `limit` is in bytes of one output."""

    def __init__(self, directory: Path, limit: int = OUTPUT_KEPT) -> None:
        self._directory, self._limit = directory, limit
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))

    def append(self, job_id: str, step: str, stream: str, offset: int, data: bytes) -> tuple[int, bool]:
        path = self._path(job_id, step, stream)
        with self._reached(), self._locks[hash(path) % _LOCKS]:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                kept = os.fstat(file).st_size
                new, full = fresh(kept, offset, data, self._limit)
                rest = memoryview(new)
                while rest:
                    rest = rest[os.write(file, rest) :]
                if new:
                    os.fdatasync(file)
            finally:
                os.close(file)
            return kept + len(new), full

    def sizes(self, job_id: str) -> Mapping[tuple[str, str], int]:
        checked(job_id, "step", "stdout")
        with self._reached():
            try:
                found = [
                    (entry.name.rpartition("."), entry.stat().st_size) for entry in os.scandir(self._directory / job_id)
                ]
            except FileNotFoundError:
                return {}
        return {(step, stream): size for (step, _, stream), size in found if size}

    def read(self, job_id: str, step: str, stream: str, offset: int, size: int) -> bytes:
        path = self._path(job_id, step, stream)
        with self._reached():
            try:
                with path.open("rb") as file:
                    file.seek(offset)
                    return file.read(size)
            except FileNotFoundError:
                return b""

    def collect(self, before: int, most: int) -> int:
        gone = 0
        with self._reached():
            jobs = sorted(entry.name for entry in os.scandir(self._directory))
            sizes = {job_id: self._size(job_id) for job_id in jobs}
            total = sum(sizes.values())
            for job_id in jobs:
                if began(job_id) < before or total > most:
                    shutil.rmtree(self._directory / job_id, ignore_errors=True)
                    total -= sizes[job_id]
                    gone += 1
        return gone

    def close(self) -> None:
        """Nothing is open."""

    def _path(self, job_id: str, step: str, stream: str) -> Path:
        name = ".".join(checked(job_id, step, stream))
        return self._directory / job_id / name

    def _size(self, job_id: str) -> int:
        return sum(entry.stat().st_size for entry in os.scandir(self._directory / job_id))

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(f"the output store {self._directory}", error.strerror or str(error)) from error
