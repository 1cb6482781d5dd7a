"""Whose turn it is to look at what is held and change it: the rounds', or a job's."""

from __future__ import annotations

from typing import Any, Protocol


class Turn(Protocol):
    """A lock that is taken for as long as one is at it."""

    def __enter__(self) -> Any: ...
    def __exit__(self, *error: Any) -> Any: ...


class AnyTurn:
    """Nobody else is at work."""

    def __enter__(self) -> None: ...
    def __exit__(self, *error: Any) -> None: ...
