"""Inputs of what a node fetches from elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.contract import openpgp
from agent.contract.claims import unsafe_path
from agent.contract.codec import camel
from reconciler.documents.flaw import Flaw, unsafe_source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.contract.inputs.files import ArchiveInputs, DownloadInputs
    from agent.contract.inputs.packages import RepositoryInputs

_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
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


def repository(typed: RepositoryInputs) -> Iterator[Flaw]:
    """ops:repository."""
    if typed.state == "present":
        yield from _packages(typed)
        yield from _key(typed)
    for name, value in typed.options.items():
        if not _FIELD.match(name) or "\n" in value:
            yield Flaw("options", f"has `{name}`, which is no field of one line")


def _packages(typed: RepositoryInputs) -> Iterator[Flaw]:
    if not typed.uris and not {"mirrorlist", "metalink"} & set(typed.options):
        yield Flaw("", "give no `uris`", "where the packages are")
    for uri in typed.uris:
        if not uri or len(uri.split()) != 1 or ":" not in uri:
            yield Flaw("uris", f"has `{uri}`, which is no URI")
        elif urlsplit(uri).username is not None:
            yield Flaw("uris", "name a user, and everybody on the node may read the file")
    if typed.type != "apt":
        for name in ("suites", "components", "architectures"):
            if getattr(typed, name):
                yield Flaw(name, f"is given, and {typed.type} has none")
        return
    if not typed.suites:
        yield Flaw("", "give no `suites`", "as bookworm, or `./` for a directory of packages")
    directories = [suite.endswith("/") for suite in typed.suites]
    if any(directories) if typed.components else not all(directories):
        expected = "components for suites, and none for a directory"
        yield Flaw("components" if typed.components else "", "do not go with the suites", expected)


def _key(typed: RepositoryInputs) -> Iterator[Flaw]:
    given = [camel(name) for name in ("key", "source", "key_url", "key_path") if getattr(typed, name)]
    if len(given) > 1 or (given and typed.trusted):
        names = " and ".join(f"`{name}`" for name in [*given, *(["trusted"] if typed.trusted else [])])
        yield Flaw("", f"give {names}", "one key, or packages that nobody signed")
    if typed.key is not None:
        try:
            openpgp.binary(typed.key.encode())
        except openpgp.NotAKey as error:
            yield Flaw("key", f"is no public key: {error}", "what `gpg --armor --export` prints")
    if typed.key_url and (wrong := _no_url(typed.key_url)):
        yield Flaw("keyUrl", wrong, "a URL of https or http")
    if typed.key_url and not _SHA256.match(typed.key_sha256):
        yield Flaw("keySha256" if typed.key_sha256 else "", "do not say which key is at `keyUrl`", "`keySha256`")
    if typed.key_path and (why := unsafe_path(typed.key_path)):
        yield Flaw("keyPath", f"is `{typed.key_path}`: {why}", "an absolute path")
    if typed.source is not None and (why := unsafe_source(typed.source)):
        yield Flaw("source", f"is `{typed.source}`: it {why}", "a path from the root of the repository")


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
