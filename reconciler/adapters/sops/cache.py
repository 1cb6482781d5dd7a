"""Files that were opened before: one that did not change is not opened again.

A file is known by its blob id, so what is kept can never be stale. What is kept is bounded, and `forget` lets go of it:
values are in memory no longer than somebody works with them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from reconciler.adapters.sops.opening import decrypt
from reconciler.core.problem import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.adapters.sops.keyring import Keyring
    from reconciler.adapters.sops.opening import Tree

MAX_BYTES = 32 << 20


class Trees:
    """Trees by blob id and path, the least recently asked for leaving first. For one thread."""

    def __init__(self, keys: Keyring, max_bytes: int = MAX_BYTES) -> None:
        self._keys = keys
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, str], tuple[int, Tree | Invalid]] = OrderedDict()

    def decrypt(self, oid: str, data: bytes, path: str) -> Tree:
        """As `sops.decrypt`, where `oid` is the blob id of `data`. What is wrong with a file is kept as well, not that
        no key opens it."""
        known = self._kept.get((oid, path))
        if known is not None:
            self._kept.move_to_end((oid, path))
            return _given(known[1])
        try:
            found: Tree | Invalid = decrypt(data, path, self._keys)
        except Invalid as error:
            found = error
        self._keep((oid, path), len(data), found)
        return _given(found)

    def forget(self, oids: Iterable[str] | None = None) -> None:
        """Let go of all, or of these blobs."""
        gone = set(oids) if oids is not None else None
        for name in [name for name in self._kept if gone is None or name[0] in gone]:
            self._bytes -= self._kept.pop(name)[0]

    def __len__(self) -> int:
        return len(self._kept)

    def _keep(self, name: tuple[str, str], size: int, found: Tree | Invalid) -> None:
        self._kept[name] = (size, found)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._bytes -= self._kept.popitem(last=False)[1][0]


def _given(found: Tree | Invalid) -> Tree:
    if isinstance(found, Invalid):
        raise Invalid(found.findings)
    return found
