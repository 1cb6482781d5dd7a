"""What can be wrong with the inputs of a step."""

from __future__ import annotations

from typing import NamedTuple


class Flaw(NamedTuple):
    """Something wrong with one input, by its name as written in the file; empty for the inputs as a whole."""

    field: str
    message: str
    expected: str = ""


def unsafe_source(path: str) -> str:
    """Why a `source` cannot name a file of the repository; empty where it can."""
    if path.startswith("/"):
        return "is absolute"
    parts = path.split("/")
    if ".." in parts:
        return "has a `..` part"
    if not path or "" in parts or "." in parts or "\0" in path or parts[0] == ".git":
        return "is not a path in the repository"
    return ""
