"""SSM's rules of the names of parameters and of their labels."""

from __future__ import annotations

import re

LEVELS = 15
LONGEST = 1011
LONGEST_LABEL = 100
RESERVED = ("aws", "ssm")
"""What no name begins with, in any case of letters."""

NAME_EXPECTED = "letters, digits, `_`, `-` and `.`, in levels parted by `/`"
LABEL_EXPECTED = "letters, digits, `_`, `-` and `.`, not beginning with a digit, `aws` or `ssm`"

_LEVEL = re.compile(r"[A-Za-z0-9_.-]+")
_LABEL = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]*")


def absolute(name: str) -> str:
    """The name from the root on: at the root itself SSM lets people leave out the `/`."""
    return name if name.startswith("/") else f"/{name}"


def flaw_of_name(name: str) -> tuple[str, str] | None:
    """What is wrong with an absolute name, and what was expected; None where nothing is."""
    levels = name.removeprefix("/").split("/")
    if not all(_LEVEL.fullmatch(level) for level in levels):
        return "cannot name a parameter", NAME_EXPECTED
    if levels[0].lower().startswith(RESERVED):
        return "begins with a word that is reserved", "no name that begins with `aws` or `ssm`"
    if len(levels) > LEVELS:
        return f"has {len(levels)} levels", f"at most {LEVELS}"
    if len(name) > LONGEST:
        return f"has {len(name)} characters", f"at most {LONGEST}"
    return None


def flaw_of_label(label: str) -> tuple[str, str] | None:
    """What is wrong with a label of a version, and what was expected; None where nothing is."""
    if not _LABEL.fullmatch(label) or label.lower().startswith(RESERVED):
        return f"`{label[:100]}` cannot be a label", LABEL_EXPECTED
    if len(label) > LONGEST_LABEL:
        return f"the label has {len(label)} characters", f"at most {LONGEST_LABEL}"
    return None
