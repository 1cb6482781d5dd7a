"""What bodies own that were given out once, read from the store where somebody asks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from reconciler.engine.handover import Owned, owned_by

if TYPE_CHECKING:
    from reconciler.core.ports import Store

BODIES_REMEMBERED = 4096


class Ownership:
    """A function from a body's digest to its claims; may be asked from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[str, Owned] = OrderedDict()
        self._remembering = threading.Lock()

    def __call__(self, body_digest: str) -> Owned:
        with self._remembering:
            found = self._known.get(body_digest)
        if found is None:
            body = self._store.body(body_digest)
            if body is None:  # its commit may be in doubt: it is asked for again
                return ()
            found = owned_by(body)
            with self._remembering:
                self._known[body_digest] = found
                while len(self._known) > BODIES_REMEMBERED:
                    self._known.popitem(last=False)
        return found
