"""What checking a document of one format gives, and the checks that all formats share."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from reconciler.core.problem import Finding, nearest
from reconciler.core.typed.words import one_of
from reconciler.documents import parameters

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from reconciler.core.manifest import Loc, Places
    from reconciler.documents.parameters import Declaring
    from reconciler.documents.steps import ReadyStep

DocumentType = Literal["Command", "Policy", "Automation", "Session", "Package"]


def name_of(path: str) -> str:
    """A document's name: its file's, without extension."""
    return posixpath.splitext(posixpath.basename(path))[0]


class Checked(NamedTuple):
    """A document's type, its model (None where its fields are wrong), all findings, and its steps if nodes run them."""

    type: DocumentType
    content: Any
    findings: list[Finding]
    steps: tuple[ReadyStep, ...] = ()


def doubtful_parameters(content: Declaring, places: Places) -> Iterator[Finding]:
    """Defaults that the declaration itself would not take, and patterns of another dialect."""
    for name, wrong in parameters.doubtful_defaults(content):
        place = places.of(("parameters", name, "default"))
        yield Finding(f"the default {wrong.message}", place, wrong.expected, wrong.nearest, "warning")
    for name, parameter in content.parameters.items():
        if parameter.allowed_pattern and parameters.pattern_of(parameter.allowed_pattern) is None:
            place = places.of(("parameters", name, "allowedPattern"))
            message = "the pattern is not one that can be checked here; values are taken unchecked"
            yield Finding(message, place, "a regular expression", severity="warning")


_LOOKS_LIKE_A_PARAMETER = re.compile(r"\{\{\s*([A-Za-z]\w*)\s*\}\}")
_OTHER_LANGUAGES = frozenset({"end", "else", "break", "continue"})
"""Words that Go templates, as container tools take them, have between the same braces."""


def strange_references(
    tree: Any, loc: Loc, declared: Mapping[str, Any], places: Places, but: Collection[Loc] = ()
) -> Iterator[Finding]:
    """`{{ name }}` of no declared parameter below `loc`: it stays as it stands, which may not be what was meant.

    `but` are paths below `tree` where another language is at home.
    """
    for below, text in _texts(tree, ()):
        if below in but:
            continue
        for found in sorted(set(_LOOKS_LIKE_A_PARAMETER.findall(text)) - declared.keys() - _OTHER_LANGUAGES):
            message = f"`{{{{ {found} }}}}` is no parameter of this document and stays as it is"
            expected = one_of(sorted(declared)) if declared else "a declared parameter"
            yield Finding(message, places.of((*loc, *below)), expected, nearest(found, declared), "warning")


def _texts(tree: Any, loc: Loc) -> Iterator[tuple[Loc, str]]:
    """Every text that has double braces, and where it is."""
    if isinstance(tree, str):
        if "{{" in tree:
            yield loc, tree
    elif isinstance(tree, (dict, list)):
        for step, item in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _texts(item, (*loc, step))
