"""An agent as the gateway meets it: the `websockets` library as the peer, with levers to misbehave."""

from __future__ import annotations

import contextlib
import json
import secrets
import ssl
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from agent import crypto
from agent.contract import frames, sshsig, wire
from agent.contract.canonical import canonical, digest, digest_of
from agent.contract.codec import from_wire, to_wire
from reconciler.core.ports import Signer, Verify
from tests.adapters.gateway.intake import DEADLINE, FLEET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Key:
    """An Ed25519 key as `core.ports.Signer`."""

    def __init__(self) -> None:
        self._signer = crypto.Signer(crypto.new_key())
        self.public = sshsig.public_text(self._signer.public)

    def sign(self, payload: bytes, namespace: str) -> wire.Signed:
        return self._signer.sign(namespace, payload)


def verify(signed: wire.Signed, public: str, namespace: str, /) -> bytes:
    """`core.ports.Verify`."""
    return crypto.opened(signed, sshsig.public_of_text(public), namespace)


_SIGNER: Signer = Key()
_VERIFY: Verify = verify


@dataclass
class Node:
    """A node's identity and what it holds."""

    id: str
    key: Key
    incarnation: int = 0
    serial: int = 0
    protocol: int = wire.PROTOCOL
    facts: dict[str, Any] = field(default_factory=dict)

    def hello(self) -> wire.Hello:
        return wire.Hello(
            node_id=self.id,
            protocol_min=self.protocol,
            protocol_max=self.protocol,
            agent_version="1.0",
            platform="linux",
            boot_id="b00t",
            key_generation=1,
            steps={"ops:file": 1},
            features=[],
            incarnation=self.incarnation,
            serial=self.serial,
            facts=self.facts,
        )

    def report(self, seq: int, **changed: Any) -> wire.Report:
        report = wire.Report(
            protocol=wire.PROTOCOL,
            fleet_id=FLEET,
            node_id=self.id,
            boot_id="b00t",
            incarnation=1,
            seq=seq,
            uid="Association/base",
            generation=1,
            body_digest="sha256:" + "1" * 64,
            context_digest="sha256:" + "2" * 64,
            agent_version="1.0",
            status="Success",
            claims=[],
            cause="Assigned",
            started_at="2026-01-01T00:00:00.000Z",
            finished_at="2026-01-01T00:00:01.000Z",
        )
        return replace(report, **changed)

    def report_frame(self, report: wire.Report, key: Key | None = None) -> str:
        signed = (key or self.key).sign(canonical(to_wire(report)), sshsig.REPORT)
        return frames.signed_control("report", signed)


class Link:
    """One open WebSocket to a gateway."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    @property
    def fingerprint(self) -> str:
        """The digest of the certificate that TLS presented here."""
        secure = self.socket.socket
        assert isinstance(secure, ssl.SSLSocket)
        return digest(secure.getpeercert(True) or b"")

    def receive(self) -> tuple[str, dict[str, Any]]:
        """The next control frame."""
        text = self.socket.recv(timeout=DEADLINE)
        assert isinstance(text, str), "a binary frame, expected a control frame"
        return frames.read_control(text)

    def chunk(self) -> frames.StreamFrame:
        """The next stream frame."""
        data = self.socket.recv(timeout=DEADLINE)
        assert isinstance(data, bytes), f"expected a stream frame, got {data!r}"
        return frames.unpack(data)

    def send(self, *messages: Any) -> None:
        for message in messages:
            self.socket.send(message if isinstance(message, str | bytes) else frames.control(message))

    def closed(self) -> tuple[int, str]:
        """Read until the server closes; its code and reason."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.socket.recv(timeout=DEADLINE)
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""

    def hello(self, node: Node, **altered: Any) -> dict[str, Any]:
        """The hello frame for the challenge of this link; `altered` fields of the transcript are signed as given."""
        name, value = self.receive()
        assert name == "challenge"
        challenge = frames.plain(name, value)
        assert isinstance(challenge, wire.Challenge)
        hello, nonce = to_wire(node.hello()), secrets.token_hex(16)
        transcript = wire.Transcript(
            fleet_id=challenge.fleet_id,
            server_fingerprint=self.fingerprint,
            node_id=node.id,
            server_nonce=challenge.nonce,
            agent_nonce=nonce,
            protocol=node.protocol,
            hello_digest=digest_of(hello),
        )
        payload = canonical(to_wire(replace(transcript, **altered)))
        signed = node.key.sign(payload, sshsig.HELLO)
        return {"type": "hello", "hello": hello, "nonce": nonce, "signed": to_wire(signed)}

    def greet(self, node: Node, controller_key: str) -> None:
        """The whole handshake, with the server's side checked."""
        hello = self.hello(node)
        self.send(json.dumps(hello))
        name, value = self.receive()
        assert name == "welcome", value
        payload = verify(frames.signed_of(value), controller_key, sshsig.HELLO)
        ours = from_wire(wire.Signed, hello["signed"])
        assert payload == verify(ours, node.key.public, sshsig.HELLO)

    def assigned(self, controller_key: str) -> wire.AssignmentSet:
        """The next frame, which is a set signed by the controller."""
        name, value = self.receive()
        assert name == "assignments", name
        payload = verify(frames.signed_of(value), controller_key, sshsig.ASSIGNMENTS)
        return from_wire(wire.AssignmentSet, json.loads(payload))


@contextlib.contextmanager
def dialled(address: tuple[str, int], ca: Path, path: str = "/agent") -> Iterator[Link]:
    """A WebSocket over verified TLS."""
    context = ssl.create_default_context(cafile=str(ca))
    url = f"wss://{address[0]}:{address[1]}{path}"
    with connect(url, ssl=context, compression=None, proxy=None, close_timeout=2, max_size=None) as socket:
        yield Link(socket)
