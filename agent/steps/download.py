"""ops:download. A file from the web, fetched only where what is there does not have the declared digest.

The bytes are written beside the path as they come, and take its place only when their digest is right.
"""

from __future__ import annotations

import hashlib
import posixpath
from typing import Iterable, Iterator, List, Optional

from agent.contract.claims import Claim
from agent.contract.inputs.files import DownloadInputs, FileInputs
from agent.contract.record import NamedTuple
from agent.host.port import Entry, Host
from agent.steps import attributes
from agent.steps.derived import DerivedFileStep
from agent.steps.directory import no_parent
from agent.steps.file import DEFAULT_MODE, Observed
from agent.steps.step import Applied, Change, Given, StepFailed, why

TIME = 3600.0
"""Seconds that a whole download may take."""


class Fetch(NamedTuple):
    """That the content is to be fetched, in place of what was there."""

    entry: Optional[Entry]


class DownloadStep(DerivedFileStep):
    """A file whose content is known by its digest alone."""

    def __init__(self) -> None:
        super().__init__(_as_file)

    def changes(self, desired: DownloadInputs, observed: Observed, given: Given) -> List[Change]:
        changes = super().changes(desired, observed, given)
        snapshot, want = observed.snapshot, "sha256:" + desired.sha256
        if desired.state == "absent" or (snapshot is not None and snapshot.digest == want):
            return changes
        claim, after = Claim("path", desired.path), "file (%s)" % want[:19]
        if snapshot is None:
            wanted = attributes.described(attributes.wanted(desired, observed.sandbox))
            return [Change(claim, "absent", ", ".join([after, *wanted]), "", Fetch(None))]
        before = "%d bytes (%s)" % (snapshot.entry.size, snapshot.digest[:19])
        for change in changes:
            before, after = "%s, %s" % (before, change.before), "%s, %s" % (after, change.after)
        return [Change(claim, before, after, "", Fetch(snapshot.entry))]

    def apply(self, host: Host, desired: DownloadInputs, changes: List[Change], given: Given) -> Applied:
        for change in changes:
            if not isinstance(change.detail, Fetch):
                return super().apply(host, desired, changes, given)
            want = attributes.wanted(desired, host.sandbox)
            mode, uid, gid = attributes.of_new(host, want, change.detail.entry, DEFAULT_MODE)
            stage(host, desired.path, desired, mode, uid, gid)
            host.publish(desired.path)
            host.sync_directory(posixpath.dirname(desired.path))
        return Applied()


class Hashed:
    """Pieces on their way, hashed as they pass. That they do not come is a `StepFailed` which names their source."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self._hash = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._pieces:
                self._hash.update(piece)
                yield piece
        except OSError as error:
            raise StepFailed(why(error)) from error

    @property
    def sha256(self) -> str:
        """The digest of what has passed, in lower hexadecimal digits."""
        return self._hash.hexdigest()


def stage(host: Host, path: str, wanted: DownloadInputs, mode: int, uid: int = -1, gid: int = -1) -> None:
    """Fetches what is wanted to where `publish` takes it from. Raises `StepFailed` for other bytes, and drops them."""
    pieces = Hashed(host.fetch(wanted.url, wanted.max_bytes, TIME))
    try:
        host.stage(path, pieces, mode, uid, gid)
    except FileNotFoundError:
        raise StepFailed(no_parent(path)) from None
    if pieces.sha256 != wanted.sha256:
        host.discard(path)
        url = wanted.url.split("?", 1)[0]
        raise StepFailed("what %s gives has the digest sha256:%s, which is not the declared one" % (url, pieces.sha256))


def _as_file(desired: DownloadInputs) -> FileInputs:
    return FileInputs(desired.path, mode=desired.mode, owner=desired.owner, group=desired.group, state=desired.state)
