"""Last good: every resource at the newest revision, back through first-parent history, at which it is valid.

The state after a commit follows from the state before it and the commit's own files, so it is a fold over history. As
most resources are valid at the newest commit, only as much of the past is read as decides about the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.engine.revision import Good

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from reconciler.engine.revision import Revision
    from reconciler.engine.sources import Workings


@dataclass(frozen=True, slots=True)
class Kept:
    """A resource that the repository has, and what of it is in force: None where it was valid nowhere within reach."""

    uid: str
    kind: str
    name: str
    path: str
    good: Good | None = None


State = dict[str, Kept]


@dataclass(frozen=True, slots=True)
class Past:
    """The state after a commit, as an earlier load left it; `unknown` as in `Settled`."""

    commit: str
    state: State
    unknown: frozenset[str]


@dataclass(frozen=True, slots=True)
class Memory:
    """What a catalog keeps for the load after it."""

    main: Past
    access: Past
    workings: Workings = field(repr=False)


@dataclass(frozen=True, slots=True)
class Settled:
    """The newest revision, and the state it leaves. `unknown` are files of which nobody can say what they declare."""

    head: Revision
    state: State
    unknown: frozenset[str]


def settle(
    commits: Iterable[str],
    revision: Callable[[str], Revision],
    past: Past | None,
    usable: Callable[[Revision], bool] = lambda _: True,
) -> Settled:
    """The state after the newest of `commits` (newest first, bounded, not empty).

    A revision that is not usable moves nothing. Where the bound comes first, `past` is as near as it gets.
    """
    head: Revision | None = None
    line: list[Revision] = []
    ends = _OpenEnds()
    for commit in commits:
        if line and not ends:
            past = None
            break
        known = past is not None and commit == past.commit
        if head is None or not known:
            found = revision(commit)
            head = head or found
            if usable(found):
                line.append(found)
                ends.follow(found)
        if known:
            break
    assert head is not None
    state = dict(past.state) if past is not None else {}
    for found in reversed(line):
        state = _after(state, found, None if found is line[0] else ends.seen)
    if not line and past is None:
        state = {known.uid: Kept(known.uid, known.kind, known.name, known.place.path) for known in head.known.values()}
    if line or past is None:
        unreadable = (line[0] if line else head).unreadable
        unknown = frozenset(unreadable) - {kept.path for kept in state.values()}
    else:
        unknown = past.unknown
    return Settled(head, state, unknown)


def _after(before: State, revision: Revision, wanted: Collection[str] | None) -> State:
    """The state after a revision, of the wanted uids (None: all), from the state before it."""
    state: State = {}
    for uid, known in revision.known.items():
        if wanted is None or uid in wanted:
            verdict = revision.verdict(uid)
            earlier = before.get(uid)
            good = verdict if isinstance(verdict, Good) else earlier.good if earlier else None
            state[uid] = Kept(uid, known.kind, known.name, known.place.path, good)
    for uid, kept in before.items():
        if uid not in revision.known and kept.path in revision.unreadable:
            state[uid] = kept
    return state


class _OpenEnds:
    """What the revisions seen so far leave undecided: resources not valid in them, files that could not be read.

    `seen` are all resources that ever were undecided; falsy once nothing is.
    """

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._uids: set[str] = set()
        self._paths: set[str] | None = None

    def __bool__(self) -> bool:
        return bool(self._uids or self._paths)

    def follow(self, revision: Revision) -> None:
        """Go one revision back (the first one is the newest)."""
        if self._paths is None:
            self._paths = set(revision.unreadable)
            self._uids = set(revision.known)
        else:
            self._uids |= {known.uid for known in revision.known.values() if known.place.path in self._paths}
            self._paths &= revision.unreadable.keys()
        self.seen |= self._uids
        self._uids = {uid for uid in self._uids if self._undecided(uid, revision)}

    @staticmethod
    def _undecided(uid: str, revision: Revision) -> bool:
        verdict = revision.verdict(uid)
        if verdict is None:
            return bool(revision.unreadable)
        return not isinstance(verdict, Good)
