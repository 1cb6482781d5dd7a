"""Text of unknown origin made safe to show: what a terminal would obey or hide is written out.

Names, paths, file contents, Git's and nodes' own words come from people and machines that the reader need not trust.
"""

from __future__ import annotations

import json
import re

_NOT_PLAIN = re.compile(r"[^\n -~]")


def printable(text: str, keep: str = "") -> str:
    r"""The text with everything unprintable as Python would write it (`\x1b`, `\u202e`, `\n`), but for `keep`."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else _written(one) for one in text)


def printable_json(text: str) -> str:
    r"""A JSON document that means the same, with everything unprintable in its strings escaped (`\u009b`)."""
    return _NOT_PLAIN.sub(lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text)


def _written(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
