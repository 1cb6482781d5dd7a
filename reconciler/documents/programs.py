"""Programs that reach a document from outside: to run such a document is to run anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.documents.document import Document

BRINGING = frozenset(
    {
        "aws:applications",
        "aws:configurePackage",
        "aws:downloadContent",
        "aws:psModule",
        "aws:runDockerAction",
        "aws:runDocument",
    }
)
"""Actions that bring programs from where their inputs say."""
_WHOLE = re.compile(r"\s*\{\{\s*[\w.:-]+\s*\}\}\s*\Z")


def takes_programs(document: Document) -> bool:
    """Whether a step runs what a parameter is, whole, or what it fetches from where a parameter says."""
    return any(
        ready.step.action in BRINGING or any(map(_WHOLE.match, _texts(ready.tree.get("runCommand"))))
        for ready in document.steps
    )


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, list):
        yield from (one for one in tree if isinstance(one, str))
