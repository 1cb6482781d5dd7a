"""What ops:archive unpacked into a directory: kept beside it, so that an edit is found without the archive.

It stands in the directory's own parent, for its writer there is more often root alone.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import field, replace
from typing import Dict, List, Optional

from agent.contract.record import NamedTuple, dataclass
from agent.host import port
from agent.host.port import Host

_AT_MOST = 64 * 1024 * 1024
_MODE = 0o600


class Unpacked(NamedTuple):
    """One entry: `mark` is a file's digest or what a link says; `made` whether opsctl brought it there."""

    kind: str
    mode: int
    mark: str = ""
    made: bool = True


@dataclass(frozen=True)
class Manifest:
    """`whole` is false while the archive is being unpacked."""

    archive: str
    strip: int
    entries: Dict[str, Unpacked] = field(default_factory=dict)
    whole: bool = True


def path_of(directory: str) -> str:
    """Where the manifest of a directory is."""
    parent, name = posixpath.split(directory)
    return posixpath.join(parent, ".%s.opsctl-manifest" % port.short_enough(name))


def read(host: Host, directory: str) -> Optional[Manifest]:
    """None where there is none that can be read."""
    if host.lstat(path_of(directory)) is None:
        return None
    try:
        held = json.loads(host.read(path_of(directory), _AT_MOST))
        entries = {path: Unpacked(*entry) for path, entry in held.pop("entries").items()}
        return Manifest(entries=entries, **held)
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None


def write(host: Host, directory: str, manifest: Manifest) -> None:
    """Durable on return."""
    held = {"archive": manifest.archive, "strip": manifest.strip, "whole": manifest.whole, "entries": manifest.entries}
    port.replace(host, path_of(directory), json.dumps(held, separators=(",", ":")).encode(), _MODE)


def forget(host: Host, directory: str) -> None:
    """Takes it away, where it is."""
    if host.lstat(path_of(directory)) is not None:
        host.unlink(path_of(directory))
        host.sync_directory(posixpath.dirname(directory))


def differences(host: Host, directory: str, manifest: Manifest, uid: int = -1, gid: int = -1) -> List[str]:
    """The paths that are not as they were unpacked, each with what is wrong; every file is read and hashed."""
    found = []
    for path, entry in manifest.entries.items():
        wrong = difference(host, posixpath.join(directory, path), entry, uid, gid)
        if wrong:
            found.append("%s: %s" % (path, wrong))
    return found


def difference(host: Host, path: str, entry: Unpacked, uid: int = -1, gid: int = -1) -> str:
    """What is wrong at one path; empty where it is right. -1 is any owner."""
    try:
        snapshot = host.snapshot(path, keep=0)
    except NotADirectoryError:
        snapshot = None
    if snapshot is None:
        return "missing"
    seen = snapshot.entry
    if seen.kind != entry.kind:
        return "it is %s" % (seen,)
    if entry.mark != (seen.target if seen.kind == "link" else snapshot.digest):
        return "another target" if seen.kind == "link" else "another content"
    if seen.kind != "link" and seen.mode != entry.mode:
        return "mode %04o" % seen.mode
    if uid not in (-1, seen.uid) or gid not in (-1, seen.gid):
        return "another owner"
    return ""


def begun(archive: str, strip: int, entries: Dict[str, Unpacked], before: Optional[Manifest]) -> Manifest:
    """The manifest while these are unpacked: what the one before made and is no longer wanted is in it still."""
    kept = {} if before is None else before.entries
    return Manifest(archive, strip, {**kept, **entries}, whole=False)


def ended(manifest: Manifest, gone: List[str]) -> Manifest:
    """The manifest when all is unpacked, and these went."""
    entries = {path: entry for path, entry in manifest.entries.items() if path not in gone}
    return replace(manifest, entries=entries, whole=True)
