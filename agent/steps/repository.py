"""ops:repository. A source of packages, the key that signs it, and the lists fetched once when either changed.

A source whose lists cannot be fetched is put back as it was, so that one which does not work never stays, nor is taken
for right at the next look.
"""

from __future__ import annotations

import dataclasses
import hashlib
import posixpath
from typing import Dict, List, Optional

from agent.contract import openpgp, paths
from agent.contract.claims import Claim
from agent.contract.inputs.files import FileInputs
from agent.contract.inputs.packages import RepositoryInputs
from agent.contract.record import NamedTuple, dataclass
from agent.host.port import Host, Snapshot, replace
from agent.steps import apt, dnf, file, packages, rpm, zypper
from agent.steps.derived import FILE, one_line
from agent.steps.download import Hashed
from agent.steps.file import source_content
from agent.steps.packages import PackageSystem
from agent.steps.step import Applied, Change, Given, InvalidPlatform, State, StepFailed

_SYSTEMS: Dict[str, PackageSystem] = {"apt": apt.Apt(), "dnf": dnf.Dnf(), "zypper": zypper.Zypper()}
_KEY_AT_MOST = 1024 * 1024
_KEY_TIME = 300.0


@dataclass(frozen=True)
class Observed:
    """The file of the source and the file of its key, None where it has none of its own."""

    source: file.Observed
    key: Optional[file.Observed]


class FetchKey(NamedTuple):
    """That the key is to be fetched."""


class RepositoryStep:
    """A source of packages of apt, dnf or zypper."""

    def observe(self, host: Host, desired: RepositoryInputs, given: Given) -> Observed:
        if not host.sandbox and host.lstat(_SYSTEMS[desired.type].program) is None:
            raise InvalidPlatform("the source is one of %s, which this node does not have" % desired.type)
        key = _key_file(desired)
        source = FILE.observe(host, _source_file(desired), given)
        return Observed(source, None if key is None else FILE.observe(host, key, given))

    def changes(self, desired: RepositoryInputs, observed: Observed, given: Given) -> List[Change]:
        changes = FILE.changes(_source_file(desired), observed.source, given)
        key = _key_file(desired)
        if key is None or observed.key is None:
            return changes
        if desired.key_url and desired.state == "present":
            snapshot = observed.key.snapshot
            differ = FILE.changes(key, observed.key, given)  # also refuses what is no file
            if snapshot is None or desired.key_sha256 not in _digests(snapshot):
                before = "absent" if snapshot is None else "another key (%s)" % snapshot.digest[:19]
                after = "key (sha256:%s)" % desired.key_sha256[:12]
                return [*changes, Change(Claim("path", key.path), before, after, "", FetchKey())]
            return changes + differ
        return changes + FILE.changes(_with_key(key, desired, given), observed.key, given)

    def apply(self, host: Host, desired: RepositoryInputs, changes: List[Change], given: Given) -> Applied:
        """The key first, for the lists are verified by it."""
        before = {change.claim.name: host.snapshot(change.claim.name) for change in changes}
        for change in sorted(changes, key=lambda change: change.claim.name == _source_file(desired).path):
            if change.claim.name == _source_file(desired).path:
                FILE.apply(host, _source_file(desired), [change], given)
            else:
                self._put_key(host, desired, change, given)
        if desired.state == "present" and not host.sandbox:
            try:
                _refresh(host, desired)
            except StepFailed as error:
                _put_back(host, before)
                reason = "%s; the source is as it was" % error.reason
                raise StepFailed(reason, rc=error.rc, status=error.status, output=error.output) from error
        return Applied()

    def _put_key(self, host: Host, desired: RepositoryInputs, change: Change, given: Given) -> None:
        key = _key_file(desired)
        assert key is not None
        if desired.state == "present":
            _make_parents(host, key.path)
        if isinstance(change.detail, FetchKey):
            fetched = dataclasses.replace(key, content=_fetched_key(host, desired))
            change = FILE.changes(fetched, FILE.observe(host, fetched, given), given)[0]
        FILE.apply(host, key, [change], given)

    def state(self, observed: Observed, claim: Claim) -> State:
        seen = observed.key if claim.name.startswith((paths.APT_KEYS, paths.RPM_KEYS)) else observed.source
        return None if seen is None else FILE.state(seen, claim)

    def current(self, host: Host, claim: Claim, left: State) -> State:
        return FILE.current(host, claim, left)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        FILE.restore(host, claim, prior, left)


def _source_file(desired: RepositoryInputs) -> FileInputs:
    path = paths.repository_file(desired.type, desired.name)
    if desired.state == "absent":
        return FileInputs(path, state="absent")
    content = _deb822(desired) if desired.type == "apt" else _repo(desired)
    return FileInputs(path, content=content, mode="0644", owner="root", group="root")


