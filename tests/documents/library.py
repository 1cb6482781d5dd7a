"""The documents that are built in, and what is known of AWS's own of the same names, beside the clone."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from reconciler.documents.document import Document, load

FACTS = Path(__file__).parents[3] / "shared" / "facts" / "managed-documents.json"
MISSING = "no facts of AWS's own documents at ../shared beside the clone"
LIBRARY = Path(__file__).parents[2] / "reconciler" / "documents" / "library"


def names() -> list[str]:
    """Of all documents that are built in."""
    return sorted(path.stem for path in LIBRARY.glob("*.yaml"))


def document(name: str) -> Document:
    return load((LIBRARY / f"{name}.yaml").read_bytes(), f"{name}.yaml")


@functools.cache
def facts() -> dict[str, Any]:
    """AWS's documents by name; nothing where it is not known."""
    return json.loads(FACTS.read_text()) if FACTS.exists() else {}
