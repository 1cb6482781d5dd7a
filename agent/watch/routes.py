"""Which directories tell of which paths: a path is watched by the directory it is in and by all on the way there.

A directory's watch tells of its names, so that a file is seen whichever way it is replaced, and costs no watch of its
own. Where a part on the way is missing, the last directory that is there waits for it; where one is a symbolic link,
both the link and where it leads are watched.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Dict, Iterable, List, Optional, Set, Tuple

from agent.contract.record import NamedTuple
from agent.host import inotify
from agent.host.inotify import Inotify

WATCHES_AT_MOST = 8192
"""Directories watched, as Linux allowed before it went by memory. What is in others is seen at the interval."""
_LINKS_AT_MOST = 40
_BLOCKED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


class _Way(NamedTuple):
    """The names on the way to a directory, each with the watch that tells of it, and the watch of the directory.

    `end` is None where the way is blocked.
    """

    places: Tuple[Tuple[int, str], ...]
    end: Optional[int]


class Routes:
    """The ways to a set of paths, kept up to date as they change. `limited` says why some are not watched."""

    def __init__(self, kernel: Inotify, root: str = "/", at_most: int = WATCHES_AT_MOST) -> None:
        self._kernel, self._root, self._at_most = kernel, os.path.realpath(root), at_most
        self._names: Dict[str, Set[str]] = {}
        self._ways: Dict[str, _Way] = {}
        self._passing: Dict[int, Dict[str, Set[str]]] = {}
        self._ending: Dict[int, Set[str]] = {}
        self._asked: Dict[str, Tuple[int, int]] = {}
        self._watches: Set[int] = set()
        self.limited = ""

    @property
    def watches(self) -> int:
        """Watches in use."""
        return len(self._watches)

    @property
    def unwatched(self) -> int:
        """Paths that are not watched."""
        return sum(len(names) for directory, names in self._names.items() if directory not in self._ways)

    def over(self, paths: Iterable[str]) -> None:
        """Watch these paths, and no others."""
        self._names = {}
        for path in paths:
            directory, name = os.path.split(path)
            self._names.setdefault(directory, set()).add(name)
        for directory in set(self._ways).difference(self._names):
            self._leave(directory)
        self._forget_unused()
        self.refresh()

    def refresh(self) -> Set[str]:
        """Walk all ways again: those of paths that had no watch, too. The paths whose way is another now."""
        self.limited = ""
        return self._walk_again(sorted(self._names))

    def touched(self, event: inotify.Event) -> Set[str]:
        """The paths that an event is about. Where it was on the way, the way is walked again."""
        about = set()
        for directory in self._ending.get(event.watch, ()):
            if event.name in self._names[directory]:
                about.add(os.path.join(directory, event.name))
        passing = self._passing.get(event.watch, {})
        if event.mask & (inotify.IGNORED | inotify.UNMOUNT):
            lost = self._ending.get(event.watch, set()).union(*passing.values())
            self._watches.discard(event.watch)
        else:
            lost = passing.get(event.name, set())
        return about | self._walk_again(sorted(lost))

    def _walk_again(self, directories: Iterable[str]) -> Set[str]:
        changed: Set[str] = set()
        for directory in directories:
            before, way = self._ways.get(directory), self._way(directory)
            if way is not None and way == before:
                continue
            self._leave(directory)
            if way is not None:
                self._take(directory, way)
            changed.update(os.path.join(directory, name) for name in self._names[directory])
        self._asked.clear()
        self._forget_unused()
        return changed

    def _forget_unused(self) -> None:
        for watch in [watch for watch in self._watches if watch not in self._ending and watch not in self._passing]:
            self._watches.discard(watch)
            self._kernel.forget(watch)

    def _way(self, directory: str) -> Optional[_Way]:
        """The way as it is now, watched; None where there is no watch for all of it."""
        places: List[Tuple[int, str]] = []
        here, links = self._root, 0
        ahead = directory.strip("/").split("/")[::-1]
        try:
            while ahead:
                name = ahead.pop()
                if name in ("", "."):
                    continue
                if name == "..":
                    here = self._root if here == self._root else os.path.dirname(here)
                    continue
                places.append((self._watched(here, inotify.NAMES), name))
                here, target = self._entered(here, name)
                links += bool(target)
                if links > _LINKS_AT_MOST:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), directory)
                ahead.extend(target.split("/")[::-1])
            return _Way(tuple(places), self._watched(here, inotify.CONTENTS))
        except OSError as error:
            if error.errno in _BLOCKED:
                return _Way(tuple(places), None)
            self.limited = self.limited or "%s: %s" % (error.filename, error.strerror)
            return None

    def _entered(self, here: str, name: str) -> Tuple[str, str]:
        """Where a name leads: a directory, and where that was a link the path from there on."""
        there = os.path.join(here, name)
        if not stat.S_ISLNK(os.lstat(there).st_mode):
            return there, ""
        target = os.readlink(there)
        return (self._root if target.startswith("/") else here), target

    def _watched(self, directory: str, mask: int) -> int:
        """The directory's watch; asked of the kernel once in a walk of many ways."""
        watch, asked = self._asked.get(directory, (0, 0))
        if asked & mask == mask:
            return watch
        watch = self._kernel.watch(directory, mask)
        if watch not in self._watches and len(self._watches) >= self._at_most:
            self._kernel.forget(watch)
            raise OSError(errno.ENOSPC, "this is more than %d directories" % self._at_most, directory)
        self._watches.add(watch)
        self._asked[directory] = watch, asked | mask
        return watch

    def _take(self, directory: str, way: _Way) -> None:
        self._ways[directory] = way
        for watch, name in way.places:
            self._passing.setdefault(watch, {}).setdefault(name, set()).add(directory)
        if way.end is not None:
            self._ending.setdefault(way.end, set()).add(directory)

    def _leave(self, directory: str) -> None:
        way = self._ways.pop(directory, _Way((), None))
        for watch, name in way.places:
            passing = self._passing.get(watch, {})
            passing.get(name, set()).discard(directory)
            if not passing.get(name, True):
                del passing[name]
            if not passing:
                self._passing.pop(watch, None)
        if way.end is not None:
            self._ending[way.end].discard(directory)
            if not self._ending[way.end]:
                del self._ending[way.end]
