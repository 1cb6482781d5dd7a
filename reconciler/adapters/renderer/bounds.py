"""What rendering may take, as both sides of the pipe know it."""

from __future__ import annotations

from typing import NamedTuple


class Bounds(NamedTuple):
    """Bounds on rendering a template once (`seconds` by the clock, `output` in bytes of UTF-8), and on a whole plan's.

    `memory` is the address space of the process, in bytes; Jinja2 itself takes about 50 MiB of it.
    """

    seconds: float = 2.0
    memory: int = 512 << 20
    output: int = 1 << 20
    plan_seconds: float = 20.0


DEFAULT = Bounds()
