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
    if len(data) > MAX_BYTES:
        finding = Finding(f"the file has {len(data)} bytes", Place(path), expected=f"at most {MAX_BYTES}")
        raise Invalid((finding,))
    found = parse(data, path)
    return [
        Manifest(document.tree, path, index, Places(data, path, index, found.text.place(document.offset)))
        for index, document in enumerate(found.documents)
    ]


def read_one(data: bytes, path: str) -> Manifest:
    """The document of a file that may hold only one, as raw SSM documents do. Raises `Invalid`."""
    first, *others = read(data, path)
    if others:
        expected = "one document in each file of this sort"
        message = "a second document begins here"
        raise Invalid((Finding(message, others[0].places.start, expected, related=(first.places.start,)),))
    return first
