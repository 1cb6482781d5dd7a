"""Where content comes from: the document, a file of the repository, the web."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reconciler.documents.inputs.flaw import Flaw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.contract.inputs import files, network, services

SHA256 = re.compile(r"[0-9a-f]{64}\Z")


def content(typed: files.FileInputs | services.UnitInputs | network.FirewallInputs) -> Iterator[Flaw]:
    """`content` or `source` of what is written."""
    given = [name for name in ("content", "source") if getattr(typed, name) is not None]
    yield from one_of_two(given, ("content", "source"), typed.state, "a file", "no content")
    yield from source(typed.source)


def one_of_two(given: list[str], names: tuple[str, str], state: str, thing: str, nothing: str) -> Iterator[Flaw]:
    """Either of two inputs says what a thing is of; `given` are those of `names` that do."""
    one, other = names
    if state == "absent":
        for name in given:
            yield Flaw(name, f"is given for {thing} that is to be absent")
    elif len(given) != 1:
        yield Flaw(
            "", f"give both `{one}` and `{other}`" if given else f"give {nothing}", f"one of `{one}` and `{other}`"
        )


def source(path: str | None) -> Iterator[Flaw]:
    """A file of the repository."""
    if path is not None and (why := _unsafe(path)):
        yield Flaw("source", f"is `{path}`: it {why}", "a path from the root of the repository")


def known(url: str, sha256: str) -> Iterator[Flaw]:
    """Where something is from, and how it is known."""
    if why := no_url(url):
        yield Flaw("url" if url else "", why, "a URL of https or http")
    if not SHA256.match(sha256):
        said = f"is `{sha256}`" if sha256 else "give no `sha256`"
        yield Flaw("sha256" if sha256 else "", said, "64 hexadecimal digits in lower case, as sha256sum prints them")


def no_url(url: str) -> str:
    """Why nothing can be fetched from there; empty where it can."""
    if not url:
        return "give no `url`"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"is `{url}`"
    return "names a user, and whoever may read the repository could sign in" if parts.username is not None else ""


def _unsafe(path: str) -> str:
    """Why a path cannot name a file of the repository; empty where it can."""
    if path.startswith("/"):
        return "is absolute"
    parts = path.split("/")
    if ".." in parts:
        return "has a `..` part"
    if not path or "" in parts or "." in parts or "\0" in path or parts[0] == ".git":
        return "is not a path in the repository"
    return ""
