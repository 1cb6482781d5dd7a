"""Enrolment: a join token becomes this node's identity.

The CA is fetched from whoever answers and compared with the digest that came with the token; only then is anything
secret sent, over TLS that trusts that CA alone. Safe to repeat: the keys are on disk before the first request.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import ssl
from typing import Any, List, Optional, Tuple

import agent
from agent.contract import sshsig
from agent.contract.codec import Malformed, from_wire, to_wire
from agent.contract.record import NamedTuple
from agent.contract.token import decode_token
from agent.contract.wire import Enrolled, Enrolment, Refusal, Token
from agent.link import dial
from agent.link.https import request
from agent.state import identity
from agent.state.identity import Identity, Keys

ANSWER_LIMIT = 64 * 1024
TOKEN_LIMIT = 16 * 1024
_NODE_ID = re.compile(r"mi-[0-9a-f]{17}\Z")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class EnrolmentFailed(Exception):
    """The node got no identity; the message says why and what to do."""


class Enrolling(NamedTuple):
    """What came of it. `already` says that the state directory held this identity before."""

    identity: Identity
    already: bool


def enroll(state: str, token_text: str, server: Optional[str] = None, hostname: Optional[str] = None) -> Enrolling:
    """Give the state directory an identity. `server` is tried before the token's own servers.

    Raises EnrolmentFailed, `identity.StateDamaged`.
    """
    try:
        token = decode_token(token_text)
    except Malformed as error:
        raise EnrolmentFailed(str(error)) from error
    present = _present(state, token)
    if present is not None:
        return Enrolling(present, already=True)
    servers = _servers(token, server)
    keys = identity.keys_made(state)
    enrolled, ca_pem = _first_that_answers(servers, token, asking(token, keys, hostname))
    given = identity_of(enrolled, token, servers)
    identity.save(state, given, ca_pem)
    return Enrolling(given, already=False)


def asking(token: Token, keys: Keys, hostname: Optional[str] = None) -> Enrolment:
    """What asks for an identity."""
    return Enrolment(
        token_id=token.token_id,
        secret=token.secret,
        sign_key=keys.sign_key(),
        seal_key=keys.seal_key(),
        hostname=hostname or socket.gethostname(),
        platform=os.uname().sysname,
        agent_version=agent.__version__,
    )


def identity_of(enrolled: Enrolled, token: Token, servers: List[str], *, ephemeral: bool = False) -> Identity:
    """The identity that a server's answer gives. Raises EnrolmentFailed for an answer to something else."""
    try:
        sshsig.public_of_text(enrolled.controller_key)
    except sshsig.BadSignature as error:
        raise EnrolmentFailed("the server's answer is malformed: %s" % error) from error
    if enrolled.fleet_id != token.fleet_id:
        raise EnrolmentFailed("the server enrolled this node in fleet %s, not the token's" % enrolled.fleet_id)
    if not _NODE_ID.match(enrolled.node_id):
        raise EnrolmentFailed("the server gave the malformed node id %.40r" % enrolled.node_id)
    return Identity(
        fleet_id=enrolled.fleet_id,
        node_id=enrolled.node_id,
        node_name=enrolled.node_name,
        controller_key=enrolled.controller_key,
        ca_digest=token.ca_digest,
        servers=servers,
        incarnation=enrolled.incarnation,
        ephemeral=ephemeral,
    )


def pinned_ca(pem: str, ca_digest: str) -> str:
    """The one certificate in `pem`, in our own encoding. Raises EnrolmentFailed unless it has the token's digest."""
    found = _PEM.findall(pem)
    if len(found) != 1:
        raise EnrolmentFailed("/ca.pem holds %d certificates, not one" % len(found))
    try:
        der = ssl.PEM_cert_to_DER_cert(found[0])
    except ValueError as error:
        raise EnrolmentFailed("/ca.pem is not a certificate: %s" % error) from error
    if "sha256:" + hashlib.sha256(der).hexdigest() != ca_digest:
        raise EnrolmentFailed(
            "the server's CA is not the one that the token names: this is another server, or someone stands in"
            " between; nothing secret was sent"
        )
    return ssl.DER_cert_to_PEM_cert(der)


def _present(state: str, token: Token) -> Optional[Identity]:
    try:
        present = identity.load(state)
    except identity.NotEnrolled:
        return None
    if present.fleet_id == token.fleet_id:
        return present
    raise EnrolmentFailed(
        "%s holds the identity %s of another fleet (%s); use another --state, or remove it first"
        % (state, present.node_id, present.fleet_id)
    )


def _servers(token: Token, server: Optional[str]) -> List[str]:
    servers = ([server] if server else []) + [url for url in token.servers if url != server]
    if not servers:
        raise EnrolmentFailed("neither --server nor the token names a server")
    try:
        for url in servers:
            dial.address(url)
    except dial.BadAddress as error:
        raise EnrolmentFailed(str(error)) from error
    return servers


def _first_that_answers(servers: List[str], token: Token, asked: Enrolment) -> Tuple[Enrolled, str]:
    """The first server that can be reached decides; what it refuses is not asked of another."""
    unreachable = []
    for url in servers:
        where = dial.address(url)
        try:
            ca_pem = pinned_ca(_ca(where), token.ca_digest)
            return _post(where, ca_pem, asked), ca_pem
        except dial.Unreachable as error:
            unreachable.append(str(error))
    raise EnrolmentFailed("no server can be reached: " + "; ".join(unreachable))


def _ca(where: dial.Address) -> str:
    status, body = request(where, dial.unverified(), "GET", "/ca.pem", ANSWER_LIMIT)
    if status != 200:
        raise EnrolmentFailed("%s has no /ca.pem (HTTP %d): is it an opsctl server?" % (where, status))
    return body.decode("latin-1")


def _post(where: dial.Address, ca_pem: str, asked: Enrolment) -> Enrolled:
    body = json.dumps(to_wire(asked)).encode()
    status, answer = request(where, dial.trusting(ca_pem), "POST", "/enroll", ANSWER_LIMIT, body)
    if status not in (200, 201):
        raise EnrolmentFailed(_refusal(status, answer))
    try:
        return from_wire(Enrolled, json.loads(answer))
    except (ValueError, Malformed) as error:
        raise EnrolmentFailed("the server's answer is malformed: %s" % error) from error


_SAID = {
    "unknown": "the server does not know this token: it may be of another server, or long expired",
    "used": "this token has been used already; make another with `opsctl token create`",
    "expired": "this token has expired; make another with `opsctl token create`",
    "busy": "the server is busy; try again in a minute",
}


def _refusal(status: int, answer: bytes) -> str:
    """A sentence for an HTTP answer that refuses, whatever its form."""
    try:
        value: Any = json.loads(answer)
        refusal = from_wire(Refusal, value)
    except (ValueError, Malformed):
        return "the server refused (HTTP %d): %s" % (status, answer[:300].decode("utf-8", "replace").strip() or "-")
    return "%s (the server says: %s)" % (_SAID.get(refusal.reason, "the server refused"), refusal.message)
