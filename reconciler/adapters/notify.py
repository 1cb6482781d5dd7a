"""Notifiers: lines of JSON in the log, and a list."""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass

log = logging.getLogger("opsctl.notify")

LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR, "critical": logging.CRITICAL}
REMEMBERED = 10_000
"""Effects whose notification is known to be out; the outbox gives one again only shortly after a crash."""


@dataclass(frozen=True, slots=True)
class Notification:
    effect_id: str
    subject: str
    text: str
    severity: str


class LogNotifier:
    """One line of JSON per notification, on the logger `opsctl.notify`, at the severity's level."""

    def __init__(self) -> None:
        self._told = _Told()

    def notify(self, effect_id: str, subject: str, text: str, severity: str) -> None:
        if not self._told.first(effect_id):
            return
        said = {"effect": effect_id, "severity": severity, "subject": subject, "text": text}
        line = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        log.log(LEVELS.get(severity, logging.WARNING), "%s", line)


class MemoryNotifier:
    """Keeps what it was told, in order."""

    def __init__(self) -> None:
        self.told: list[Notification] = []
        self._known = _Told()

    def notify(self, effect_id: str, subject: str, text: str, severity: str) -> None:
        if self._known.first(effect_id):
            self.told.append(Notification(effect_id, subject, text, severity))


class _Told:
    """Effects that people were told of, the last `REMEMBERED`."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def first(self, effect_id: str) -> bool:
        with self._lock:
            if effect_id in self._ids:
                return False
            self._ids[effect_id] = None
            while len(self._ids) > REMEMBERED:
                self._ids.popitem(last=False)
            return True
