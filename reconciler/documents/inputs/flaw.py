"""What can be wrong with the inputs of a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple


class Flaw(NamedTuple):
    """Something wrong with one input, by its name as written in the file; empty for the inputs as a whole."""

    field: str
    message: str
    expected: str = ""


Checks = Mapping[str, Callable[[Any], Iterator[Flaw]]]
"""By action, what finds the flaws of its inputs."""
