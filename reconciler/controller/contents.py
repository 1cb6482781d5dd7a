"""Bytes by digest for previews: what nodes were given comes from the store, what Git asks for from its blobs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.core.ports import Source
    from reconciler.engine.catalog import Catalog


class FileContents:
    """Looks a file's digest up in `kept` first, then among the files that the catalog's bodies name."""

    def __init__(self, catalog: Catalog, source: Source, kept: Callable[[str], bytes | None]) -> None:
        self._catalog, self._source, self._kept = catalog, source, kept
        self._oids: dict[str, str] | None = None

    def __call__(self, digest: str) -> bytes | None:
        found = self._kept(digest)
        if found is not None:
            return found
        if self._oids is None:
            self._oids = self._index()
        oid = self._oids.get(digest)
        return self._source.blobs([oid])[oid] if oid is not None else None

    def _index(self) -> dict[str, str]:
        index = {}
        for uid, compiled in self._catalog.compiled.items():
            files = json.loads(compiled.body).get("files", {})
            tree = self._source.tree(self._catalog.resources[uid].revision) if files else {}
            for path, file in files.items():
                if path in tree:
                    index[file["digest"]] = tree[path].oid
        return index
