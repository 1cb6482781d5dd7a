"""The outside in memory: answers are given beforehand, and what was asked is kept."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from reconciler.core.executions import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Asked = tuple[str, str, Mapping[str, Any], int | None]


class MemoryOutside:
    """`asked` is each call in order. An action that nobody answers fails, as anywhere."""

    def __init__(self, answers: Mapping[str, Callable[[Mapping[str, Any]], Answer]]) -> None:
        self._answers = dict(answers)
        self._lock = threading.Lock()
        self.asked: list[Asked] = []

    def perform(self, work: str, action: str, inputs: Mapping[str, Any], deadline: int | None) -> Answer:
        with self._lock:
            self.asked.append((work, action, inputs, deadline))
        if action not in self._answers:
            return Answer("Failed", reason=f"Unsupported: {action}")
        return self._answers[action](inputs)
