"""ops:file. A regular file with exactly this content, written whole and atomically.

The content is read and hashed at every look. What is at the path is never followed: a symbolic link there, like a
directory or a FIFO, fails the step, for it may be somebody's intent (/etc/resolv.conf) and replacing it loses that.
Without `content` and `source` only the file's being there, its mode and its owners are managed.

`validate` sees the new content as a file beside the old one, before anything of it can be seen under its own name.
"""

from __future__ import annotations

import base64
import contextlib
import posixpath
import re
from typing import Callable, List, Optional, Sequence, Set

from agent.contract.canonical import digest
from agent.contract.claims import Claim
from agent.contract.inputs.files import FileInputs
from agent.contract.record import NamedTuple, dataclass
from agent.contract.template import TemplateError
from agent.host.port import Entry, Host, Ran, Snapshot, backup_name, replace, staged_name
from agent.steps import attributes
from agent.steps.attributes import Attributes
from agent.steps.batch import DoneInBatches, tried
from agent.steps.diff import content_diff
from agent.steps.directory import no_parent
from agent.steps.step import Change, Given, LeftAlone, Planned, State, StepFailed, context_text

PRIOR_KEPT = 16 * 1024
"""Bytes up to which a file's former content is kept for prune."""
NOT_SHOWN = "the content differs; it is not shown, for not everybody may read the file"
DEFAULT_MODE = 0o644
_VALIDATE_TIME = 120.0
_COMPLAINT_AT_MOST = 600
READABLE_BY_ALL = 0o004


@dataclass(frozen=True)
class Observed:
    """What is at the path."""

    snapshot: Optional[Snapshot]
    attributes: Attributes = Attributes()
    sandbox: bool = False

    @property
    def entry(self) -> Optional[Entry]:
        return self.snapshot and self.snapshot.entry


class FileChange(NamedTuple):
    """What `apply` needs: the new bytes (None where they stay), and what was there."""

    content: Optional[bytes]
    entry: Optional[Entry]


class FileStep(DoneInBatches):
    """A file: its content and its attributes."""

    def observe(self, host: Host, desired: FileInputs, given: Given) -> Observed:
        del given
        snapshot = host.snapshot(desired.path)
        if snapshot is None or snapshot.entry.kind != "file":
            return Observed(snapshot, sandbox=host.sandbox)
        return Observed(snapshot, attributes.seen(host, snapshot.entry, desired), host.sandbox)

    def changes(self, desired: FileInputs, observed: Observed, given: Given) -> List[Change]:
        claim, entry = Claim("path", desired.path), observed.entry
        if entry is not None and entry.kind != "file":
            raise StepFailed(
                "%s is %s where a regular file is declared; it is not followed or replaced: move it away"
                % (desired.path, entry)
            )
        if desired.state == "absent":
            return self._removal(claim, observed)
        want = attributes.wanted(desired, observed.sandbox)
        content = _content_to_write(desired, observed.snapshot, given)
        if entry is None:
            size = "file of %d bytes" % len(content or b"")
            after = ", ".join([size, *attributes.described(want)])
            shown = _shown(desired.path, None, content, want, entry)
            return [Change(claim, "absent", after, shown, FileChange(content or b"", None))]
        differ = attributes.differences(want, observed.attributes)
        if content is None and not differ:
            return []
        before, after_all = [d.before for d in differ], [d.after for d in differ]
        diff = ""
        if content is not None:
            assert observed.snapshot is not None
            before.insert(0, "%d bytes (%s)" % (entry.size, observed.snapshot.digest[:19]))
            after_all.insert(0, "%d bytes (%s)" % (len(content), digest(content)[:19]))
            if observed.snapshot.data is not None:
                diff = _shown(desired.path, observed.snapshot.data, content, want, entry)
        return [Change(claim, ", ".join(before), ", ".join(after_all), diff, FileChange(content, entry))]

    def _removal(self, claim: Claim, observed: Observed) -> List[Change]:
        if observed.snapshot is None:
            return []
        entry = observed.snapshot.entry
        diff = ""
        if observed.snapshot.data is not None:
            diff = _shown(claim.name, observed.snapshot.data, None, Attributes(), entry)
        return [Change(claim, "file of %d bytes" % entry.size, "absent", diff, FileChange(None, entry))]

    def apply_all(self, host: Host, batch: Sequence[Planned], begin: Callable[[], None]) -> List[Optional[StepFailed]]:
        """Stages all and syncs each, renames each, then syncs each directory once."""
        results = tried(batch, lambda planned: _stage(host, planned))
        ready = [planned for planned, failure in zip(batch, results) if failure is None]
        if not ready:
            return results
        touched: Set[str] = set()
        published: List[Optional[StepFailed]] = []
        try:
            host.sync_many([planned.desired.path for planned in ready if _staged(planned)], ())
            begin()
            published = tried(ready, lambda planned: _publish(host, planned, touched))
        finally:
            for planned in ready[len(published) :]:
                with contextlib.suppress(OSError):
                    host.discard(planned.desired.path)
        host.sync_many((), sorted(touched))
        return _merged(results, published)

    def state(self, observed: Observed, claim: Claim) -> State:
        del claim
        if observed.snapshot is None:
            return None
        entry, content_digest, data = observed.snapshot
        state = {"digest": content_digest, "mode": entry.mode, "uid": entry.uid, "gid": entry.gid}
        if data is not None and len(data) <= PRIOR_KEPT:
            state["bytes"] = base64.b64encode(data).decode()
        return state

    def current(self, host: Host, claim: Claim, left: State) -> State:
        del left
        snapshot = host.snapshot(claim.name, keep=0)
        if snapshot is not None and snapshot.entry.kind != "file":
            raise LeftAlone("it is %s now" % (snapshot.entry,))
        return self.state(Observed(snapshot), claim)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        del left
        if prior is None:
            host.unlink(claim.name)
            host.sync_directory(posixpath.dirname(claim.name))
            return
        if "bytes" not in prior:
            raise LeftAlone("it existed before, and its former content was too large to keep")
        uid, gid = (-1, -1) if host.sandbox else (prior["uid"], prior["gid"])
        replace(host, claim.name, base64.b64decode(prior["bytes"]), prior["mode"], uid, gid)