def _key_file(desired: RepositoryInputs) -> Optional[FileInputs]:
    """The file of the source's own key, its content left out."""
    path = paths.repository_key(desired.type, desired.name)
    if desired.state == "absent":
        return FileInputs(path, state="absent")
    own = desired.key or desired.source or desired.key_url
    return FileInputs(path, mode="0644", owner="root", group="root") if own else None


def _with_key(key: FileInputs, desired: RepositoryInputs, given: Given) -> FileInputs:
    if desired.state == "absent":
        return key
    data = desired.key.encode("utf-8") if desired.key else source_content(desired.source or "", given)
    return dataclasses.replace(key, content=_armoured(data))


def _armoured(data: bytes) -> str:
    try:
        return openpgp.armoured(data).decode("ascii")
    except openpgp.NotAKey as error:
        raise StepFailed("the key of the source is no public key: %s" % error) from None


def _digests(snapshot: Snapshot) -> List[str]:
    """Of what is there, and of the key in it: keys are kept as text, whatever they come as."""
    data = snapshot.data or b""
    try:
        binary = openpgp.binary(data)
    except openpgp.NotAKey:
        return [snapshot.digest[7:]]
    return [hashlib.sha256(data).hexdigest(), hashlib.sha256(binary).hexdigest()]


def _fetched_key(host: Host, desired: RepositoryInputs) -> str:
    pieces = Hashed(host.fetch(desired.key_url, _KEY_AT_MOST, _KEY_TIME))
    data = b"".join(pieces)
    if pieces.sha256 != desired.key_sha256:
        url = desired.key_url.split("?", 1)[0]
        raise StepFailed("the key at %s has the digest sha256:%s, which is not the declared one" % (url, pieces.sha256))
    text = _armoured(data)
    try:
        return data.decode("ascii") if b"-----BEGIN" in data else text  # as it came, for its digest is what is known
    except UnicodeDecodeError:
        raise StepFailed("the key at %s is text that is no ASCII" % desired.key_url.split("?", 1)[0]) from None


def _deb822(desired: RepositoryInputs) -> str:
    fields = {
        "Types": "deb",
        "URIs": " ".join(desired.uris),
        "Suites": " ".join(desired.suites),
        "Components": " ".join(desired.components),
        "Architectures": " ".join(desired.architectures),
        "Signed-By": _signed_by(desired),
        "Trusted": "yes" if desired.trusted else "",
        **desired.options,
    }
    return "".join("%s: %s\n" % (name, one_line(name, value)) for name, value in fields.items() if value)


def _repo(desired: RepositoryInputs) -> str:
    key = _signed_by(desired)
    fields = {
        "name": desired.name,
        "baseurl": " ".join(desired.uris),
        "enabled": "1",
        "gpgcheck": "0" if desired.trusted else "1",
        "gpgkey": "file://" + key if key else "",
        **({"autorefresh": "1", "type": "rpm-md"} if desired.type == "zypper" else {}),
        **desired.options,
    }
    lines = ["%s=%s\n" % (name, one_line(name, value)) for name, value in fields.items() if value]
    return "[%s]\n%s" % (desired.name, "".join(lines))


def _signed_by(desired: RepositoryInputs) -> str:
    """The file of the key; empty where those hold that the system trusts for all."""
    own = _key_file(desired)
    return own.path if own is not None else desired.key_path


def _refresh(host: Host, desired: RepositoryInputs) -> None:
    """Fetches the lists of this source alone. A signature that does not hold is an error."""
    if desired.type == "apt":
        path = _source_file(desired).path
        only = ("-oDir::Etc::sourcelist=" + path, "-oDir::Etc::sourceparts=-", "-oAPT::Get::List-Cleanup=0")
        apt.update(host, "-oAPT::Update::Error-Mode=any", *only)
    elif desired.type == "dnf":
        dnf.makecache(host, "--repo", desired.name, "--setopt=%s.skip_if_unavailable=False" % desired.name)
    else:
        key = _signed_by(desired)
        if key:
            ran = rpm.look(host, "rpm", "--import", key)
            packages.done(ran, "rpm --import", [])
        zypper.refresh(host, desired.name)


def _put_back(host: Host, before: Dict[str, Optional[Snapshot]]) -> None:
    for path, snapshot in before.items():
        if snapshot is None:
            if host.lstat(path) is not None:
                host.unlink(path)
                host.sync_directory(posixpath.dirname(path))
        elif snapshot.data is not None:
            entry = snapshot.entry
            replace(host, path, snapshot.data, entry.mode, entry.uid, entry.gid)


def _make_parents(host: Host, path: str) -> None:
    """The directory for keys, which not every release brings."""
    parent = posixpath.dirname(path)
    if host.lstat(parent) is None:
        _make_parents(host, parent)
        host.mkdir(parent, 0o755)
        host.sync_directory(posixpath.dirname(parent))
