"""A request signed with an operator's SSH key (`opsctl-api@v1`), as one header: what is said, and how it is held
against the request it came with.

    Authorization: Opsctl PAYLOAD.SIG

PAYLOAD is base64 of the canonical JSON of `SignedRequest`, SIG base64 of the binary SSHSIG over those bytes. `server`
is the SHA-256 digest of the fleet's DER CA certificate: the one thing about a server that its clients hold anyway.
"""

from __future__ import annotations

import base64
import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.contract import sshsig, wire
from agent.contract.canonical import canonical, digest, instant, milliseconds
from agent.contract.codec import Malformed, Wire, from_wire, to_wire

if TYPE_CHECKING:
    from reconciler.core.ports import Signer, Verify

HEADER = "authorization"
SCHEME = "Opsctl"
ACCEPTED_MS = 60_000
KEPT_MS = 2 * ACCEPTED_MS
"""A request signed by a clock that is ahead stays acceptable for this long after it was accepted."""

NONCE_CHARACTERS = (16, 128)
NONCES = 200_000


class Unproven(ValueError):
    """The header does not prove that the operator signed this request, here and now; the text says why."""


@dataclass(frozen=True)
class SignedRequest(Wire):
    """What the operator signs. `target` is path and query as sent, `body_digest` that of the body's exact bytes."""

    method: str
    target: str
    body_digest: str
    at: str
    nonce: str
    server: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A request whose signature is by `key` (OpenSSH public key text)."""

    key: str
    request: SignedRequest


def header(request: SignedRequest, signer: Signer) -> str:
    """The value of the header."""
    signed = signer.sign(canonical(to_wire(request)), sshsig.API)
    return f"{SCHEME} {signed.payload}.{signed.sig}"


def request(method: str, target: str, body: bytes, *, now_ms: int, nonce: str, server: str) -> SignedRequest:
    """What to sign for one request to one server."""
    return SignedRequest(method, target, digest(body), instant(now_ms), nonce, server)


def key_of(value: str) -> str:
    """The key that a header claims to be signed by, before anything is verified. Raises `Unproven`."""
    signed = _signed(value)
    try:
        blob = base64.b64decode(signed.sig, validate=True)
        return sshsig.public_text(sshsig.parts(blob).public)
    except ValueError as error:
        raise Unproven(f"the signature is not one: {error}") from error


def opened(value: str, verify: Verify) -> Opened:
    """The request that was signed. Raises `Unproven`."""
    key = key_of(value)
    try:
        payload = verify(_signed(value), key, sshsig.API)
        return Opened(key, from_wire(SignedRequest, json.loads(payload), "request"))
    except sshsig.BadSignature as error:
        raise Unproven(f"the signature does not hold: {error}") from error
    except (Malformed, ValueError, RecursionError) as error:
        raise Unproven(f"what was signed is not a request: {error}") from error


class Freshness:
    """Holds signed requests against here and now, and each of them only once.

    `since_ms` is when this memory began: what was signed before may have been answered by a server that has since
    forgotten it. Used on one thread.
    """

    def __init__(self, server: str, since_ms: int) -> None:
        self._server = server
        self._since_ms = since_ms
        self._seen: OrderedDict[tuple[str, str], int] = OrderedDict()

    def check(self, opened: Opened, method: str, target: str, now_ms: int) -> None:
        """Raises `Unproven` unless it was signed for this request to this server, lately, and never seen."""
        said = opened.request
        if said.server != self._server:
            raise Unproven("it was signed for another server (is this the right ca.pem?)")
        if (said.method, said.target) != (method, target):
            raise Unproven(f"it was signed for another request: {said.method} {said.target}")
        self._recent(said.at, now_ms)
        shortest, longest = NONCE_CHARACTERS
        if not shortest <= len(said.nonce) <= longest:
            raise Unproven(f"its nonce has not {shortest} to {longest} characters")
        self._once((opened.key, said.nonce), now_ms)

    def _recent(self, at: str, now_ms: int) -> None:
        try:
            signed_ms = milliseconds(at)
        except ValueError as error:
            raise Unproven(str(error)) from error
        if abs(now_ms - signed_ms) > ACCEPTED_MS:
            seconds = (now_ms - signed_ms) // 1000
            raise Unproven(f"it was signed {seconds} s ago by this server's clock, 60 are accepted: compare the clocks")
        if signed_ms < self._since_ms:
            raise Unproven("it was signed before this server started: ask again")

    def _once(self, nonce: tuple[str, str], now_ms: int) -> None:
        while self._seen and next(iter(self._seen.values())) < now_ms:
            self._seen.popitem(last=False)
        if nonce in self._seen:
            raise Unproven("it was answered before: each request is signed anew")
        if len(self._seen) >= NONCES:
            raise Unproven("too many requests are remembered; try again in a minute")
        self._seen[nonce] = now_ms + KEPT_MS


def _signed(value: str) -> wire.Signed:
    scheme, _, rest = value.partition(" ")
    payload, dot, sig = rest.strip().partition(".")
    if scheme != SCHEME or not dot:
        raise Unproven(f"expected {SCHEME} PAYLOAD.SIG in the {HEADER} header")
    return wire.Signed(payload, sig)
