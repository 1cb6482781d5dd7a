"""Bytes by digest for previews: what nodes were given comes from the store, what Git asks for from its blobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.engine.catalog import Catalog
    from reconciler.engine.sources import View


class FileContents:
    """Looks a file's digest up in `kept` first, then among the files that the bodies of `catalogs` name."""

    def __init__(self, view: View, kept: Callable[[str], bytes | None], *catalogs: Catalog) -> None:
        self._view, self._kept, self._catalogs = view, kept, catalogs
        self._oids: dict[str, str] | None = None

    def __call__(self, digest: str) -> bytes | None:
        found = self._kept(digest)
        if found is not None:
            return found
        if self._oids is None:
            self._oids = {
                file.ref.digest: file.blob
                for catalog in self._catalogs
                for compiled in catalog.compiled.values()
                for file in compiled.files.values()
            }
        oid = self._oids.get(digest)
        return self._view.blobs([oid])[oid] if oid is not None else None
