"""Places: where in the repository a step of an association is asked for, as people are shown it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.capabilities.nodes.association import Compiled
    from reconciler.core.manifest import Loc, Places
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.difference import PlaceOf


class StepPlaces:
    """Looks places up by association and step; each is worked out once, for many associations share a document."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._of: dict[str, PlaceOf] = {}
        self._texts: dict[tuple[Places, Loc], str] = {}

    def of(self, uid: str) -> PlaceOf:
        """For an association: the place of a step; for what concerns no step it has, the association's own."""
        if uid not in self._of:
            compiled = self._catalog.compiled.get(uid)
            self._of[uid] = partial(self._place, compiled, {}) if compiled is not None else _nowhere
        return self._of[uid]

    def _place(self, compiled: Compiled, known: dict[str, str], step: str) -> str:
        if step not in known:
            known[step] = self._found(compiled, step)
        return known[step]

    def _found(self, compiled: Compiled, step: str) -> str:
        for placed in (*compiled.claims, *compiled.runs) if step else ():
            if placed.step == step:
                return self._text(placed.places, placed.loc)
        return str(compiled.place)

    def _text(self, places: Places, loc: Loc) -> str:
        if (places, loc) not in self._texts:
            self._texts[places, loc] = str(places.of(loc))
        return self._texts[places, loc]


def _nowhere(_step: str) -> str:
    return ""
