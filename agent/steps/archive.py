"""ops:archive. A directory with what an archive holds, each file written whole and atomically.

What was unpacked is in a manifest beside the directory (`agent.steps.manifest`), so that a look needs neither archive
nor network. Only what differs is written; what somebody else put into the directory is left alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import posixpath
from dataclasses import field
from typing import BinaryIO, Dict, Iterator, List, Optional, Set, Tuple

from agent.contract.claims import Claim
from agent.contract.inputs.files import ArchiveInputs, DirectoryInputs, DownloadInputs
from agent.contract.record import dataclass
from agent.host.port import Host
from agent.steps import archives, attributes, directory, download, manifest
from agent.steps.archives import Archive, Member
from agent.steps.diff import bounded
from agent.steps.directory import DirectoryStep
from agent.steps.file import source_content, source_digest
from agent.steps.manifest import Manifest, Unpacked
from agent.steps.step import Applied, Change, Given, LeftAlone, State, StepFailed

_DIRECTORY = DirectoryStep()


@dataclass(frozen=True)
class Observed:
    """The directory, the manifest of what was unpacked there, and what is no longer so."""

    directory: directory.Observed
    manifest: Optional[Manifest]
    wrong: List[str] = field(default_factory=list)


class ArchiveStep:
    """A directory, and the tree in it that was unpacked."""

    def observe(self, host: Host, desired: ArchiveInputs, given: Given) -> Observed:
        held = manifest.read(host, desired.path)
        seen = _DIRECTORY.observe(host, _as_directory(desired), given)
        if desired.state == "absent":
            entries = {} if held is None else held.entries
            here = [path for path in entries if host.lstat(posixpath.join(desired.path, path)) is not None]
            return Observed(_without(host, desired.path, seen, entries), held, here)
        wrong = [] if held is None else manifest.differences(host, desired.path, held, *_owners(host, desired))
        return Observed(seen, held, wrong)

    def changes(self, desired: ArchiveInputs, observed: Observed, given: Given) -> List[Change]:
        claim, held, wrong = Claim("tree", desired.path), observed.manifest, observed.wrong
        changes = _DIRECTORY.changes(_as_directory(desired), observed.directory, given)
        if desired.state == "absent":
            return ([Change(claim, "%d entries" % len(wrong), "absent")] if held is not None else []) + changes
        want = _digest(desired, given)
        after = "archive %s" % want[:19]
        if held is None or not held.whole:
            return [*changes, Change(claim, "absent" if held is None else "unpacked in part", after)]
        if (held.archive, held.strip) != (want, desired.strip_components):
            was = "archive %s" % held.archive[:19]
            return [*changes, Change(claim, was if held.archive != want else was + ", other components", after)]
        if wrong:
            before = "%s, but for %d of %d entries" % (after, len(wrong), len(held.entries))
            return [*changes, Change(claim, before, after, bounded(wrong))]
        return changes

    def apply(self, host: Host, desired: ArchiveInputs, changes: List[Change], given: Given) -> Applied:
        output = ""
        for change in changes:
            if change.claim.kind == "path":
                _DIRECTORY.apply(host, _as_directory(desired), [change], given)
            elif desired.state == "absent":
                _removed(host, desired.path, manifest.read(host, desired.path), any_content=True)
                manifest.forget(host, desired.path)
            else:
                with _fetched(host, desired, given) as file, archives.opened(file) as archive:
                    output = _unpack(host, desired, archive, _digest(desired, given))
        return Applied(output)

    def state(self, observed: Observed, claim: Claim) -> State:
        if claim.kind == "path":
            return _DIRECTORY.state(observed.directory, claim)
        held = observed.manifest
        return None if held is None else {"archive": held.archive, "strip": held.strip, "wrong": len(observed.wrong)}

    def current(self, host: Host, claim: Claim, left: State) -> State:
        if claim.kind == "path":
            return _DIRECTORY.current(host, claim, left)
        held = manifest.read(host, claim.name)
        wrong = [] if held is None else manifest.differences(host, claim.name, held)
        return self.state(Observed(directory.Observed(None), held, wrong), claim)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        if claim.kind == "path":
            _DIRECTORY.restore(host, claim, prior, left)
            return
        if prior is not None:
            raise LeftAlone("the archive that was unpacked there before is not put back")
        _removed(host, claim.name, manifest.read(host, claim.name), any_content=False)
        manifest.forget(host, claim.name)


def _as_directory(desired: ArchiveInputs) -> DirectoryInputs:
    return DirectoryInputs(desired.path, owner=desired.owner, group=desired.group, state=desired.state)


def _owners(host: Host, desired: ArchiveInputs) -> Tuple[int, int]:
    """Numbers of the declared owner and group, -1 where there is none, or none yet."""
    if host.sandbox:
        return -1, -1
    uid = None if desired.owner is None else host.user_id(desired.owner)
    gid = None if desired.group is None else host.group_id(desired.group)
    return (-1 if uid is None else uid), (-1 if gid is None else gid)


def _without(host: Host, path: str, seen: directory.Observed, entries: Dict[str, Unpacked]) -> directory.Observed:
    """The directory as it is when what was unpacked is gone: with what others put there, it stays."""
    if seen.entry is None or seen.entry.kind != "directory":
        return seen
    for inner in ("", *(name for name, entry in entries.items() if entry.kind == "directory")):
        place = posixpath.join(path, inner) if inner else path
        try:
            names = host.listdir(place)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if any(posixpath.join(inner, name) not in entries for name in names):
            return directory.Observed(None, sandbox=seen.sandbox)
    return directory.Observed(seen.entry, seen.attributes, 0, seen.sandbox)


def _digest(desired: ArchiveInputs, given: Given) -> str:
    if (desired.source is None) == (not desired.url):
        raise StepFailed("an archive has a `source` or a `url`, and not both")
    return "sha256:" + desired.sha256 if desired.source is None else source_digest(desired.source, given)


@contextlib.contextmanager
def _fetched(host: Host, desired: ArchiveInputs, given: Given) -> Iterator[BinaryIO]:
    """The archive itself, with the declared digest."""
    if desired.source is not None:
        yield io.BytesIO(source_content(desired.source, given))
        return
    wanted = DownloadInputs(desired.path, desired.url, desired.sha256, desired.max_bytes)
    download.stage(host, desired.path, wanted, 0o600)
    try:
        with host.open_staged(desired.path) as file:
            yield file
    finally:
        host.discard(desired.path)


def _unpack(host: Host, desired: ArchiveInputs, archive: Archive, digest: str) -> str:
    """Writes what differs; what was left although it is no longer wanted, as text."""
    members = archives.contents(archive, desired.strip_components, desired.max_bytes)
    before = manifest.read(host, desired.path)
    known = {} if before is None else before.entries
    entries = {path: _entry(host, desired.path, archive, member, known) for path, member in members.items()}
    begun = manifest.begun(digest, desired.strip_components, entries, before)
    manifest.write(host, desired.path, begun)
    uid, gid = attributes.ids(host, attributes.wanted(_as_directory(desired), host.sandbox))
    former = Manifest(digest, 0, {path: entry for path, entry in known.items() if path not in entries})
    left = _removed(host, desired.path, former, any_content=False)
    touched: Set[str] = {desired.path}
    for path, member in members.items():
        place = posixpath.join(desired.path, path)
        if manifest.difference(host, place, entries[path], uid, gid):
            _put(host, place, archive, member, known.get(path), uid, gid)
            touched.add(posixpath.dirname(place))
    for place in sorted(touched):
        host.sync_directory(place)
    manifest.write(host, desired.path, manifest.ended(begun, list(former.entries)))
    return "".join("left in place, for it was changed or was there before: %s\n" % path for path in left)


def _entry(host: Host, path: str, archive: Archive, member: Member, known: Dict[str, Unpacked]) -> Unpacked:
    made = known[member.path].made if member.path in known else host.lstat(posixpath.join(path, member.path)) is None
    if member.kind != "file":
        return Unpacked(member.kind, member.mode, member.target, made)
    hashed = hashlib.sha256()
    for piece in archives.pieces(archive, member):
        hashed.update(piece)
    return Unpacked("file", member.mode, "sha256:" + hashed.hexdigest(), made)


def _put(
    host: Host, place: str, archive: Archive, member: Member, known: Optional[Unpacked], uid: int, gid: int
) -> None:
    """What stands in the way and is not of an archive's own making is not replaced."""
    there = host.lstat(place)
    if there is not None and there.kind != member.kind and (known is None or known.kind != there.kind):
        raise StepFailed("%s is %s where the archive has a %s; move it away" % (place, there, member.kind))
    if there is not None and there.kind != member.kind and "directory" in (there.kind, member.kind):
        host.rmdir(place) if there.kind == "directory" else host.unlink(place)
        there = None
    if there is not None and not host.sandbox:
        uid, gid = (there.uid if uid == -1 else uid), (there.gid if gid == -1 else gid)
    if member.kind == "file":
        host.stage(place, archives.pieces(archive, member), member.mode, uid, gid)
        host.publish(place)
        return
    if member.kind == "link":
        host.symlink(member.target, place)
    elif there is None:
        host.mkdir(place, member.mode)
    if (uid, gid) != (-1, -1):
        host.chown(place, uid, gid)
    if member.kind == "directory":
        host.chmod(place, member.mode)


def _removed(host: Host, path: str, held: Optional[Manifest], *, any_content: bool) -> List[str]:
    """Takes away what was unpacked, and tells what of it is left: what changed since (unless `any_content`) or was
    there before, and directories with anything in them."""
    left = []
    for inner, entry in sorted(({} if held is None else held.entries).items(), reverse=True):
        place = posixpath.join(path, inner)
        there = host.lstat(place)
        if there is None:
            continue
        if entry.kind == "directory":
            if there.kind == "directory" and entry.made and not host.listdir(place):
                host.rmdir(place)
        elif (any_content and there.kind != "directory") or (
            entry.made and not manifest.difference(host, place, entry)
        ):
            host.unlink(place)
        else:
            left.append(inner)
    return left
