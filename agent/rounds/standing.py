"""What a pass read while it found nothing to do: while all of that reads the same, the next pass finds nothing either.

A step's `observe` only reads and its `changes` is pure, so to repeat the reads is to repeat the look: every byte of
every managed file is read and hashed again, and compared with what was there. Only what cannot follow from reads is
left out: a step that runs a program, or asks what time it is, is looked at in full each time.

status/standing   the same for a fresh process (`once --offline`), with what else its pass depends on
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
from typing import Any, Callable, Dict, Iterator, Optional, Tuple, cast

from agent.host.port import CONTENT_KEPT, Entry, Host, Snapshot

Read = Tuple[Any, ...]
"""The name of a read, its path or name, and its limit where it has one."""
_NOTED = ("listdir", "user_id", "group_id", "user_name", "group_name")
_PLAIN = ("sandbox", "runs_scripts", "privileged", "platform")


class Seen:
    """The reads of one pass and what each gave. `repeatable` until something else was done, or failed."""

    def __init__(self) -> None:
        self.reads: Dict[Read, Any] = {}
        self.repeatable = True

    def through(self, host: Host) -> Host:
        """The host, taking note of what is read."""
        return cast(Host, _Noting(host, self))

    def note(self, read: Read, given: Any) -> None:
        """One read. Two that differ within one pass make it one of a kind."""
        if self.reads.setdefault(read, given) != given:
            self.repeatable = False


class _Noting:
    """A host whose reads are noted. Whatever else is asked of it, or fails, makes the look one that is not repeated."""

    def __init__(self, host: Host, seen: Seen) -> None:
        self._host, self._seen = host, seen

    def lstat(self, path: str) -> Optional[Entry]:
        with self._careful():
            found = self._host.lstat(path)
        self._seen.note(("lstat", path), found and tuple(found))
        return found

    def snapshot(self, path: str, keep: int = CONTENT_KEPT) -> Optional[Snapshot]:
        with self._careful():
            found = self._host.snapshot(path, keep)
        self._seen.note(("snapshot", path), found and (*found.entry, found.digest))
        return found

    def read(self, path: str, limit: int = CONTENT_KEPT) -> bytes:
        with self._careful():
            data = self._host.read(path, limit)
        self._seen.note(("read", path, limit), hashlib.sha256(data).digest())
        return data

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._host, name)
        if name in _NOTED:
            return lambda argument: self._asked(name, argument, found)
        if name not in _PLAIN:
            self._seen.repeatable = False
        return found

    def _asked(self, name: str, argument: Any, ask: Callable[[Any], Any]) -> Any:
        with self._careful():
            found = ask(argument)
        self._seen.note((name, argument), tuple(found) if isinstance(found, list) else found)
        return found

    @contextlib.contextmanager
    def _careful(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self._seen.repeatable = False
            raise


def still(host: Host, reads: Dict[Read, Any]) -> bool:
    """Whether every read gives what it gave."""
    try:
        with host.walking_once():
            return all(_again(host, read) == given for read, given in reads.items())
    except OSError:
        return False


def _again(host: Host, read: Read) -> Any:
    name, about = read[0], read[1]
    if name == "snapshot":
        snapshot = host.snapshot(about, 0)
        return None if snapshot is None else (*snapshot.entry, snapshot.digest)
    if name == "read":
        return hashlib.sha256(host.read(about, read[2])).digest()
    found = getattr(host, name)(about)
    return tuple(found) if isinstance(found, (list, tuple)) else found


# The file


def path_of(state: str) -> str:
    return os.path.join(state, "status", "standing")


def surroundings(state: str, root: str, version: str) -> Tuple[Any, ...]:
    """What a whole pass depends on besides its reads: the program, the set held, and what the journal remembers."""
    with open(os.path.join(state, "held", "set.json"), "rb") as file:
        held = hashlib.sha256(file.read()).digest()
    journal = os.stat(os.path.join(state, "journal"))
    return (version, root, held, journal.st_ino, journal.st_size)


def keep(state: str, around: Tuple[Any, ...], reads: Optional[Dict[Read, Any]]) -> None:
    """Let the next process know; None for a pass that is not to be repeated so. Nothing is written over the same."""
    path = path_of(state)
    with contextlib.suppress(OSError):  # it saves time, and nothing else
        if reads is None:
            os.unlink(path)
            return
        data = marshal.dumps((around, list(reads.items())), 2)
        if _bytes(path) != data:
            from agent import durable

            durable.replace(path, data, durable=False)


def stands(host: Host, state: str, root: str, version: str) -> bool:
    """Whether a pass over everything held would find nothing to do, as the last one did."""
    try:
        # this program's own, for root alone; not JSON, which has neither bytes nor tuples, and takes longer to import
        # than all the reads take
        around, reads = marshal.loads(_bytes(path_of(state)))
        return bool(around == surroundings(state, root, version)) and still(host, dict(reads))
    except (OSError, EOFError, ValueError, TypeError):
        return False


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
