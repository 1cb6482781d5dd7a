"""Fields that mean the same in every action that has them, and the patterns that several follow."""

from __future__ import annotations

from typing import Any

from agent.contract.codec import described

WORD = "^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
PLAIN = "^[A-Za-z0-9_-]+$"
HOST = "^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$"


def path() -> Any:
    return described("Absolute path.")


def content() -> Any:
    return described("The whole content as text.", None)


def source() -> Any:
    return described("A file of the config repository that holds the content.", None)


def template() -> Any:
    return described("Render the content with Jinja2 over `labels`, `vars` and `facts`.", False)


def mode() -> Any:
    return described("Permissions as octal text; unmanaged where absent.", None, octal=True)


def owner() -> Any:
    return described("Owning user; unmanaged where absent.", None)


def group() -> Any:
    return described("Owning group; unmanaged where absent.", None)


def create() -> Any:
    return described("Create the file where it is missing.", False)


def state() -> Any:
    """Whether it is to be there at all."""
    return described("`present` (default) or `absent`.", "present", pattern="^(present|absent)$")
