"""The reader: the bytes of a YAML or JSON file -> a tree whose scalars keep their source text, and where each part is.

Belongs here: decoding, the two syntaxes, the tree they build, its places, and what a scalar means where no schema
gives it a type. Pure: bytes in, values out.
Does not belong here: kinds, schemas, types (see `reconciler.core.typed`), which files there are.

A tree is dicts, lists and texts. Keys are `str`. A scalar written without quotes is `Plain`, the empty one meaning
null; a quoted or block scalar is exactly `str`. Aliases share their value: a tree is read, never changed.
"""

from reconciler.core.manifest.places import Loc, Places
from reconciler.core.manifest.reader import MAX_BYTES, Manifest, examine, examine_one, read, read_one
from reconciler.core.manifest.scalar import Plain, Tree, resolve
from reconciler.core.manifest.tree import MAX_DEPTH, MAX_NODES

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "Loc",
    "Manifest",
    "Places",
    "Plain",
    "Tree",
    "examine",
    "examine_one",
    "read",
    "read_one",
    "resolve",
]
