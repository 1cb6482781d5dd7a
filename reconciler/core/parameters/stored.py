"""Parameters as references ask for them: those declared, with the versions and labels of each."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from reconciler.core.parameters.names import absolute
from reconciler.core.parameters.parameter import Parameter, Selector, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.core.parameters.declared import Declared

Labels = dict[str, dict[str, int]]
"""By name of a parameter: numbers of versions by label."""


class Versions(Protocol):
    """What values parameters had."""

    def of(self, name: str) -> tuple[Version, ...]:
        """The versions of a parameter, oldest first; empty for no such parameter."""


class Stored:
    """`Parameters` of one commit. Its history is read when somebody first asks for a version.

    `past` gives None where the history is not at hand; then every version is taken for the newest.
    """

    def __init__(
        self,
        declared: Declared,
        past: Callable[[], Versions | None],
        labels: Mapping[str, Mapping[str, int]] | None = None,
    ) -> None:
        self._declared, self._past, self._labels = declared, past, labels or {}

    def find(self, selector: Selector) -> Parameter | None:
        """See `core.ports.Parameters`."""
        newest = self._declared.get(selector.name)
        if newest is None or not selector.version:
            return newest
        found = self.version(selector)
        return found.parameter if found is not None else None if self._history is not None else newest

    def version(self, selector: Selector) -> Version | None:
        """See `core.ports.Parameters`."""
        newest = self._declared.get(selector.name)
        known = self.versions(selector.name)
        if newest is None or not selector.version:
            return known[-1] if known and newest is not None else None
        word = selector.version
        number = int(word) if word.isdecimal() and len(word) < 10 else self.labels(selector.name).get(word, 0)
        return known[number - 1] if 0 < number <= len(known) else None

    def versions(self, name: str) -> tuple[Version, ...]:
        """See `core.ports.Parameters`."""
        newest = self._declared.get(absolute(name))
        if newest is None:
            return ()
        known = self._history.of(newest.name) if self._history is not None else ()
        for end in range(len(known), 0, -1):  # what is in force may not be the newest
            if _alike(known[end - 1].parameter, newest):
                return known[:end]
        return (*known, Version(len(known) + 1, newest))

    def labels(self, name: str) -> Mapping[str, int]:
        """See `core.ports.Parameters`."""
        return self._labels.get(absolute(name), {})

    def below(self, path: str, *, recursive: bool) -> list[Parameter]:
        """See `core.ports.Parameters`."""
        return self._declared.below(path, recursive=recursive)

    def nearest(self, selector: Selector) -> str:
        """See `core.ports.Parameters`."""
        newest = self._declared.get(selector.name)
        if newest is None:
            return self._declared.nearest(selector.name)
        return str(Selector(selector.name, str(len(self.versions(selector.name)))))

    @cached_property
    def _history(self) -> Versions | None:
        return self._past()


def _alike(one: Parameter, other: Parameter) -> bool:
    return (one.type, one.value) == (other.type, other.value)
