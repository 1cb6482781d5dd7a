"""Drift as the kernel and systemd tell of it: one wait for all that may wake the rounds.

What cannot be watched (no room for more watches, no systemd to hear) is looked at at the interval, as if this were not
here; the log says so once, `status` as long as it lasts.
"""

from __future__ import annotations

import os
import select
import time
from typing import Any, Dict, Iterable, List, Mapping, Optional, Set

from agent import log
from agent.contract.record import NamedTuple
from agent.host import inotify
from agent.host.inotify import Inotify
from agent.host.wakener import Wakener
from agent.state.status import StatusFile
from agent.steps.watched import Watched
from agent.watch.routes import WATCHES_AT_MOST, Routes
from agent.watch.units import Units

QUIET, QUIET_AT_MOST = 0.05, 0.5
"""Seconds without news after which a change is taken to be whole, and for how long that is waited for."""
DEAF, DEAF_AT_MOST = 0.01, 0.25
"""Seconds between two reads that are about nothing of ours, doubled while it goes on: a busy directory costs little."""
RETRY_UNITS, RETRY_PATHS = 10.0, 600.0
"""Seconds between two attempts to watch what could not be."""
_READS_AT_ONCE = 16
_MOUNTS = "/proc/self/mountinfo"


class Thing(NamedTuple):
    """What is watched: a claim, as text, of an association."""

    uid: str
    claim: str


