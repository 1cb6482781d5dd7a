"""Notifiers: told once per effect, whichever way."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from reconciler.adapters import notify
from reconciler.adapters.notify import LogNotifier, MemoryNotifier, Notification

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.core.ports import Notifier


@pytest.fixture(params=["log", "memory"])
def notifier(request: pytest.FixtureRequest) -> Notifier:
    return LogNotifier() if request.param == "log" else MemoryNotifier()


@pytest.fixture
def told(notifier: Notifier, caplog: pytest.LogCaptureFixture) -> Callable[[], list[Notification]]:
    """What people saw of it so far."""
    caplog.set_level(logging.DEBUG, "opsctl.notify")

    def read() -> list[Notification]:
        if isinstance(notifier, MemoryNotifier):
            return list(notifier.told)
        lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "opsctl.notify"]
        return [Notification(line["effect"], line["subject"], line["text"], line["severity"]) for line in lines]

    return read


def test_people_are_told(notifier: Notifier, told: Callable[[], list[Notification]]) -> None:
    notifier.notify("e1", "Association/base is held", 'two\nlines, "quoted" %s é', "error")
    notifier.notify("e2", "again", "", "info")
    assert told() == [
        Notification("e1", "Association/base is held", 'two\nlines, "quoted" %s é', "error"),
        Notification("e2", "again", "", "info"),
    ]


def test_an_effect_tells_once(notifier: Notifier, told: Callable[[], list[Notification]]) -> None:
    for subject in ("first", "again"):
        notifier.notify("e1", subject, "", "info")
    assert [one.subject for one in told()] == ["first"]


def test_what_is_remembered_is_bounded(
    notifier: Notifier, told: Callable[[], list[Notification]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "REMEMBERED", 2)
    for effect in ("e1", "e2", "e3", "e3", "e2", "e1"):
        notifier.notify(effect, "", "", "info")
    assert [one.effect_id for one in told()] == ["e1", "e2", "e3", "e1"]


@pytest.mark.parametrize(
    ("severity", "level"), [("info", "INFO"), ("warning", "WARNING"), ("error", "ERROR"), ("unheard-of", "WARNING")]
)
def test_a_severity_is_a_level(caplog: pytest.LogCaptureFixture, severity: str, level: str) -> None:
    caplog.set_level(logging.DEBUG, "opsctl.notify")
    LogNotifier().notify("e1", "s", "t\nt", severity)
    (record,) = caplog.records
    assert record.levelname == level
    assert "\n" not in record.getMessage()
