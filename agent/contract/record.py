"""`dataclass` for values that a program may never make: it becomes one when it is first used.

To make a class a dataclass takes longer than to import what most programs do; an agent's one pass meets a few of those
that the contract describes. A program that wants to start fast calls `put_off` before it imports any of them; the
server, and whoever else needs all of them anyway, gets the standard library's.
"""

from __future__ import annotations

from _thread import RLock
from typing import TYPE_CHECKING, Any, Callable, List

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(**how: Any) -> Callable[[type], type]:
        """As the standard library's, with keywords alone."""
        if _putting_off:
            return _later(how)
        import dataclasses

        return dataclasses.dataclass(**how)


__all__ = ["dataclass", "put_off"]
_putting_off: List[bool] = []
_making = RLock()


def put_off() -> None:
    """What is declared from now on becomes a dataclass when it is first used."""
    _putting_off[:] = [True]


class _Fields:
    """Stands for a class's fields, and for its being a dataclass, until somebody asks."""

    def __init__(self, make: Callable[[], None]) -> None:
        self.make = make

    def __get__(self, instance: Any, owner: Any) -> Any:
        self.make()
        return owner.__dataclass_fields__


def _later(how: Any) -> Callable[[type], type]:
    def declared(cls: Any) -> Any:
        def make() -> None:
            import dataclasses

            with _making:
                if isinstance(cls.__dict__.get("__dataclass_fields__"), _Fields):
                    del cls.__dataclass_fields__, cls.__init__
                    dataclasses.dataclass(**how)(cls)

        def begin(self: Any, *values: Any, **named: Any) -> None:
            make()
            self.__init__(*values, **named)

        cls.__init__, cls.__dataclass_fields__ = begin, _Fields(make)
        return cls

    return declared
