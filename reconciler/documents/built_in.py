"""Documents that are built in: they come with the program, and are as much a part of it as its code."""

from __future__ import annotations

import functools
import importlib.resources
from typing import TYPE_CHECKING

from reconciler.documents.checked import name_of
from reconciler.documents.document import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.documents.document import Document


@functools.cache
def texts() -> Mapping[str, tuple[str, bytes]]:
    """By name: the file's name, and its text."""
    files = (importlib.resources.files("reconciler.documents") / "library").iterdir()
    found = {name_of(file.name): (file.name, file.read_bytes()) for file in files if file.name.endswith(".yaml")}
    return dict(sorted(found.items()))


@functools.cache
def find(name: str) -> Document | None:
    """The document of that name; None where none is built in."""
    known = texts().get(name)
    return load(known[1], known[0]) if known is not None else None
