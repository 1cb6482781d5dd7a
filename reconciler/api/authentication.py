"""Who asks: the kernel's word on the Unix socket, an operator's signature on TLS; nobody else."""

from __future__ import annotations

import pwd
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler.api.problems import TooMany, Unauthenticated
from reconciler.api.signature import HEADER, Unproven, opened
from reconciler.core.access import Subject
from reconciler.core.allowance import Allowances

if TYPE_CHECKING:
    from reconciler.api.signature import Freshness
    from reconciler.core.ports import Verify

PER_SECOND, AT_ONCE = 50.0, 500.0
"""Requests per operator, per local user, and per address before anyone is known."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Whom a request is from. `body_digest` is what its body has to have, None where nothing was signed."""

    subject: Subject
    body_digest: str | None = None


@dataclass(frozen=True)
class Doorkeeper:
    """Finds the subject of each request, on the server's event loop.

    `operator_of` names the operator of a public key. On the socket, uid 0 and `owner` (the uid that serves) hold every
    verb; another user is whom `local` maps the uid to, an operator's name, or nobody.
    """

    operator_of: Callable[[str], str | None]
    verify: Verify
    freshness: Freshness
    now_ms: Callable[[], int]
    owner: int
    local: Mapping[int, str] = field(default_factory=dict)
    allowed: Allowances = field(default_factory=lambda: Allowances(PER_SECOND, AT_ONCE), repr=False)

    def admit(self, scope: Any, headers: Mapping[str, str]) -> Asker:
        """Who asks. Raises `Unauthenticated`, or `TooMany`."""
        if "peer" in scope["state"]:
            asker = self._local(scope["state"]["peer"])
        else:
            self._pace(f"from {scope['client'][0] if scope['client'] else 'nowhere'}")
            asker = self._remote(scope, headers)
        self._pace(f"by {asker.subject.name}")
        return asker

    def _local(self, peer: Any) -> Asker:
        if peer is None:
            raise Unauthenticated("this system does not say who is at the other end of the socket", "subjects")
        name = _user(peer.uid)
        if peer.uid in (0, self.owner):
            return Asker(Subject(f"{name}@socket", everything=True))
        if peer.uid in self.local:
            return Asker(Subject(self.local[peer.uid]))
        remedy = "ask as root, as the user who runs the server, or over https with an operator's SSH key"
        raise Unauthenticated(f"user {name} is nobody to this server", "subjects", remedy)

    def _remote(self, scope: Any, headers: Mapping[str, str]) -> Asker:
        value = headers.get(HEADER)
        if value is None:
            raise Unauthenticated("the request is not signed", "subjects", "sign it with an operator's SSH key")
        try:
            signed = opened(value, self.verify)
            name = self.operator_of(signed.key)
            if name is None:
                remedy = "have the key listed in access/operators.yaml"
                raise Unauthenticated(f"the key {signed.key} is no operator's", "subjects", remedy)
            self.freshness.check(signed, scope["method"], _target(scope), self.now_ms())
        except Unproven as error:
            raise Unauthenticated(f"the request's signature is not accepted: {error}", "subjects") from error
        return Asker(Subject(name), signed.request.body_digest)

    def _pace(self, whom: str) -> None:
        wait = self.allowed.take(whom, time.monotonic())
        if wait:
            raise TooMany("this server", f"too many requests {whom}", wait)


def _target(scope: Any) -> str:
    query = scope["query_string"]
    target: bytes = scope["raw_path"] + (b"?" + query if query else b"")
    return target.decode("latin-1")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