def _content_to_write(desired: FileInputs, snapshot: Optional[Snapshot], given: Given) -> Optional[bytes]:
    """The wanted bytes where the file does not have them; None where it does, or where content is not managed."""
    if desired.content is not None and desired.source is not None:
        raise StepFailed("a file has `content` or `source`, not both")
    if desired.source is not None and not desired.template:
        wanted = source_digest(desired.source, given)
        if snapshot is not None and snapshot.digest == wanted:
            return None
    content = wanted_content(desired, given)
    if content is None or (snapshot is not None and snapshot.digest == digest(content)):
        return None
    return content


def wanted_content(desired: FileInputs, given: Given) -> Optional[bytes]:
    """The bytes that are declared, None where none are. Raises `StepFailed`."""
    if desired.source is None and desired.content is None:
        return None
    if desired.content is not None:
        content = desired.content.encode("utf-8")
    else:
        assert desired.source is not None
        content = source_content(desired.source, given)
    return _rendered(content, desired.source or "content", given) if desired.template else content


def source_digest(path: str, given: Given) -> str:
    """The digest of a file of the config repository. Raises `StepFailed` for one that this node is not told of."""
    if path not in given.files:
        raise StepFailed("the source file %s is not part of this association" % path)
    return given.files[path].digest


def source_content(path: str, given: Given) -> bytes:
    """Its bytes. Raises `StepFailed` where they are not here yet."""
    try:
        return given.content(path)
    except LookupError:
        raise StepFailed("the source file %s is not on this node yet" % path) from None


def _rendered(template: bytes, name: str, given: Given) -> bytes:
    context = given.context or context_text(given.name, given.labels, given.vars, given.facts)
    try:
        return given.render(template.decode("utf-8"), context).encode("utf-8")
    except UnicodeError:
        raise StepFailed("the template %s is not UTF-8 text" % name) from None
    except TemplateError as error:
        raise StepFailed("template %s, line %d: %s" % (name, error.line, error)) from error


def _shown(path: str, before: Optional[bytes], after: Optional[bytes], want: Attributes, entry: Optional[Entry]) -> str:
    """The diff, where all users of the node may read both the old file and the new."""
    modes = [mode for mode in (want.mode, entry.mode if entry else None) if mode is not None]
    if not all(mode & READABLE_BY_ALL for mode in modes):
        return NOT_SHOWN
    return content_diff(path, before, after)


