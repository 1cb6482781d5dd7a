"""Runbooks of executions, by the bodies that the store keeps their texts in: each is read once while it is in use."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from agent.contract.canonical import canonical
from reconciler.core.problem import Defect, Invalid, Problem
from reconciler.documents import document as documents
from reconciler.documents.runbook import Runbook

if TYPE_CHECKING:
    from reconciler.core.ports import Store

REMEMBERED = 200


class Runbooks:
    """May be asked from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[str, Runbook | Problem] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, source_digest: str) -> Runbook | Problem:
        """The runbook, or why this version of the program does not read it (any more). Raises what the store does."""
        with self._lock:
            found = self._known.get(source_digest)
            if found is not None:
                self._known.move_to_end(source_digest)
                return found
        found = self._read(source_digest)
        with self._lock:
            self._known[source_digest] = found
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found

    def source(self, source_digest: str) -> bytes:
        """The body. Raises what the store does, and `Defect` where it has none: it is kept while an execution is."""
        source = self._store.body(source_digest)
        if source is None:
            raise Defect(f"the store has no {source_digest}")
        return source

    def is_reviewed(self, source_digest: str) -> bool:
        """Whether the runbook was found by its name. Raises as `source`."""
        return bool(json.loads(self.source(source_digest))["reviewed"])

    def _read(self, source_digest: str) -> Runbook | Problem:
        try:
            return runbook_in(self.source(source_digest))
        except (Invalid, Defect) as problem:
            return problem


def source_of(path: str, text: bytes, *, reviewed: bool) -> bytes:
    """The body that a runbook is kept in. `reviewed`: it was found by its name, and not brought along."""
    return canonical({"path": path, "reviewed": reviewed, "text": text.decode()})


def runbook_in(source: bytes) -> Runbook:
    """The runbook of a body. Raises `Invalid` where it is none."""
    kept = json.loads(source)
    content = documents.load(kept["text"].encode(), kept["path"]).content
    assert isinstance(content, Runbook)
    return content
