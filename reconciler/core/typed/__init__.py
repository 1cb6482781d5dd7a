"""Typed loading: a tree and the type it should be -> an instance, or every finding with its line and column.

Belongs here: how a scalar's source text becomes what the type asks for, and pydantic's complaints in people's words.
Does not belong here: the types themselves, reading files (see `reconciler.core.manifest`).

A type is a pydantic model or a dataclass of the contract. Its JSON Schema, the one that is published for editors,
leads the coercion; pydantic then validates and builds the instance. Extensions of the schema that are understood:
`format: octal-mode`, `x-one-or-many` (an array whose only item may stand alone), `x-quoted` (a number or boolean may be
quoted), `x-json` (a mapping may be its JSON text), `x-subtree` (left as read), `x-expected` (what an error says was
expected).
"""

from reconciler.core.typed.loading import check, load
from reconciler.core.typed.markers import OctalMode, StringOrList, Subtree, Wrong

__all__ = ["OctalMode", "StringOrList", "Subtree", "Wrong", "check", "load"]
