"""What inputs of several actions hold: names, paths, numbers, lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.contract.claims import unsafe_path
from reconciler.documents.inputs.flaw import Flaw

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LOGIN = re.compile(r"[a-z_][a-z0-9_.-]{0,31}\Z", re.IGNORECASE)
_UNIT = re.compile(r"[\w@.:\\-]+\Z")
_VARIABLE = re.compile(r"[A-Za-z_]\w*\Z")


def path(field: str, value: str | None) -> Iterator[Flaw]:
    """A path on the node."""
    if value is not None and (why := unsafe_path(value)):
        yield Flaw(field, f"is `{value}`: {why}", "an absolute path")


def login(field: str, name: str, what: str = "login name") -> Iterator[Flaw]:
    """The name of a user, or of a group."""
    if not _LOGIN.match(name):
        yield Flaw(field, f"is `{name}`, which is no {what}")


def unit(name: str) -> Iterator[Flaw]:
    """The `name` of a unit of systemd."""
    if not _UNIT.match(name):
        yield Flaw("name", f"is `{name}`, which is no unit name")


def variables(environment: Mapping[str, str]) -> Iterator[Flaw]:
    """The `environment` of a process."""
    for name, value in environment.items():
        if not _VARIABLE.match(name) or "\n" in value:
            yield Flaw("environment", f"has `{name}`, which is no variable of one line")


def one_line(field: str, text: str | None) -> Iterator[Flaw]:
    """Text that stands in a line of some file."""
    if text is not None and "\n" in text:
        yield Flaw(field, "has more than one line")


def at_least(field: str, value: int, least: int) -> Iterator[Flaw]:
    """A number that has no upper bound."""
    if value < least:
        yield Flaw(field, f"is `{value}`", f"at least {least}")
