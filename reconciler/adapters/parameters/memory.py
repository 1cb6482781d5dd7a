"""`Parameters` in memory: told what to keep, as SSM is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.core.parameters import Declared, Parameter, Stored, Version, absolute

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.core.parameters import Selector
    from reconciler.core.parameters.parameter import Type


class _Told:
    """The versions that there are, as `Stored` asks for them."""

    def __init__(self, versions: Mapping[str, tuple[Version, ...]]) -> None:
        self._versions = versions

    def of(self, name: str) -> tuple[Version, ...]:
        return self._versions.get(name, ())


class MemoryParameters:
    """A store that nothing else writes to. Versions are those it was told, in that order."""

    def __init__(self) -> None:
        self._versions: dict[str, tuple[Version, ...]] = {}
        self._labels: dict[str, dict[str, int]] = {}

    def put(self, name: str, value: str, kind: Type = "String", *, at: int = 0) -> Version:
        """Give a parameter a value (a StringList's items with commas); a new version where it had another before."""
        name = absolute(name)
        known = self._versions.get(name, ())
        made = Version(len(known) + 1, Parameter(name, kind, value, "memory"), at=at)
        if known and (known[-1].parameter.type, known[-1].parameter.value) == (kind, value):
            return known[-1]
        self._versions[name] = (*known, made)
        return made

    def remove(self, name: str) -> None:
        """Forget a parameter, its versions and their labels."""
        self._versions.pop(absolute(name), None)
        self._labels.pop(absolute(name), None)

    def label(self, name: str, label: str, version: int) -> None:
        """Let a label name a version, and no other."""
        self._labels.setdefault(absolute(name), {})[label] = version

    def find(self, selector: Selector) -> Parameter | None:
        return self._stored.find(selector)

    def version(self, selector: Selector) -> Version | None:
        return self._stored.version(selector)

    def versions(self, name: str) -> Sequence[Version]:
        return self._versions.get(absolute(name), ())

    def labels(self, name: str) -> dict[str, int]:
        return self._labels.get(absolute(name), {})

    def below(self, path: str, *, recursive: bool) -> list[Parameter]:
        return self._stored.below(path, recursive=recursive)

    def nearest(self, selector: Selector) -> str:
        return self._stored.nearest(selector)

    @property
    def _stored(self) -> Stored:
        newest = {name: versions[-1].parameter for name, versions in self._versions.items()}
        return Stored(Declared([newest]), lambda: _Told(self._versions), self._labels)
