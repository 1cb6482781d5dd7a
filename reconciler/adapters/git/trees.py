"""Trees: every file of a commit by path, and what differs between two. A new tree costs what changed in it."""

from __future__ import annotations

import threading
from types import MappingProxyType
from typing import TYPE_CHECKING

from reconciler.adapters.git.objects import Kept
from reconciler.core.ports import Change, Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.adapters.git.command import Git
    from reconciler.adapters.git.objects import Objects

_TREE_BUDGET = 64 << 20
_ENTRY_BYTES = 300  # what one Entry and its place in a dict weigh, about
_CHANGES_BUDGET = 16 << 20
_FILE_MODES = ("100644", "100755", "120000")  # not 160000: a submodule's content is in another repository


class Trees:
    """Trees by commit id, derived from the one used last where there is one. Safe to use from several threads."""

    def __init__(self, git: Git, objects: Objects) -> None:
        self._git = git
        self._objects = objects
        self._trees: Kept[Mapping[str, Entry]] = Kept(_TREE_BUDGET, lambda tree: len(tree) * _ENTRY_BYTES)
        self._changes: Kept[tuple[Change, ...]] = Kept(_CHANGES_BUDGET, lambda found: len(found) * 2 * _ENTRY_BYTES)
        self._lock = threading.RLock()

    def tree(self, oid: str) -> Mapping[str, Entry]:
        """Every file of a commit, sorted by path; submodules are left out."""
        with self._lock:
            tree = self._trees.get(oid)
            if tree is None:
                nearest = self._trees.newest()
                tree = self._listed(oid) if nearest is None else _applied(nearest[1], self._between(nearest[0], oid))
                self._trees.put(oid, tree)
            return tree

    def changes(self, old: str | None, new: str) -> list[Change]:
        """Paths that differ, sorted by path; a rename is a removal and an addition."""
        if old is None:
            return [Change(path, None, entry) for path, entry in self.tree(new).items()]
        with self._lock:
            return list(self._between(old, new))

    def touching(self, oid: str, folder: str, after: str | None) -> list[tuple[str, list[Change]]]:
        """See `Source`; commits by their ids."""
        span = [oid, f"^{after}"] if after is not None else [oid]
        output = self._git.run(*_FOLLOWED, *span, "--", folder.rstrip("/"), settings=_UNSIGNED)
        steps = list(_touching(output))
        sides = {side for _, found in steps for _, *both in found for side in both}
        sizes = self._objects.sizes({oid for mode, oid in sides if mode in _FILE_MODES})
        return [
            (commit, [Change(path, *(_side(path, *side, sizes) for side in both)) for path, *both in found])
            for commit, found in steps
        ]

    def _listed(self, oid: str) -> Mapping[str, Entry]:
        return MappingProxyType({entry.path: entry for entry in listed(self._git.run("ls-tree", "-rlz", oid))})

    def _between(self, old: str, new: str) -> tuple[Change, ...]:
        key = f"{old} {new}"
        changes = self._changes.get(key)
        if changes is None:
            differing = list(_differing(self._git.run("diff-tree", "-r", "-z", "--no-renames", old, new)))
            sizes = self._objects.sizes({oid for _, *sides in differing for mode, oid in sides if mode in _FILE_MODES})
            pairs = (Change(path, *(_side(path, *side, sizes) for side in sides)) for path, *sides in differing)
            changes = tuple(change for change in pairs if change.old or change.new)
            self._changes.put(key, changes)
        return changes


def listed(output: bytes) -> Iterator[Entry]:
    """The files in the output of `ls-tree -rlz`. Bytes of a path that are not UTF-8 become surrogate escapes."""
    for record in output.split(b"\0")[:-1]:
        facts, _, path = record.partition(b"\t")
        mode, _, oid, size = facts.decode().split()
        if mode in _FILE_MODES:
            yield Entry(path.decode(errors="surrogateescape"), oid, mode, int(size))


def _differing(output: bytes) -> Iterator[tuple[str, tuple[str, str], tuple[str, str]]]:
    """Path, (mode, id) before and after, from the output of `diff-tree -r -z`."""
    fields = output.split(b"\0")[:-1]
    for facts, path in zip(fields[::2], fields[1::2], strict=True):
        old_mode, new_mode, old, new, _ = facts.decode().removeprefix(":").split()
        yield path.decode(errors="surrogateescape"), (old_mode, old), (new_mode, new)


_FOLLOWED = (
    *("log", "-z", "--first-parent", "--diff-merges=first-parent", "--reverse", "--raw", "--root"),
    *("--no-abbrev", "--no-renames", "--format=%H"),
)
_UNSIGNED = {"log.showSignature": "false", "log.follow": "false"}


def _touching(output: bytes) -> Iterator[tuple[str, list[tuple[str, tuple[str, str], tuple[str, str]]]]]:
    """Commits and what they changed, from the output of `log -z --raw --format=%H`."""
    fields = iter(output.split(b"\0"))
    commit, changes = "", b""
    for field in fields:
        facts = field.removeprefix(b"\n")
        if facts.startswith(b":"):
            changes += facts + b"\0" + next(fields) + b"\0"
            continue
        if commit:
            yield commit, list(_differing(changes))
        commit, changes = facts.decode(), b""


def _side(path: str, mode: str, oid: str, sizes: Mapping[str, int]) -> Entry | None:
    return Entry(path, oid, mode, sizes[oid]) if mode in _FILE_MODES else None


def _applied(tree: Mapping[str, Entry], changes: tuple[Change, ...]) -> Mapping[str, Entry]:
    entries = dict(tree)
    for change in changes:
        if change.new is None:
            entries.pop(change.path, None)
        else:
            entries[change.path] = change.new
    if any(change.old is None for change in changes):
        entries = dict(sorted(entries.items()))
    return MappingProxyType(entries)
