"""Changes of `.sops.yaml` that keep its comments and order."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from reconciler.adapters.sops.rules import RULES, recipients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def first(recipient: str, pattern: str) -> str:
    """A `.sops.yaml` with one rule."""
    return (
        "# To whom files are encrypted: the first rule whose path_regex is found in a path decides.\n"
        "# After a change: opsctl secret updatekeys\n"
        f"{RULES}:\n  - path_regex: {pattern}\n    age: {recipient}\n"
    )


def with_recipient(data: bytes, rules: Iterable[int], kind: str, name: str, group: int) -> bytes:
    """The file with a key in these rules, in the group of that number (from 0) where they have several."""

    def add(here: dict[str, Any]) -> None:
        names = recipients(here.get(kind))
        if name not in names:
            _put(here, kind, (*names, name))

    return _changed(data, rules, add, group)


def without_recipient(data: bytes, rules: Iterable[int], kind: str, name: str) -> bytes:
    """The file without a key, in all groups of these rules."""

    def remove(here: dict[str, Any]) -> None:
        names = recipients(here.get(kind))
        if name in names:
            _put(here, kind, tuple(other for other in names if other != name))

    return _changed(data, rules, remove, None)


def _changed(data: bytes, rules: Iterable[int], change: Callable[[dict[str, Any]], None], group: int | None) -> bytes:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(data)
    for index in rules:
        rule = tree[RULES][index]
        groups = rule.get("key_groups")
        for here in (groups if group is None else [groups[group]]) if groups else [rule]:
            change(here)
    out = io.BytesIO()
    yaml.dump(tree, out)
    return out.getvalue()


def _put(here: dict[str, Any], kind: str, names: tuple[str, ...]) -> None:
    """In the form that is there: a list, or a text with commas."""
    value = here.get(kind)
    if isinstance(value, list):
        value[:] = list(names)
    elif names:
        here[kind] = ",".join(names)
    else:
        del here[kind]
