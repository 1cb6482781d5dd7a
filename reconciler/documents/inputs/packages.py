"""Packages, and where they come from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.contract import openpgp
from agent.contract.codec import camel
from reconciler.documents.inputs.flaw import Flaw
from reconciler.documents.inputs.origin import SHA256, no_url, source
from reconciler.documents.inputs.words import path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.contract.inputs import packages
    from reconciler.documents.inputs.flaw import Checks


_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.:_-]*\Z", re.IGNORECASE)
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")


def _package(typed: packages.PackageInputs) -> Iterator[Flaw]:
    if not typed.name:
        yield Flaw("name", "is empty", "at least one package")
    for name in typed.name:
        if not _PACKAGE.match(name):
            yield Flaw("name", f"has `{name}`, which is no package name")
    if typed.version is not None and (len(typed.name) != 1 or typed.state != "present"):
        yield Flaw("version", "is given, but not for a single package that is to be present")


def _repository(typed: packages.RepositoryInputs) -> Iterator[Flaw]:
    if typed.state == "present":
        yield from _packages(typed)
        yield from _key(typed)
    for name, value in typed.options.items():
        if not _FIELD.match(name) or "\n" in value:
            yield Flaw("options", f"has `{name}`, which is no field of one line")


def _packages(typed: packages.RepositoryInputs) -> Iterator[Flaw]:
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


def _key(typed: packages.RepositoryInputs) -> Iterator[Flaw]:
    given = [camel(name) for name in ("key", "source", "key_url", "key_path") if getattr(typed, name)]
    if len(given) > 1 or (given and typed.trusted):
        names = " and ".join(f"`{name}`" for name in [*given, *(["trusted"] if typed.trusted else [])])
        yield Flaw("", f"give {names}", "one key, or packages that nobody signed")
    if typed.key is not None:
        try:
            openpgp.binary(typed.key.encode())
        except openpgp.NotAKey as error:
            yield Flaw("key", f"is no public key: {error}", "what `gpg --armor --export` prints")
    if typed.key_url and (wrong := no_url(typed.key_url)):
        yield Flaw("keyUrl", wrong, "a URL of https or http")
    if typed.key_url and not SHA256.match(typed.key_sha256):
        yield Flaw("keySha256" if typed.key_sha256 else "", "do not say which key is at `keyUrl`", "`keySha256`")
    yield from path("keyPath", typed.key_path or None)
    yield from source(typed.source)


CHECKS: Checks = {
    "ops:package": _package,
    "ops:repository": _repository,
}
