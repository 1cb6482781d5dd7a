"""Users and what they may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.contract import publickey
from reconciler.documents.inputs.flaw import Flaw
from reconciler.documents.inputs.words import login, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.contract.inputs import accounts
    from reconciler.documents.inputs.flaw import Checks


def _user(typed: accounts.UserInputs) -> Iterator[Flaw]:
    yield from login("name", typed.name)
    yield from _number("uid", typed.uid)


def _group(typed: accounts.GroupInputs) -> Iterator[Flaw]:
    yield from login("name", typed.name, "group name")
    yield from _number("gid", typed.gid)


def _number(field: str, number: int | None) -> Iterator[Flaw]:
    if number is not None and not 0 <= number < 2**32 - 1:
        yield Flaw(field, f"is `{number}`", "a number from 0 to 4294967294")


def _authorized_key(typed: accounts.AuthorizedKeyInputs) -> Iterator[Flaw]:
    yield from login("user", typed.user)
    try:
        publickey.parse(typed.key)
    except publickey.NotAKey as error:
        yield Flaw("key", f"is no public key: {error}", "the line of a .pub file")
    yield from one_line("options", typed.options)


def _sudoers(typed: accounts.SudoersInputs) -> Iterator[Flaw]:
    if typed.state == "present" and not "".join(typed.rules).strip():
        yield Flaw("", "give no `rules`", "lines as sudoers has them")


CHECKS: Checks = {
    "ops:user": _user,
    "ops:group": _group,
    "ops:authorizedKey": _authorized_key,
    "ops:sudoers": _sudoers,
}
