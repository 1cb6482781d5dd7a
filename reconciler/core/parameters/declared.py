"""All parameters that the files of one commit declare, by name."""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from reconciler.core.parameters.names import absolute
from reconciler.core.problem import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.core.parameters.parameter import Parameter

COMPARED = 2000
"""Names that are looked at for the one closest to another: telling how close two are takes its time."""


class Declared:
    """Parameters by name. `doubles` are those that another one had the name of before, with that one."""

    def __init__(self, files: Iterable[Mapping[str, Parameter]] = ()) -> None:
        self.doubles: list[tuple[Parameter, Parameter]] = []
        self._by_name: dict[str, Parameter] = {}
        for parameters in files:
            if self._by_name.keys().isdisjoint(parameters):
                self._by_name.update(parameters)
                continue
            for name, parameter in parameters.items():
                first = self._by_name.setdefault(name, parameter)
                if first is not parameter:
                    self.doubles.append((first, parameter))

    def get(self, name: str) -> Parameter | None:
        """The parameter of an absolute name."""
        return self._by_name.get(name)

    def __len__(self) -> int:
        return len(self._by_name)

    def below(self, path: str, *, recursive: bool) -> list[Parameter]:
        """Those below a level of the hierarchy, ordered by name; without `recursive` only those right below it."""
        above = "/" if path in ("", "/") else absolute(path).rstrip("/") + "/"
        found = (name for name in self.names if name.startswith(above))
        return [self._by_name[name] for name in found if recursive or "/" not in name[len(above) :]]

    def longer_than(self, characters: int) -> list[Parameter]:
        """Those whose values have more characters."""
        return [found for found in self._by_name.values() if len(found.value) > characters]

    @cached_property
    def names(self) -> list[str]:
        """Every name, in order."""
        return sorted(self._by_name)

    def nearest(self, name: str) -> str:
        """The name closest to one that is not there, or an empty string; its neighbours are asked first."""
        above, _, last = name.rpartition("/")
        neighbours = [known for known in self._by_name if known.startswith(above + "/")]
        others = [known for known in self._by_name if known.endswith("/" + last)]
        return (
            nearest(name, neighbours[:COMPARED])
            or nearest(name, others[:COMPARED])
            or nearest(name, islice(self._by_name, COMPARED))
        )
