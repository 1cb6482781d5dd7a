"""Files, and trees of them."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from reconciler.documents.inputs.flaw import Flaw
from reconciler.documents.inputs.origin import content, known, one_of_two, source
from reconciler.documents.inputs.words import at_least, login
from reconciler.documents.patterns import compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.contract.inputs import files
    from reconciler.documents.inputs.flaw import Checks


def _file(typed: files.FileInputs) -> Iterator[Flaw]:
    yield from content(typed)
    if typed.validate is not None and (why := _no_validation(typed.validate)):
        yield Flaw("validate", f"is `{typed.validate}`: {why}", "a command over the new file, as `nginx -t -c %s`")


def _no_validation(command: str) -> str:
    """Why a command cannot say whether a new file is good; empty where it can."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        return str(error)
    return "" if any("%s" in word for word in words[1:]) else "it has no %s, the new file's path"


def _link(typed: files.LinkInputs) -> Iterator[Flaw]:
    if typed.state == "present" and not typed.target:
        yield Flaw("", "give no `target`", "what the link is to point to")


def _line(typed: files.LineInputs) -> Iterator[Flaw]:
    if "\n" in typed.line:
        yield Flaw("line", "has more than one line", "one line, without its end")
    if typed.match is not None:
        try:
            compiled(typed.match)
        except (re.error, RecursionError, OverflowError) as error:
            yield Flaw("match", f"is no regular expression: {error}")


def _block(typed: files.BlockInputs) -> Iterator[Flaw]:
    if not typed.comment.strip() or "\n" in typed.comment:
        yield Flaw("comment", "begins no comment", "what a comment of the file begins with, as `#`")
    for mark in ("BEGIN", "END"):
        if f"{typed.comment} {mark} opsctl {typed.name}" in typed.content.splitlines():
            yield Flaw("content", "holds a mark of its own block")


def _download(typed: files.DownloadInputs) -> Iterator[Flaw]:
    if typed.state == "present":
        yield from known(typed.url, typed.sha256)
    yield from at_least("maxBytes", typed.max_bytes, 1)


def _archive(typed: files.ArchiveInputs) -> Iterator[Flaw]:
    given = [name for name in ("source", "url") if getattr(typed, name)]
    yield from one_of_two(given, ("source", "url"), typed.state, "a tree", "no archive")
    if typed.state != "absent" and given == ["url"]:
        yield from known(typed.url, typed.sha256)
    yield from source(typed.source)
    yield from at_least("stripComponents", typed.strip_components, 0)
    yield from at_least("maxBytes", typed.max_bytes, 1)


def _git(typed: files.GitInputs) -> Iterator[Flaw]:
    if re.match(r"https?://[^/]*@", typed.remote):
        yield Flaw("remote", "holds credentials, which everybody may read", "a credential helper, or a key")
    if ".." in typed.revision:
        yield Flaw("revision", f"is `{typed.revision}`", "a branch, a tag, or the whole name of a commit")
    if typed.owner is not None:
        yield from login("owner", typed.owner)


CHECKS: Checks = {
    "ops:file": _file,
    "ops:link": _link,
    "ops:line": _line,
    "ops:block": _block,
    "ops:download": _download,
    "ops:archive": _archive,
    "ops:git": _git,
}
