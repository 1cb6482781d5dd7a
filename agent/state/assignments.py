"""The assignment set that this node holds, on disk: verified, whole, never older than before.

held/set.json      the signed set, when it came, and what is still to be taken away
held/contact.json  when the server was last heard, see `contact`
held/objects/      see `objects`
"""

from __future__ import annotations

import base64
import json
import os
import threading
from dataclasses import field, replace
from typing import Callable, Dict, Iterable, List, Optional, Set, Tuple, Type, TypeVar

from agent import durable
from agent.contract import sshsig
from agent.contract.canonical import DIGEST
from agent.contract.codec import Malformed, Wire, from_wire, not_fields, to_wire
from agent.contract.record import NamedTuple, dataclass
from agent.contract.wire import PROTOCOL, Assignment, AssignmentSet, Body, BodyStep, NodeContext, Signed
from agent.crypto import opened
from agent.log import ERROR, log
from agent.state.identity import Identity
from agent.state.objects import NotHeld, Objects

BODY_LIMIT = 4 * 1024 * 1024
CONTEXT_LIMIT = 1024 * 1024
FILE_LIMIT = 1024 * 1024 * 1024

_Part = TypeVar("_Part", Body, NodeContext)


class SetRefused(Exception):
    """A set that must not be taken; the one held stays."""


class NotUnderstood(Exception):
    """The set says that an agent which does not understand `what` must not act on it."""

    def __init__(self, what: str) -> None:
        super().__init__("this agent does not understand %s" % what)
        self.what = what


class Position(NamedTuple):
    """How new a set is."""

    incarnation: int
    serial: int

    def __str__(self) -> str:
        return "%d.%d" % self


class Wanted(NamedTuple):
    """Bytes that a set needs and the node lacks, and how many there may be."""

    digest: str
    limit: int


@dataclass(frozen=True)
class Version(Wire):
    """An association as it is held, or as one that left was held last."""

    generation: int
    body_digest: str
    context_digest: str


@dataclass(frozen=True)
class SetFile(Wire):
    """The file's form. `removing` are associations that left the set and have not been taken away yet."""

    signed: Signed
    removing: Dict[str, Version] = field(default_factory=dict)


@dataclass(frozen=True)
class Desired:
    """What the node should be, as one immutable value. A retired node's `assignments` are empty."""

    position: Position
    interval: int
    expires_in: int
    context_digest: str
    assignments: Dict[str, Assignment]
    removing: Dict[str, Version]
    retired: bool

    def version(self, uid: str) -> Version:
        """That of an association which is held, or is leaving."""
        item = self.assignments.get(uid)
        return self.removing[uid] if item is None else Version(item.generation, item.body_digest, self.context_digest)


