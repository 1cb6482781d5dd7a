"""What changes in a content, as bounded text: a unified diff of text, sizes and digests of anything else."""

from __future__ import annotations

import hashlib
from typing import List, Optional

LIMIT = 4096
"""Characters of one diff."""
_COMPARED_AT_MOST = 256 * 1024
_LINES_AT_MOST = 4000
_CONTROL = bytes(set(range(32)) - {9, 10, 12, 13}) + b"\x7f"


def content_diff(path: str, before: Optional[bytes], after: Optional[bytes], limit: int = LIMIT) -> str:
    """The change of a file's content; None means that there is no file."""
    old, new = _lines(before), _lines(after)
    if old is None or new is None:
        return "%s -> %s" % (summary(before), summary(after))
    import difflib  # of use only where something differs

    names = ("/dev/null" if before is None else path, "/dev/null" if after is None else path)
    return bounded(list(difflib.unified_diff(old, new, *names, n=3, lineterm="")), limit)


def summary(content: Optional[bytes]) -> str:
    """Size and the beginning of the digest."""
    if content is None:
        return "absent"
    return "%d bytes (sha256:%s)" % (len(content), hashlib.sha256(content).hexdigest()[:12])


def bounded(lines: List[str], limit: int = LIMIT) -> str:
    """The lines as one text of at most `limit` characters, saying how many did not fit."""
    text = "\n".join(lines)
    if len(text) <= limit:
        return text
    room, kept = limit - 40, 0
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept += 1
    return "\n".join([*lines[:kept], "... %d more lines" % (len(lines) - kept)])


def _lines(content: Optional[bytes]) -> Optional[List[str]]:
    """The lines of a text, or None for what is no text or too much of it."""
    if content is None:
        return []
    if len(content) > _COMPARED_AT_MOST or content.translate(None, _CONTROL) != content:
        return None
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return None
    if len(lines) > _LINES_AT_MOST:
        return None
    if lines[-1] == "":
        lines.pop()
    else:
        lines[-1] += "\n\\ No newline at end of file"
    return lines
