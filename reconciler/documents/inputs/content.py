"""Where content comes from that a node downloads, and where it is put."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from agent.contract.codec import camel, to_wire
from agent.contract.inputs.content import SECRETS, SOURCES, NamedDocument
from reconciler.core.problem import Finding, nearest
from reconciler.core.typed import check
from reconciler.core.typed.words import one_of, path_text
from reconciler.documents.inputs.flaw import Flaw
from reconciler.documents.inputs.origin import no_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.contract.inputs.content import DownloadContentInputs, HttpSource, RunDocumentInputs, S3Source
    from reconciler.core.manifest import Loc, Places, Tree
    from reconciler.documents.inputs.flaw import Checks

_WRITTEN: Mapping[str, Any] = {**SOURCES, "SSMDocument": NamedDocument}
"""What authors write as `sourceInfo`, by `sourceType`."""


def with_source(
    typed: DownloadContentInputs, tree: Tree, places: Places, loc: Loc
) -> tuple[DownloadContentInputs | None, tuple[Finding, ...]]:
    """The inputs with `sourceInfo` as its type has it, None where a finding is an error. Findings may be warnings."""
    where = (*loc, "sourceInfo")
    given = tree["sourceInfo"] if isinstance(tree, dict) else {}
    given = given if isinstance(given, dict) else typed.source_info
    kind = _WRITTEN[typed.source_type]
    known = [camel(field.name) for field in fields(kind)]
    if not given:
        return None, (Finding(f"{path_text(where)} is empty", places.of(where), one_of(sorted(known))),)
    findings = [
        Finding(
            f"unknown field {path_text((*where, name))}, which SSM ignores",
            places.of((*where, name), key=True),
            one_of(sorted(known)),
            nearest(name, known),
            "warning",
        )
        for name in given
        if name not in known
    ]
    source, found = check(kind, {name: given[name] for name in given if name in known}, places, where)
    findings += found
    if source is not None:
        for flaw in _source_flaws(typed.source_type, source):
            at = (*where, flaw.field)
            findings.append(Finding(f"{path_text(at)} {flaw.message}", places.of(at), flaw.expected))
    if source is None or any(finding.severity == "error" for finding in findings):
        return None, tuple(findings)
    return replace(typed, source_info=to_wire(source)), tuple(findings)


def _source_flaws(kind: str, source: Any) -> Iterator[Flaw]:
    for name, value in to_wire(source).items():
        if name in SECRETS:
            yield Flaw(name, "would be kept in the clear", "nothing, until secrets are sealed for nodes")
        elif isinstance(value, str) and "\0" in value:
            yield Flaw(name, "holds a NUL byte")
    if kind in _MORE:
        yield from _MORE[kind](source)


def _http(source: HttpSource) -> Iterator[Flaw]:
    if why := no_url(source.url):
        yield Flaw("url", why, "a URL of https or http")
    elif source.url.startswith("http:") and not source.allow_insecure_download:
        yield Flaw("url", "is read over http", "https, or `allowInsecureDownload: true` beside it")

    if source.auth_method != "None" and not (source.username and source.password):
        yield Flaw("authMethod", f"is `{source.auth_method}`, without `username` and `password`")


def _s3(source: S3Source) -> Iterator[Flaw]:
    why = no_url(source.path)
    if why or source.path.startswith("http:"):
        yield Flaw("path", why or "is read over http", "an https URL, as https://BUCKET.s3.REGION.amazonaws.com/KEY")


_MORE: Mapping[str, Any] = {"HTTP": _http, "S3": _s3}


def _destination(typed: DownloadContentInputs) -> Iterator[Flaw]:
    yield from _on_node("destinationPath", typed.destination_path)


def _document(typed: RunDocumentInputs) -> Iterator[Flaw]:
    if not typed.document_path:
        yield Flaw("documentPath", "is empty", "a document's name, or its file on the node")
    elif typed.document_type == "LocalPath":
        yield from _on_node("documentPath", typed.document_path)


def _on_node(field: str, path: str) -> Iterator[Flaw]:
    if ".." in path.split("/") or "\0" in path:
        yield Flaw(field, f"is `{path}`", "a path without `..`")


CHECKS: Checks = {
    "aws:downloadContent": _destination,
    "aws:runDocument": _document,
}