def _staged(planned: Planned) -> bool:
    """Whether the file gets new bytes."""
    return planned.desired.state != "absent" and any(change.detail.content is not None for change in planned.changes)


def _stage(host: Host, planned: Planned) -> None:
    for change in planned.changes:
        content, entry = change.detail
        if planned.desired.state == "absent" or content is None:
            continue
        want = attributes.wanted(planned.desired, host.sandbox)
        mode, uid, gid = attributes.of_new(host, want, entry, DEFAULT_MODE)
        try:
            host.stage(planned.desired.path, content, mode, uid, gid, sync=False)
        except FileNotFoundError:
            raise StepFailed(no_parent(planned.desired.path)) from None
        try:
            _validate(host, planned.desired, mode)
        except (StepFailed, OSError):
            host.discard(planned.desired.path)
            raise


def _validate(host: Host, desired: FileInputs, mode: int) -> None:
    """Lets the command look at the staged bytes. What it says is told only where everybody may read the file."""
    if desired.validate is None or host.sandbox:
        return
    directory, name = posixpath.split(desired.path)
    staged = posixpath.join(directory, staged_name(name))
    try:
        import shlex

        argv = [word.replace("%s", staged) for word in shlex.split(desired.validate)]
    except ValueError as error:
        raise StepFailed("`validate` is no command: %s" % error) from None
    if not argv:
        raise StepFailed("`validate` is empty")
    try:
        ran = host.run(argv, timeout=_VALIDATE_TIME)
    except FileNotFoundError:
        raise StepFailed("`validate` needs %s, which this node does not have" % argv[0]) from None
    if ran.timed_out:
        raise StepFailed("`validate` did not end in %d seconds" % _VALIDATE_TIME, rc=ran.rc, status="TimedOut")
    if ran.rc:
        said = _complaint(ran, staged, desired.path, shown=bool(mode & READABLE_BY_ALL))
        raise StepFailed("%s does not accept the new content: %s; the file is as it was" % (argv[0], said), rc=ran.rc)


def _complaint(ran: Ran, staged: str, path: str, *, shown: bool) -> str:
    """What a command has against the staged file, in its words; of one that is not shown, only the line."""
    words = " ".join((ran.stderr or ran.stdout).decode("utf-8", "replace").split()).replace(staged, path)
    if shown:
        return "exit %d: %s" % (ran.rc, words[:_COMPLAINT_AT_MOST] or "it says nothing")
    place = re.search(r"(?:%s:|\bline )(\d+)" % re.escape(path), words)
    return "exit %d%s" % (ran.rc, ", line %s" % place.group(1) if place else "")


def _publish(host: Host, planned: Planned, touched: Set[str]) -> None:
    path = planned.desired.path
    for change in planned.changes:
        content, entry = change.detail
        touched.add(posixpath.dirname(path))
        if planned.desired.backup and entry is not None and (content is not None or planned.desired.state == "absent"):
            _keep(host, path, entry)
        if planned.desired.state == "absent":
            host.unlink(path)
        elif content is not None:
            _rename(host, path)
        elif entry.links > 1:
            raise StepFailed(
                "%s has %d hard links; its mode and owners would change for all of them" % (path, entry.links)
            )
        else:
            attributes.put(host, path, attributes.wanted(planned.desired, host.sandbox), entry)


def _keep(host: Host, path: str, entry: Entry) -> None:
    directory, name = posixpath.split(path)
    uid, gid = (-1, -1) if host.sandbox else (entry.uid, entry.gid)
    replace(host, posixpath.join(directory, backup_name(name)), host.read(path, entry.size), entry.mode, uid, gid)


def _rename(host: Host, path: str) -> None:
    try:
        host.publish(path)
    except OSError:
        host.discard(path)
        raise


def _merged(staged: List[Optional[StepFailed]], published: List[Optional[StepFailed]]) -> List[Optional[StepFailed]]:
    """The results in order: a step that was staged has the result of its publishing."""
    merged: List[Optional[StepFailed]] = []
    left = iter(published)
    for failure in staged:
        if failure is None:
            try:
                failure = next(left)
            except StopIteration:
                return merged
        merged.append(failure)
    return merged
