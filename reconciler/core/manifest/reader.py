"""Files of documents: what `read` gives, and the bounds on what it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.core.manifest.places import Places
from reconciler.core.manifest.syntax import parse
from reconciler.core.problem import Finding, Invalid, Place

if TYPE_CHECKING:
    from reconciler.core.manifest.scalar import Tree

MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """One document of a file. `index` counts the documents of the file from 0, empty ones left out."""

    tree: Tree
    path: str
    index: int
    places: Places = field(compare=False, repr=False)


def read(data: bytes, path: str) -> list[Manifest]:
    """Every document of a YAML or JSON file.

    Raises `Invalid` with all that is wrong before types are looked at: encoding, syntax, duplicate keys, tags, size.
    """
    manifests, findings = examine(data, path)
    if findings:
        raise Invalid(findings)
    for manifest in manifests:
        manifest.places.forget()
    return manifests


def examine(data: bytes, path: str) -> tuple[list[Manifest], tuple[Finding, ...]]:
    """As `read`, but giving the trees of a file besides what is wrong about them: duplicate keys, of which the first
    holds, and unknown tags, each a mapping of the tag to its value. Their places are known until they `forget`.

    Raises `Invalid` where the text becomes no tree.
    """
    if len(data) > MAX_BYTES:
        finding = Finding(f"the file has {len(data)} bytes", Place(path), expected=f"at most {MAX_BYTES}")
        raise Invalid((finding,))
    found = parse(data, path)
    manifests = [
        Manifest(document.tree, path, index, Places(data, path, index, found.text.place(document.offset), found))
        for index, document in enumerate(found.documents)
    ]
    return manifests, tuple(found.findings)


def read_one(data: bytes, path: str) -> Manifest:
    """The document of a file that may hold only one, as raw SSM documents do. Raises `Invalid`."""
    manifest, findings = examine_one(data, path)
    if findings:
        raise Invalid(findings)
    manifest.places.forget()
    return manifest


def examine_one(data: bytes, path: str) -> tuple[Manifest, tuple[Finding, ...]]:
    """The first document of a file that may hold only one, and what is wrong about it. Raises as `examine`."""
    (first, *others), findings = examine(data, path)
    if others:
        expected = "one document in each file of this sort"
        message = "a second document begins here"
        findings += (Finding(message, others[0].places.start, expected, related=(first.places.start,)),)
    return first, findings
