"""The output store in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from agent.contract.job import OUTPUT_KEPT
from reconciler.adapters.outputs.naming import began, checked, fresh

if TYPE_CHECKING:
    from collections.abc import Mapping


class MemoryOutputs:
    """Implements `OutputStore`. `limit` is in bytes of one output."""

    def __init__(self, limit: int = OUTPUT_KEPT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._jobs: dict[str, dict[tuple[str, str], bytearray]] = {}

    def append(self, job_id: str, step: str, stream: str, offset: int, data: bytes) -> tuple[int, bool]:
        key = checked(job_id, step, stream)
        with self._lock:
            kept = self._jobs.setdefault(job_id, {}).setdefault(key, bytearray())
            new, full = fresh(len(kept), offset, data, self._limit)
            kept += new
            return len(kept), full

    def sizes(self, job_id: str) -> Mapping[tuple[str, str], int]:
        with self._lock:
            return {key: len(kept) for key, kept in self._jobs.get(job_id, {}).items() if kept}

    def read(self, job_id: str, step: str, stream: str, offset: int, size: int) -> bytes:
        key = checked(job_id, step, stream)
        with self._lock:
            return bytes(self._jobs.get(job_id, {}).get(key, b"")[offset : offset + size])

    def collect(self, before: int, most: int) -> int:
        gone = 0
        with self._lock:
            for job_id in sorted(self._jobs):
                total = sum(len(kept) for job in self._jobs.values() for kept in job.values())
                if began(job_id) < before or total > most:
                    del self._jobs[job_id]
                    gone += 1
        return gone

    def close(self) -> None:
        """Nothing is open."""
