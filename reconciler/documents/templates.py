"""Templates: what is wrong with a text that is rendered on a node, found before any node sees it."""

from __future__ import annotations

import functools
from typing import NamedTuple

from agent.contract.template import CONTEXT_NAMES, TemplateError, names_used
from reconciler.core.problem import nearest

MAX_BYTES = 1 << 20
_EXPECTED = "`" + "`, `".join(CONTEXT_NAMES) + "`"


class Flaw(NamedTuple):
    """Something wrong (or, as a warning, doubtful) at a line of a template; 0 where the line is not known."""

    message: str
    line: int
    expected: str = ""
    nearest: str = ""
    severity: str = "error"


@functools.lru_cache(maxsize=1024)
def flaws(source: str) -> tuple[Flaw, ...]:
    """Syntax errors, and names that no template is given."""
    try:
        used = names_used(source)
    except TemplateError as error:
        return (Flaw(f"the template cannot be rendered: {error}", error.line),)
    strange = sorted(used - set(CONTEXT_NAMES))
    return tuple(
        Flaw(
            f"the template reads `{name}`, which no template is given",
            _line_of(source, name),
            _EXPECTED,
            nearest(name, CONTEXT_NAMES),
            "warning",
        )
        for name in strange
    )


def flaws_of_file(data: bytes) -> tuple[Flaw, ...]:
    """As `flaws`, of a file's bytes."""
    if len(data) > MAX_BYTES:
        return (Flaw(f"the template has {len(data)} bytes", 0, f"at most {MAX_BYTES}"),)
    try:
        return flaws(data.decode())
    except UnicodeDecodeError as error:
        return (Flaw("the template is not UTF-8", data.count(b"\n", 0, error.start) + 1),)


def _line_of(source: str, name: str) -> int:
    """The first line that has the name; a guess, for Jinja2 does not tell."""
    for number, line in enumerate(source.split("\n"), 1):
        if name in line:
            return number
    return 0
