"""Secrets that lie in files readable: what no text has by accident. Only the sort and the place are told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.core.manifest.text import Text
from reconciler.core.problem import Finding, Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

_SORTS = {
    "age": ("an age identity", rb"AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{50,}"),
    "pem": ("a private key", rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----\r?\n[A-Za-z0-9+/=\r\n:, -]{64}"),
    "aws": ("an AWS access key", rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "github": ("a GitHub token", rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})"),
    "gitlab": ("a GitLab token", rb"\bglpat-[A-Za-z0-9_-]{20,}"),
    "slack": ("a Slack token", rb"\bxox[abposr]-[0-9A-Za-z-]{20,}"),
}
_ANY = re.compile(b"|".join(b"(?P<%s>%s)" % (name.encode(), pattern) for name, (_, pattern) in _SORTS.items()))
_HINTS = re.compile(rb"AGE-SECRET|PRIVATE KEY|AKIA|ASIA|gh[pousr]_|github_pat|glpat-|xox")


def found(data: bytes, path: str) -> Iterator[Finding]:
    """Each secret of a known sort in a file that is text."""
    if not _HINTS.search(data):
        return
    try:
        text = Text.decode(data, path)
    except Invalid:
        return
    for match in _ANY.finditer(data):
        sort, _ = _SORTS[match.lastgroup or ""]
        place = text.place(len(data[: match.start()].decode()))
        yield Finding(f"{sort} lies here readable", place, "an encrypted file, and a new secret: this one is in Git")
