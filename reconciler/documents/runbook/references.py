"""What stands between double braces in an Automation document, and values put in its place.

A reference is a parameter, `Step.Output` (and a path of keys into a map), or a name with one of SSM's prefixes.
Anything else between double braces belongs to another language and passes through.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.contract.interpolation import in_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from reconciler.core.manifest import Loc

PREFIXES = ("ssm:", "ssm-secure:", "resolve:ssm:", "global:", "automation:", "variable:", "loop:")
GLOBALS = ("ACCOUNT_ID", "AWS_PARTITION", "DATE", "DATE_TIME", "REGION")
AUTOMATION = ("EXECUTION_ID",)
LOOP = ("CurrentIteration", "CurrentIteratorValue")

_REFERENCE = re.compile(r"\{\{\s*(\w[\w.:/@-]*)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference, read: exactly one of `parameter`, `step` and `prefix` says what sort it is.

    `name` is the output of a step, or what follows the prefix; `keys` leads into the value that it names.
    """

    text: str
    parameter: str = ""
    step: str = ""
    prefix: str = ""
    name: str = ""
    keys: tuple[str, ...] = ()


def read(text: str, parameters: Collection[str], steps: Collection[str]) -> Reference | None:
    """What the text between braces refers to; None where that is nothing of this document."""
    if text in parameters:
        return Reference(text, parameter=text)
    for prefix in PREFIXES:
        if text.startswith(prefix):
            name = text[len(prefix) :]
            keys: tuple[str, ...] = ()
            if prefix in ("variable:", "loop:"):
                name, *rest = name.split(".")
                keys = tuple(rest)
            return Reference(text, prefix=prefix, name=name, keys=keys)
    for dot in (found.start() for found in re.finditer(r"\.", text)):
        if text[:dot] in steps:
            output, *rest = text[dot + 1 :].split(".")
            return Reference(text, step=text[:dot], name=output, keys=tuple(rest))
    return None


def texts(value: Any, loc: Loc = ()) -> Iterator[tuple[Loc, str]]:
    """Every text with double braces in it, and its path."""
    if isinstance(value, str):
        if "{{" in value:
            yield loc, value
    elif isinstance(value, (dict, list)):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts(item, (*loc, step))


def names(text: str) -> list[str]:
    """What stands between the double braces of a text, one after another."""
    return _REFERENCE.findall(text)


def interpolate(value: Any, read: Callable[[str], Reference | None], resolve: Callable[[Reference], Any]) -> Any:
    """`value` with each reference that `read` knows replaced; what is put in is not interpolated again.

    A text that is exactly one reference becomes its value, whatever type that has. As an item of a list, one to a
    list is spliced. Within a longer text, lists and maps are written as JSON.
    """
    return in_texts(value, lambda text: _in_text(text, read, resolve))


def written(value: Any) -> str:
    """A value as part of a longer text."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def below(value: Any, keys: tuple[str, ...]) -> Any:
    """The value that a path of keys leads to. Raises `LookupError`."""
    for key in keys:
        if not isinstance(value, dict):
            raise LookupError(key)
        value = value[key]
    return value


def _in_text(text: str, read: Callable[[str], Reference | None], resolve: Callable[[Reference], Any]) -> Any:
    whole = _REFERENCE.fullmatch(text)
    if whole:
        reference = read(whole[1])
        return resolve(reference) if reference else text

    def replaced(found: re.Match[str]) -> str:
        reference = read(found[1])
        return written(resolve(reference)) if reference else found[0]

    return _REFERENCE.sub(replaced, text)
