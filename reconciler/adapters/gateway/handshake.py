"""Who is there: the server's side of the signed hello. Pure: texts in, texts or `Hangup` out.

Both sides sign one transcript: fleet, the certificate that this connection's TLS presented, node, both nonces, and the
hello by digest. A recorded hello is worthless on any other connection, and someone who ends TLS in between cannot
pass one on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.contract import frames, sshsig, wire
from agent.contract.canonical import NotCanonical, canonical, digest_of
from agent.contract.closing import MALFORMED, OTHER_PROTOCOL, UNAUTHENTICATED
from agent.contract.codec import Malformed, from_wire, to_wire
from reconciler.adapters.gateway.hangup import Hangup

if TYPE_CHECKING:
    from collections.abc import Collection

    from reconciler.core.ports import Signer, Verify

PROTOCOLS = (wire.PROTOCOL, wire.PROTOCOL)
"""The oldest and the newest version spoken here."""

NONCE_CHARACTERS = (16, 128)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A hello as it came: nothing of it is proven yet. `digest` is that of the object as sent."""

    hello: wire.Hello
    digest: str
    nonce: str
    signed: wire.Signed


@dataclass(frozen=True, slots=True)
class Expected:
    """What this connection's transcript has to say. `fingerprints` are the digests of the DER certificates in use."""

    fleet_id: str
    fingerprints: Collection[str]
    nonce: str


def challenge(fleet_id: str, nonce: str) -> str:
    """The first frame of a connection."""
    return frames.control(wire.Challenge(fleet_id, nonce, *PROTOCOLS))


def read_hello(text: str) -> Claimed:
    """What the peer claims. Raises `Hangup` for another frame, another form, or no common protocol version."""
    try:
        name, value = frames.read_control(text)
        if name != "hello":
            raise Hangup(MALFORMED, "expected hello as the first frame")
        hello = from_wire(wire.Hello, value.get("hello"), "hello")
        claimed = Claimed(hello, digest_of(value["hello"]), _nonce(value), frames.signed_of(value))
    except (Malformed, NotCanonical) as error:
        raise Hangup(MALFORMED, f"hello: {error}") from error
    oldest, newest = PROTOCOLS
    if hello.protocol_min > newest or hello.protocol_max < oldest:
        theirs = f"{hello.protocol_min} to {hello.protocol_max}"
        raise Hangup(OTHER_PROTOCOL, f"the agent speaks protocol {theirs}, this server {oldest} to {newest}")
    return claimed


def proven(claimed: Claimed, key: str, expected: Expected, verify: Verify) -> bytes:
    """The transcript's bytes, once they are shown to be this node's word on this connection. Raises `Hangup`."""
    try:
        payload = verify(claimed.signed, key, sshsig.HELLO)
        transcript = from_wire(wire.Transcript, json.loads(payload), "transcript")
    except sshsig.BadSignature as error:
        raise Hangup(UNAUTHENTICATED, f"the hello is not signed by this node's key: {error}") from error
    except (Malformed, ValueError, RecursionError) as error:
        raise Hangup(MALFORMED, f"transcript: {error}") from error
    _compare(transcript, claimed, expected)
    if payload != canonical(to_wire(transcript)):
        raise Hangup(MALFORMED, "the transcript is not canonical JSON of its fields")
    return payload


def welcome(transcript: bytes, signer: Signer) -> str:
    """The server's own signature over the same bytes."""
    return frames.signed_control("welcome", signer.sign(transcript, sshsig.HELLO))


def _nonce(value: dict[str, Any]) -> str:
    nonce = value.get("nonce")
    shortest, longest = NONCE_CHARACTERS
    if not isinstance(nonce, str) or not shortest <= len(nonce) <= longest:
        raise Malformed(f"hello: expected a nonce of {shortest} to {longest} characters")
    return nonce


def _compare(said: wire.Transcript, claimed: Claimed, expected: Expected) -> None:
    hello = claimed.hello
    oldest, newest = max(PROTOCOLS[0], hello.protocol_min), min(PROTOCOLS[1], hello.protocol_max)
    checks = (
        (said.fleet_id == expected.fleet_id, "is signed for another fleet"),
        (said.server_fingerprint in expected.fingerprints, "is signed for another certificate: who ends TLS here?"),
        (said.server_nonce == expected.nonce, "is signed for another connection"),
        (said.agent_nonce == claimed.nonce, "is signed with another nonce than it carries"),
        (said.node_id == hello.node_id, "is signed for another node than it names"),
        (said.hello_digest == claimed.digest, "is not the one that was signed"),
        (oldest <= said.protocol <= newest, "is signed for a protocol out of range"),
    )
    for holds, reason in checks:
        if not holds:
            raise Hangup(UNAUTHENTICATED, f"the hello {reason}")