class Assignments:
    """The held set of one state directory. `commit` is for the link; the rest may be called from any thread.

    `also` names bodies that are needed for something else than the set.
    """

    def __init__(self, state: str, identity: Identity) -> None:
        self._identity = identity
        self._path = set_path(state)
        durable.make_directory(os.path.dirname(self._path))
        self.objects = Objects(os.path.join(state, "held", "objects"))
        self._mutex = threading.Lock()
        self._parts: Dict[str, Wire] = {}
        self._held: Optional[SetFile] = None
        self._set: Optional[AssignmentSet] = None
        self._coming: Optional[AssignmentSet] = None
        self.also: Callable[[], List[str]] = list
        self._load()

    def desired(self) -> Optional[Desired]:
        """What is held, None before the first set."""
        with self._mutex:
            if self._set is None or self._held is None:
                return None
            return Desired(
                position=Position(self._set.incarnation, self._set.serial),
                interval=min(max(self._set.interval, 1), 86400),
                expires_in=self._set.expires_in,
                context_digest=self._set.context_digest,
                assignments={} if self._set.retire else dict(self._set.assignments),
                removing=dict(self._held.removing),
                retired=self._set.retire,
            )

    def position(self) -> Position:
        """(incarnation, serial) held; before the first set, serial 0 of the incarnation that enrolled the node."""
        with self._mutex:
            if self._set is None:
                return Position(self._identity.incarnation, 0)
            return Position(self._set.incarnation, self._set.serial)

    def check(self, payload: bytes) -> AssignmentSet:
        """The set in a verified payload, if this node should take it. Raises SetRefused, NotUnderstood."""
        try:
            offered = from_wire(AssignmentSet, json.loads(payload), "assignments")
        except (ValueError, RecursionError, Malformed) as error:
            raise SetRefused("it is malformed: %s" % error) from error
        for what in not_fields(AssignmentSet, offered.must_understand):
            raise NotUnderstood(what)
        if offered.protocol != PROTOCOL:
            raise NotUnderstood("protocol %d" % offered.protocol)
        if offered.fleet_id != self._identity.fleet_id:
            raise SetRefused("it is of fleet %s, not of %s" % (offered.fleet_id, self._identity.fleet_id))
        if offered.node_id != self._identity.node_id:
            raise SetRefused("it is for node %s" % offered.node_id)
        digests = [offered.context_digest] + [item.body_digest for item in offered.assignments.values()]
        if not all(DIGEST.match(item) for item in digests):
            raise SetRefused("it names bytes by something that is not a digest")
        self._check_age(offered)
        return offered

    def lacking(self, offered: AssignmentSet) -> List[Wanted]:
        """What must be fetched before the set is whole: bodies and the context first, then the files they name."""
        with self._mutex:
            self._coming = offered  # what arrives for it is not swept
        first = {offered.context_digest: CONTEXT_LIMIT}
        first.update((item.body_digest, BODY_LIMIT) for item in _effective(offered).values())
        lacking = [Wanted(item, limit) for item, limit in first.items() if not self.objects.has(item)]
        if lacking:
            return lacking
        return self._lacking_files([item.body_digest for item in _effective(offered).values()])

    def lacking_of(self, bodies: List[str]) -> List[Wanted]:
        """What must be fetched before these bodies are whole: first they, then the files they name."""
        lacking = [Wanted(item, BODY_LIMIT) for item in dict.fromkeys(bodies) if not self.objects.has(item)]
        return lacking or self._lacking_files(bodies)

    def _lacking_files(self, bodies: List[str]) -> List[Wanted]:
        files = {reference.digest: reference.size for body in bodies for reference in self._files(body)}
        return [Wanted(item, size) for item, size in files.items() if not self.objects.has(item)]

    def commit(self, signed: Signed, offered: AssignmentSet) -> None:
        """Hold a whole set from now on, durably. What it no longer has is remembered until it has been taken away."""
        self.objects.sync()
        with self._mutex:
            self._coming = None
            if self._set is not None and _content(offered) == _content(self._set):
                return  # the same set again: only bytes that had been lost came back
            removing = dict(self._held.removing) if self._held else {}
            if self._set is not None:
                for uid, item in _effective(self._set).items():
                    removing[uid] = Version(item.generation, item.body_digest, self._set.context_digest)
            removing = {uid: item for uid, item in removing.items() if uid not in _effective(offered)}
            self._keep(SetFile(signed, removing), offered)

    def removed(self, uid: str) -> None:
        """What the association left behind has been taken away, and reported."""
        with self._mutex:
            if self._held is not None and self._set is not None and uid in self._held.removing:
                left = {key: item for key, item in self._held.removing.items() if key != uid}
                self._keep(replace(self._held, removing=left), self._set)

    def body(self, digest: str) -> Body:
        """Raises NotHeld; NotUnderstood for a body that this agent must not act on."""
        body = self._part(Body, digest)
        for what in not_fields(BodyStep, not_fields(Body, body.must_understand)):
            raise NotUnderstood(what)
        return body

    def context(self, digest: str) -> NodeContext:
        """Raises NotHeld, NotUnderstood."""
        return self._part(NodeContext, digest)

    def held_digests(self) -> Tuple[Optional[str], Dict[str, str]]:
        """(context digest, uid -> body digest) of what is held."""
        desired = self.desired()
        if desired is None:
            return None, {}
        return desired.context_digest, {uid: item.body_digest for uid, item in desired.assignments.items()}

    def sweep(self) -> None:
        """Remove objects that neither the held set nor one being fetched refers to. Not while a body is worked on."""
        with self._mutex:
            if self._set is None or self._held is None:
                return
            keep: Set[str] = set()
            bodies = {item.body_digest for item in self._held.removing.values()}
            keep.update(item.context_digest for item in self._held.removing.values())
            for assignments in (self._set, self._coming or self._set):
                keep.add(assignments.context_digest)
                bodies.update(item.body_digest for item in _effective(assignments).values())
            bodies.update(self.also())
            for digest in bodies:
                keep.update(reference.digest for reference in self._files(digest))
            keep |= bodies
            self.objects.sweep(keep)
        for digest in list(self._parts):
            if digest not in keep:
                self._parts.pop(digest, None)

    def current_set(self) -> Optional[Tuple[Signed, AssignmentSet]]:
        """The set as it came, to complete it again where objects were lost."""
        with self._mutex:
            return (self._held.signed, self._set) if self._held is not None and self._set is not None else None

    def _check_age(self, offered: AssignmentSet) -> None:
        there, here = Position(offered.incarnation, offered.serial), self.position()
        if there < here:
            raise SetRefused("it is older (%s) than the one held (%s)" % (there, here))
        if self._set is not None and there == here and _content(offered) != _content(self._set):
            raise SetRefused("another set of the same serial (%s) is held" % (here,))

    def _files(self, body_digest: str) -> Iterable["_Reference"]:
        """The files a body names. None for a body that cannot be read: running it will say why."""
        try:
            body = self._part(Body, body_digest)
        except (NotHeld, NotUnderstood):
            return []
        named = [_Reference(item.digest, item.size) for item in body.files.values()]
        return [item for item in named if DIGEST.match(item.digest) and 0 <= item.size <= FILE_LIMIT]

    def _part(self, kind: Type[_Part], digest: str) -> _Part:
        found = self._parts.get(digest)
        if isinstance(found, kind):
            return found
        try:
            part = from_wire(kind, json.loads(self.objects.read(digest)), kind.__name__.lower())
        except (ValueError, RecursionError, Malformed) as error:
            raise NotUnderstood("%s %s: %s" % (kind.__name__.lower(), digest, error)) from error
        self._parts[digest] = part
        return part

    def _keep(self, held: SetFile, current: AssignmentSet) -> None:
        durable.replace(self._path, json.dumps(to_wire(held), sort_keys=True).encode())
        self._held, self._set = held, current

    def _load(self) -> None:
        """What is on disk, verified as if it came just now: whoever could write there still could not sign."""
        try:
            held = _read(self._path)
            if held is not None:
                payload = opened(held.signed, self._identity.controller(), sshsig.ASSIGNMENTS)
                self._held, self._set = held, self.check(payload)
        except (ValueError, Malformed, sshsig.BadSignature, SetRefused, NotUnderstood) as error:
            log(ERROR, "the assignments on disk cannot be used, the server will send them again: %s", error)


def set_path(state: str) -> str:
    return os.path.join(state, "held", "set.json")


def shown(state: str) -> Optional[AssignmentSet]:
    """The set that a state directory holds, to be shown and not acted on; None where there is none to be read."""
    try:
        held = _read(set_path(state))
        if held is None:
            return None
        return from_wire(AssignmentSet, json.loads(base64.b64decode(held.signed.payload)))
    except (OSError, ValueError, Malformed):
        return None


def _read(path: str) -> Optional[SetFile]:
    data = durable.read(path)
    return None if data is None else from_wire(SetFile, json.loads(data), path)


class _Reference(NamedTuple):
    digest: str
    size: int


def _effective(assignments: AssignmentSet) -> Dict[str, Assignment]:
    return {} if assignments.retire else assignments.assignments


def _content(assignments: AssignmentSet) -> AssignmentSet:
    """A set without the parts that differ when the same one is signed again."""
    return replace(assignments, issued_at="", expires_in=0)
