"""What runs, and when."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.documents.inputs.flaw import Flaw
from reconciler.documents.inputs.origin import content
from reconciler.documents.inputs.words import at_least, login, one_line, unit, variables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.contract.inputs import services
    from reconciler.documents.inputs.flaw import Checks


_CRON = re.compile(r"(@(reboot|yearly|annually|monthly|weekly|daily|midnight|hourly)|\S+([ \t]+\S+){4})\Z")
_PORT = re.compile(r"((\[[0-9a-f:.]+\]|[\d.]+):)?(\d+(-\d+)?:)?\d+(-\d+)?(/(tcp|udp|sctp))?\Z", re.IGNORECASE)


def _service(typed: services.ServiceInputs) -> Iterator[Flaw]:
    if typed.state is None and typed.enabled is None and not typed.restart_on and not typed.reload_on:
        yield Flaw("", "ask for nothing", "`state`, `enabled`, `restartOn` or `reloadOn`")
    yield from unit(typed.name)


def _unit(typed: services.UnitInputs) -> Iterator[Flaw]:
    yield from unit(typed.name)
    yield from content(typed)


def _timer(typed: services.TimerInputs) -> Iterator[Flaw]:
    if typed.state == "present":
        if not typed.on_calendar or not all(instant.strip() for instant in typed.on_calendar):
            yield Flaw("onCalendar" if typed.on_calendar else "", "say not when", "`onCalendar`, as `Mon *-*-* 04:30`")
        if not typed.command.startswith("/"):
            yield Flaw("command", f"is `{typed.command}`", "a command that begins with its program's absolute path")
    lines = {"onCalendar": "".join(typed.on_calendar), "command": typed.command, "description": typed.description}
    for field, text in lines.items():
        yield from one_line(field, text)
    if typed.user is not None:
        yield from login("user", typed.user)
    yield from at_least("randomizedDelaySeconds", typed.randomized_delay_seconds, 0)


def _cron(typed: services.CronInputs) -> Iterator[Flaw]:
    if typed.state == "present":
        if not _CRON.match(typed.schedule.strip()):
            yield Flaw("schedule", f"is `{typed.schedule}`", "five fields as `30 4 * * *`, or a word as `@daily`")
        if not typed.command.strip() or "\n" in typed.command:
            yield Flaw("command", "is not one line", "what cron gives to the shell")
    yield from login("user", typed.user)
    yield from variables(typed.environment)


def _container(typed: services.ContainerInputs) -> Iterator[Flaw]:
    if typed.state == "present" and not re.match(r"[A-Za-z0-9]\S*\Z", typed.image):
        yield Flaw(
            "image" if typed.image else "", "say not what is to run", "`image`, as registry.example.com/shop:2.4"
        )
    yield from variables(typed.environment)
    for port in typed.ports:
        if not _PORT.match(port):
            yield Flaw("ports", f"has `{port}`", "8080:80, or 127.0.0.1:8080:80/tcp")
    for volume in typed.volumes:
        if not re.match(r"[A-Za-z0-9/][^:]*:/[^:]*(:[A-Za-z,]+)?\Z", volume):
            yield Flaw("volumes", f"has `{volume}`", "/srv/shop:/data, or /srv/shop:/data:ro")


CHECKS: Checks = {
    "ops:service": _service,
    "ops:unit": _unit,
    "ops:timer": _timer,
    "ops:cron": _cron,
    "ops:container": _container,
}
