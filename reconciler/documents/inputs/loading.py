"""From a tree to typed inputs, or to findings at their places."""

from __future__ import annotations

import functools
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from agent.contract.codec import camel
from agent.contract.inputs import ACTIONS
from reconciler.core.problem import Finding, Place
from reconciler.core.typed import check
from reconciler.core.typed.words import path_text
from reconciler.documents.inputs import accounts, content, files, machine, network, packages, scripts, services, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reconciler.core.manifest import Loc, Places, Tree
    from reconciler.documents.inputs.flaw import Checks, Flaw

_CHECKS: Checks = {
    action: found
    for module in (accounts, content, files, machine, network, packages, scripts, services)
    for action, found in module.CHECKS.items()
}
_TYPED_WITHIN: Mapping[str, Callable[[Any, Tree, Places, Loc], tuple[Any, tuple[Finding, ...]]]] = {
    "aws:downloadContent": content.with_source
}
"""What gives types to inputs whose own type depends on another one."""
_PATHS = ("path", "working_directory", "home")


def load(action: str, tree: Tree, places: Places, loc: Loc) -> tuple[Any, tuple[Finding, ...]]:
    """The inputs of a runnable action, None where a finding is an error. Findings may be warnings alone."""
    typed, findings = check(ACTIONS[action].inputs, tree, places, loc)
    if typed is not None and action in _TYPED_WITHIN:
        typed, findings = _TYPED_WITHIN[action](typed, tree, places, loc)
    if typed is None:
        return None, findings
    found = tuple(
        Finding(f"{_path(flaw, loc)} {flaw.message}", _place(flaw, places, loc), flaw.expected)
        for flaw in _flaws(action, typed)
    )
    return (None, (*findings, *found)) if found else (typed, findings)


@functools.cache
def names(action: str) -> tuple[str, ...]:
    """The inputs that a runnable action takes, as written in files."""
    inputs: Any = ACTIONS[action].inputs  # a dataclass, as every wire type is
    return tuple(camel(field.name) for field in fields(inputs))


def _path(flaw: Flaw, loc: Loc) -> str:
    return path_text((*loc, flaw.field) if flaw.field else loc)


def _place(flaw: Flaw, places: Places, loc: Loc) -> Place:
    return places.of((*loc, flaw.field)) if flaw.field else places.of(loc, key=True)


def _flaws(action: str, typed: Any) -> Iterator[Flaw]:
    for attribute in _PATHS:
        value = getattr(typed, attribute, None)
        if value or attribute != "working_directory":  # SSM has an empty text for none
            yield from words.path(camel(attribute), value)
    if action in _CHECKS:  # of some there is nothing more to say than their types do
        yield from _CHECKS[action](typed)
