"""Catalogs of commits: loaded on the thread that asks for them, since reading Git takes its time; a few are kept."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.core.problem import Defect, Problem
from reconciler.engine.load import load

if TYPE_CHECKING:
    from reconciler.controller.state import State
    from reconciler.controller.trust import AccessTrust
    from reconciler.core.ports import Source
    from reconciler.engine.catalog import Catalog

log = logging.getLogger(__name__)
KEPT = 3
"""The head's, and what people are comparing with it; a large fleet's takes its room."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A commit's catalog with the access files that count at it; why those are not its own, if they are not.

    `trusted` is what counted when that was judged: judged by anything older, it could bring back what was left behind.
    """

    catalog: Catalog
    trusted: str | None
    access_problem: str = ""


class Catalogs:
    """Pure reading: nothing of a commit runs. One is loaded at a time; may be asked from any thread."""

    def __init__(self, state: State, source: Source, trust: AccessTrust) -> None:
        self._state, self._source, self._trust = state, source, trust
        self._kept: OrderedDict[tuple[str, str], Catalog] = OrderedDict()
        self._loading = threading.Lock()

    def at(self, commit: str) -> Loaded:
        """A commit's catalog. Raises `Unavailable` where it cannot be read, `Defect` for what nobody foresaw."""
        with self._loading:
            trusted = self._state.world.access_revision
            access = self._trust.at(commit, trusted)
            key = (commit, access.commit)
            if key not in self._kept:
                self._kept[key] = self._load(*key)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return Loaded(self._kept[key], trusted, access.problem)

    def _load(self, commit: str, access: str) -> Catalog:
        try:
            return load(self._source, commit, previous=self._state.catalog, access_commit=access)
        except Problem:
            raise
        except Exception as error:
            log.exception("commit %s could not be loaded", commit)
            raise Defect(f"commit {commit[:12]} could not be loaded ({error!r}); the log has the details") from error
