"""Memory: what was made, and of what, handed from one plan to the next so that only what differs is made again.

Nothing here is hidden or shared: a memory is a value that comes in with the previous plan and goes out with the next.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")
Parts: TypeAlias = tuple[object, ...]


class Made(NamedTuple, Generic[T]):
    """A value and everything that it follows from."""

    parts: Parts
    value: T


Memory: TypeAlias = Mapping[Hashable, Made[T]]


class Recall(Generic[T]):
    """Takes values from a memory where they would be made of equal parts again; makes them where not.

    Comparing costs next to nothing while the parts are the same objects. `memory` is what the next recall starts with.
    """

    def __init__(self, before: Memory[T]) -> None:
        self._before = before
        self.memory: dict[Hashable, Made[T]] = {}

    def __call__(
        self, key: Hashable, parts: Parts, make: Callable[..., T], *arguments: object, outdated: bool = False
    ) -> T:
        """The value of `key`, or what `make(*arguments)` returns.

        `outdated`: made again although its parts are equal, for something beside them moved.
        """
        made = self._before.get(key)
        if made is None or outdated or made.parts != parts:
            made = Made(parts, make(*arguments))
        self.memory[key] = made
        return made.value
