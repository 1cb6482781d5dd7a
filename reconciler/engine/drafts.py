"""Drafts: what the files of a commit say, one by one, before anything they refer to is looked at.

Reading a file depends on its path and bytes alone, so it is done once per (path, blob).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.capabilities.registry import KINDS, is_document, kinds_at
from reconciler.core import parameters
from reconciler.core.manifest import Places, read
from reconciler.core.problem import Finding, Invalid, Place, nearest
from reconciler.core.resource import NAME_PATTERN, Metadata, uid
from reconciler.core.typed import check
from reconciler.core.typed.words import is_what, one_of
from reconciler.documents import document
from reconciler.documents.checked import name_of
from reconciler.documents.custom import manifest as custom

if TYPE_CHECKING:
    from reconciler.capabilities.registry import Kind
    from reconciler.core.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Draft:
    """A resource that its own file declares rightly. `blob` and `index` tell which document of which bytes it is."""

    uid: str
    kind: str
    name: str
    metadata: Metadata
    spec: Any
    place: Place
    places: Places
    blob: str
    index: int

    @property
    def key(self) -> tuple[str, str, int]:
        """What the draft depends on."""
        return self.place.path, self.blob, self.index


@dataclass(frozen=True, slots=True)
class Broken:
    """A resource that its file declares wrongly, but names."""

    uid: str
    kind: str
    name: str
    place: Place
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What one file holds. `unreadable` are the findings on parts that do not even say what they declare."""

    path: str
    drafts: tuple[Draft, ...] = ()
    broken: tuple[Broken, ...] = ()
    unreadable: tuple[Finding, ...] = ()


def is_read(path: str) -> bool:
    """Whether a file of this path declares anything."""
    ours = is_document(path) or bool(kinds_at(path)) or bool(custom.name_at(path))
    return ours or parameters.is_parameters(path)


def read_file(path: str, blob: str, data: bytes) -> ReadFile:
    """What a file declares. Never raises for what the file holds."""
    if is_document(path):
        return _document(path, blob, data)
    if custom.name_at(path):
        return _step(path, blob, data)
    try:
        if parameters.is_parameters(path):
            return _parameters(path, blob, data)
        manifests = read(data, path)
    except Invalid as invalid:
        return ReadFile(path, unreadable=invalid.findings)
    return _resources(path, blob, manifests)


def _resources(path: str, blob: str, manifests: list[Manifest]) -> ReadFile:
    drafts: list[Draft] = []
    broken: list[Broken] = []
    unreadable: list[Finding] = []
    for manifest in manifests:
        found = _resource(manifest, kinds_at(path), blob)
        if isinstance(found, Draft):
            drafts.append(found)
        elif isinstance(found, Broken):
            broken.append(found)
        else:
            unreadable += found
    return ReadFile(path, tuple(drafts), tuple(broken), tuple(unreadable))


PARAMETER_FILE = "ParameterFile"
"""What a tree file is as a resource: it holds or falls as a whole. Its name is its path, its spec what it declares."""


def _parameters(path: str, blob: str, data: bytes) -> ReadFile:
    """A tree file, a file of resources, or both in one. Raises `Invalid` where nobody can say what it declares."""
    declared = parameters.read(data, path)
    found = _resources(path, blob, declared.resources)
    known, place = uid(PARAMETER_FILE, path), Place(path)
    if declared.findings:
        broken = Broken(known, PARAMETER_FILE, path, place, tuple(declared.findings))
        return ReadFile(path, found.drafts, (*found.broken, broken), found.unreadable)
    if not declared.trees:
        return found
    metadata = Metadata.model_construct(name=path)
    tree = Draft(
        known, PARAMETER_FILE, path, metadata, declared.parameters, place, Places(data, path), blob, _WHOLE_FILE
    )
    return ReadFile(path, (*found.drafts, tree), found.broken, found.unreadable)


_WHOLE_FILE = -1


def _document(path: str, blob: str, data: bytes) -> ReadFile:
    name = name_of(path)
    known = uid(document.KIND, name)
    place = Place(path)
    try:
        found = document.load(data, path)
    except Invalid as invalid:
        return ReadFile(path, broken=(Broken(known, document.KIND, name, place, invalid.findings),))
    metadata = Metadata(name=name)
    return ReadFile(path, (Draft(known, document.KIND, name, metadata, found, place, found.places, blob, 0),))


def _step(path: str, blob: str, data: bytes) -> ReadFile:
    name = custom.name_at(path)
    known, place = uid(custom.KIND, name), Place(path)
    try:
        found = custom.load(data, path)
    except Invalid as invalid:
        return ReadFile(path, broken=(Broken(known, custom.KIND, name, place, invalid.findings),))
    metadata = Metadata(name=name)
    return ReadFile(path, (Draft(known, custom.KIND, name, metadata, found, place, found.places, blob, 0),))


def _resource(manifest: Manifest, allowed: tuple[Kind, ...], blob: str) -> Draft | Broken | tuple[Finding, ...]:
    tree, places = manifest.tree, manifest.places
    if not isinstance(tree, dict):
        finding = Finding(
            f"the document {is_what(tree)}", places.of(), "a mapping with apiVersion, kind, metadata, spec"
        )
        return (finding,)
    named = tree.get("kind")
    kind = next((kind for kind in allowed if kind.name == named), None)
    if kind is None:
        return (_wrong_kind(named, manifest, allowed),)
    envelope, findings = check(kind.envelope, tree, places)
    if envelope is None:
        name, known = _identity(kind, tree)
        return Broken(known, kind.name, name, places.start, findings) if name else findings
    metadata: Metadata = envelope.metadata
    known = _uid(kind, metadata.name, metadata.renamed_from)
    place = places.start
    return Draft(known, kind.name, metadata.name, metadata, envelope.spec, place, places, blob, manifest.index)


def _wrong_kind(named: Any, manifest: Manifest, allowed: tuple[Kind, ...]) -> Finding:
    place = manifest.places.of(("kind",))
    expected = one_of([kind.name for kind in allowed])
    if isinstance(named, str) and named in KINDS:
        message = f"a resource of kind {named} is read in `{KINDS[named].place}` only"
        return Finding(message, place, f"{expected} here")
    if named is None or named == "":
        return Finding("`kind` is missing", place, expected)
    if isinstance(named, str):
        return Finding(f"there is no kind `{named}`", place, expected, nearest(named, KINDS))
    return Finding(f"`kind` {is_what(named)}", place, expected)


def _identity(kind: Kind, tree: dict[str, Any]) -> tuple[str, str]:
    """Name and uid of a resource whose file is wrong elsewhere; empty where the name is wrong too."""
    metadata = tree.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name, before = (_name(metadata.get(field)) for field in ("name", "renamedFrom"))
    return (name, _uid(kind, name, before or None)) if name else ("", "")


def _name(value: Any) -> str:
    return str(value) if isinstance(value, str) and re.match(NAME_PATTERN, value) else ""


def _uid(kind: Kind, name: str, renamed_from: str | None) -> str:
    """The identity that lasts. `renamedFrom` keeps the first name, however often the resource is renamed."""
    return uid(kind.name, renamed_from or name if kind.lasting else name)
