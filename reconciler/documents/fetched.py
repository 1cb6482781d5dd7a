"""Inputs of what a node fetches from elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reconciler.documents.flaw import Flaw, unsafe_source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.contract.inputs import ArchiveInputs, DownloadInputs

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


def download(typed: DownloadInputs) -> Iterator[Flaw]:
    """ops:download."""
    if typed.state == "present":
        yield from _known(typed.url, typed.sha256)
    yield from _bound(typed.max_bytes)


def archive(typed: ArchiveInputs) -> Iterator[Flaw]:
    """ops:archive."""
    given = [name for name in ("source", "url") if getattr(typed, name)]
    if typed.state == "absent":
        for name in given:
            yield Flaw(name, "is given for a tree that is to be absent")
    elif len(given) != 1:
        what = "give both `source` and `url`" if given else "give no archive"
        yield Flaw("", what, "one of `source` and `url`")
    elif typed.url:
        yield from _known(typed.url, typed.sha256)
    if typed.source is not None and (why := unsafe_source(typed.source)):
        yield Flaw("source", f"is `{typed.source}`: it {why}", "a path from the root of the repository")
    if typed.strip_components < 0:
        yield Flaw("stripComponents", f"is `{typed.strip_components}`", "at least 0")
    yield from _bound(typed.max_bytes)


def _known(url: str, sha256: str) -> Iterator[Flaw]:
    """Where something is from, and how it is known."""
    if why := _no_url(url):
        yield Flaw("url" if url else "", why, "a URL of https or http")
    if not _SHA256.match(sha256):
        said = f"is `{sha256}`" if sha256 else "give no `sha256`"
        yield Flaw("sha256" if sha256 else "", said, "64 hexadecimal digits in lower case, as sha256sum prints them")


def _no_url(url: str) -> str:
    """Why nothing can be fetched from there; empty where it can."""
    if not url:
        return "give no `url`"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"is `{url}`"
    return "names a user, and whoever may read the repository could sign in" if parts.username is not None else ""


def _bound(max_bytes: int) -> Iterator[Flaw]:
    if max_bytes < 1:
        yield Flaw("maxBytes", f"is `{max_bytes}`", "at least 1")