class Watch:
    """Everything that is watched. All but `wake` belongs to one thread."""

    def __init__(
        self, status: StatusFile, root: str = "/", units: Optional[Units] = None, at_most: int = WATCHES_AT_MOST
    ) -> None:
        self._status, self._root, self._at_most = status, root, at_most
        self._wakener = Wakener()
        self._units = units or Units()
        self._kernel: Optional[Inotify] = None
        self._routes: Optional[Routes] = None
        self._mounts: Optional[int] = None
        self._by_path: Dict[str, List[Thing]] = {}
        self._by_unit: Dict[str, List[Thing]] = {}
        self._by_mounts: List[Thing] = []
        self._touched: Set[Thing] = set()
        self._deaf = ""
        self._flooded = False
        self._said: Set[str] = set()
        self._retry_units = self._retry_paths = 0.0

    def wake(self) -> None:
        """End `wait`; from any thread."""
        self._wakener.wake()

    def over(self, things: Mapping[Thing, Watched]) -> None:
        """Watch these, and no others. What happens from now on is told."""
        self._by_path, self._by_unit = {}, {}
        self._by_mounts = [thing for thing, watched in things.items() if watched.mounts]
        for thing, watched in things.items():
            for path in watched.paths:
                self._by_path.setdefault(path, []).append(thing)
            for unit in watched.units:
                self._by_unit.setdefault(unit, []).append(thing)
        self._touched.intersection_update(things)
        self._listen()
        if self._routes is not None:
            self._routes.over(self._by_path)
        self._units.over(self._by_unit)
        self._say()

    def wait(self, seconds: float) -> bool:
        """Until something was touched and it is quiet again, or `wake`, or for `seconds`: False if it was for that."""
        until, deaf = time.monotonic() + seconds, DEAF
        while True:
            retry = self._mend()
            if self._touched:
                break
            ready = self._poll(max(0.0, min(until, retry) - time.monotonic()))
            if self._wakener.file in ready:
                self._wakener.clear()
                return True
            if time.monotonic() >= until:
                return False
            if not ready:
                deaf = DEAF
            elif not self._read(ready):
                if self._poll(deaf, deaf=True):
                    self._wakener.clear()
                    return True
                deaf = min(2 * deaf, DEAF_AT_MOST)
        self._settle()
        return True

    def touched(self) -> Set[Thing]:
        """What was touched since the last call. What happens from now on is told by the next."""
        self._read(self._poll(0))
        found, self._touched = self._touched, set()
        return found

    def close(self) -> None:
        """Only after the thread of `wait` has ended."""
        self._units.close()
        self._wakener.close()
        if self._kernel is not None:
            self._kernel.close()
        if self._mounts is not None:
            os.close(self._mounts)

    # Hearing

    def _settle(self) -> None:
        """What comes in several steps (a package, an editor) is looked at once, when they are done."""
        until = time.monotonic() + QUIET_AT_MOST
        while time.monotonic() < until:
            ready = self._poll(QUIET)
            if not ready or self._wakener.file in ready:
                return
            self._read(ready)

    def _poll(self, seconds: float, deaf: bool = False) -> Set[int]:
        poll = select.poll()
        poll.register(self._wakener.file, select.POLLIN)
        if not deaf:
            if self._kernel is not None:
                poll.register(self._kernel.file, select.POLLIN)
            if self._mounts is not None:
                poll.register(self._mounts, select.POLLPRI)
            if self._units.file is not None:
                poll.register(self._units.file, select.POLLIN)
        return {file for file, _ in poll.poll(int(seconds * 1000 + 0.999))}

    def _read(self, ready: Set[int]) -> bool:
        """Whether what came is about anything of ours."""
        before = len(self._touched)
        if self._units.file in ready:
            self._touch(self._by_unit, self._units.touched())
        if self._routes is not None and self._mounts in ready:
            self._touched.update(self._by_mounts)
            self._touch(self._by_path, self._routes.refresh())
        if self._routes is not None and self._kernel is not None and self._kernel.file in ready:
            for _ in range(_READS_AT_ONCE):
                events = list(self._kernel.read())
                for event in events:
                    if event.mask & inotify.OVERFLOW:
                        self._flood()
                    else:
                        self._touch(self._by_path, self._routes.touched(event))
                if not events:
                    break
        self._say()
        return len(self._touched) > before

    def _touch(self, things: Mapping[str, List[Thing]], names: Iterable[str]) -> None:
        for name in names:
            self._touched.update(things.get(name, ()))

    def _flood(self) -> None:
        """The kernel dropped events: anything may have been touched."""
        self._flooded = True
        assert self._routes is not None
        self._routes.refresh()
        self._touch(self._by_path, self._by_path)

    # What cannot be watched

    def _listen(self) -> None:
        if self._kernel is not None or not self._by_path:
            return
        try:
            self._kernel = Inotify()
            self._mounts = os.open(_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            self._deaf = "inotify: %s" % error.strerror
        if self._kernel is not None:
            self._deaf = ""
            self._routes = Routes(self._kernel, self._root, self._at_most)

    def _mend(self) -> float:
        """Try again, now and then, to watch what could not be; when next."""
        now = time.monotonic()
        if self._units.lost and self._retry_units <= now:
            self._retry_units = now + RETRY_UNITS
            if self._units.connect():
                self._touch(self._by_unit, self._by_unit)
            self._say()
        if self._limited() and self._retry_paths <= now:
            self._retry_paths = now + RETRY_PATHS
            self._watch_again()
            self._say()
        coming = [self._retry_units] if self._units.lost else []
        return min([*coming, self._retry_paths]) if self._limited() else min(coming, default=now + RETRY_PATHS)

    def _watch_again(self) -> None:
        if self._routes is None:
            self._listen()
            if self._routes is not None:
                self._routes.over(self._by_path)
                self._touch(self._by_path, self._by_path)
        else:
            self._touch(self._by_path, self._routes.refresh())

    def _limited(self) -> str:
        return self._deaf or (self._routes.limited if self._routes is not None else "")

    def _say(self) -> None:
        """Tell the log once, and `status` as long as it lasts."""
        limits: Dict[str, str] = {}
        if self._limited():
            unwatched = self._routes.unwatched if self._routes is not None else len(self._by_path)
            limits["paths"] = "%d of %d paths (%s)" % (unwatched, len(self._by_path), self._limited())
        if self._units.lost:
            limits["units"] = "%d units (%s)" % (len(self._by_unit), self._units.lost)
        if self._flooded:
            limits["events"] = "what was touched while the kernel's queue overflowed; all was looked at then"
        for name, limit in limits.items():
            if name not in self._said:
                log.log(log.WARNING, "not watched, but looked at at the interval: %s", limit)
        self._said = set(limits)
        shown: Dict[str, Any] = {"paths": len(self._by_path), "units": len(self._by_unit)}
        self._status.write(dict(shown, atInterval=[limit for _, limit in sorted(limits.items())]))
