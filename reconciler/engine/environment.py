"""Parameters as the environment of a program, and in the files that other programs read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from reconciler.core.parameters import absolute
from reconciler.core.problem import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.engine.parameter_views import View

_NO_PART_OF_A_NAME = re.compile(r"[^A-Za-z0-9]")
_NEEDS_QUOTES = re.compile(r"[^A-Za-z0-9_./:@%+,=-]")


def variables(views: Iterable[View], path: str) -> dict[str, str]:
    """Values by the name of a variable: what follows `path`, in capitals, `_` for what no name of a variable has.

    `/prod/web/db-url` below `/prod/web` is `DB_URL`. Raises `Refused` where two would have one name.
    """
    above = absolute(path).rstrip("/") + "/"
    found: dict[str, str] = {}
    names: dict[str, str] = {}
    for view in views:
        name = _NO_PART_OF_A_NAME.sub("_", view["Name"].removeprefix(above)).upper()
        name = f"_{name}" if name[:1].isdigit() else name
        if name in found:
            raise Refused(f"{names[name]} and {view['Name']} would both be {name}", "environment", "rename one")
        found[name], names[name] = view["Value"], view["Name"]
    return found


def dotenv(values: Mapping[str, str]) -> str:
    """Lines that shells and dotenv readers take."""
    return "".join(f"{name}={_quoted(value)}\n" for name, value in values.items())


def yaml_tree(views: Iterable[View]) -> str:
    """A tree file that declares them, StringLists as lists."""
    tree: dict[str, Any] = {}
    for view in views:
        *levels, last = view["Name"].removeprefix("/").split("/")
        value = view["Value"].split(",") if view["Type"] == "StringList" else view["Value"]
        here: Any = tree
        for level in levels:
            here = here.setdefault(level, {}) if isinstance(here, dict) else None
        if isinstance(here, dict) and last not in here:
            here[last] = value
        else:  # a level that has a value too
            tree[view["Name"]] = value
    return str(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)) if tree else ""


def _quoted(value: str) -> str:
    if not _NEEDS_QUOTES.search(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
    return f'"{escaped}"'
