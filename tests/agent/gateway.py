"""The server's side of the wire, small but real: TCP, TLS, HTTP, the `websockets` library, `cryptography`.

It exists so that the agent meets a peer that shares none of its code but the contract's types.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import functools
import hashlib
import json
import os
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from agent.contract import frames, sshsig, wire
from agent.contract.canonical import canonical, digest, digest_of
from agent.contract.codec import from_wire, to_wire
from agent.contract.token import encode_token
from tests.agent.pki import Authority, ControllerKey, verified

FLEET = "fleet-1"
NODE = "mi-0123456789abcdef0"
PATIENCE = 20.0


@functools.lru_cache(maxsize=None)
def _authority() -> Authority:
    """One CA for all servers of a test process: making keys takes a while."""
    return Authority()


@dataclasses.dataclass
class Flow:
    """A content on its way to an agent."""

    stream: int
    data: bytes
    at: int = 0
    seq: int = 0
    credit: int = frames.INITIAL_CREDIT


class Gateway:
    """One fleet's server. Set `desired`, `contents` and `refuse` as the test wants; read what came from the lists."""

    def __init__(self, directory: Path, authority: Authority | None = None, address: str = "127.0.0.1") -> None:
        self.directory = directory
        self.address = address
        self.authority = authority or _authority()
        self.controller = ControllerKey()
        self.certificate = self.authority.serve_as(directory, address)
        self.ca_pem = self.authority.pem
        self.tokens: dict[str, str] = {}
        self.nodes: dict[str, str] = {}
        self.desired: dict[str, wire.AssignmentSet] = {}
        self.contents: dict[str, bytes] = {}
        self.acknowledge = True
        self.refuse: tuple[int, str] | None = None
        self.enrol_answer: tuple[int, bytes] | None = None
        self.clock: float | None = None
        self.hellos: list[wire.Hello] = []
        self.held: list[wire.Held] = []
        self.reports: list[wire.Report] = []
        self.reported_at: list[float] = []
        self.pulses: list[wire.Pulse] = []
        self.unsupported: list[wire.Unsupported] = []
        self.closes: list[tuple[int, str]] = []
        self.credits = 0
        self.failures: list[BaseException] = []
        self.connections: list[Connection] = []
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.port = 0

    # Life

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        for failure in self.failures:
            raise failure

    def listen(self) -> None:
        """Take connections, at the same port as before after `shut`."""
        self._listener = socket.create_server((self.address, self.port))
        self.port = self._listener.getsockname()[1]
        self._begin(self._accept, self._listener)

    def shut(self) -> None:
        """Hang up on everyone and stop listening."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for connection in list(self.connections):
            connection.hang_up()

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}"

    def token(self, secret: str = "s3cret", **changes: Any) -> str:
        """A join token that this server accepts once per key."""
        self.tokens[secret] = ""
        token = wire.Token([self.url], FLEET, self.authority.digest, "t1", secret)
        return encode_token(dataclasses.replace(token, **changes))

    def wait(self, condition: Callable[[], bool], what: str = "the condition") -> None:
        """Until `condition` holds; the test fails after a while."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition() or bool(self.failures), PATIENCE):
                raise AssertionError(f"{what} did not come about")
        for failure in self.failures:
            raise failure

    # What the fleet wants

    def put(self, data: bytes) -> str:
        """Make bytes available; their digest."""
        self.contents[digest(data)] = data
        return digest(data)

    def put_value(self, value: Any) -> str:
        return self.put(canonical(to_wire(value)))

    def want(
        self, serial: int, bodies: list[wire.Body], *, generation: int = 1, node: str = NODE, **changes: Any
    ) -> wire.AssignmentSet:
        """A set of these bodies as the node's desired one, pushed to it where it is connected."""
        context = self.put_value(wire.NodeContext(name="web-1", labels={"env": "test"}))
        assignments = {
            body.uid: wire.Assignment(generation, self.put_value(body), "none", [wire.Interval()]) for body in bodies
        }
        made = wire.AssignmentSet(
            protocol=1,
            fleet_id=FLEET,
            node_id=node,
            incarnation=1,
            serial=serial,
            issued_at="2026-01-01T00:00:00.000Z",
            expires_in=wire.VALID_FOR,
            context_digest=context,
            assignments=assignments,
        )
        made = dataclasses.replace(made, **changes)
        self.desired[node] = made
        for connection in list(self.connections):
            if connection.open:
                connection.offer(made)
        return made

    def sign_set(self, value: wire.AssignmentSet, key: ControllerKey | None = None) -> str:
        signed = (key or self.controller).sign(sshsig.ASSIGNMENTS, canonical(to_wire(value)))
        return frames.signed_control("assignments", signed)

    # Connections

    def noted(self, kept: list[Any], value: Any) -> None:
        with self._changed:
            kept.append(value)
            self._changed.notify_all()

    def changed(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _begin(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            self._begin(self._serve, plain)

    def _serve(self, plain: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        try:
            with context.wrap_socket(plain, server_side=True) as tls:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = tls.recv(4096)
                    if not data:
                        return
                    head += data
                if b" /agent " in head.split(b"\r\n")[0]:
                    self.connection(tls).run(head)
                else:
                    self._http(tls, head)
        except OSError:
            pass  # the agent hung up
        except BaseException as failure:
            self.failures.append(failure)
            self.changed()

    def connection(self, tls: ssl.SSLSocket) -> Connection:
        return Connection(self, tls)

    def _http(self, tls: ssl.SSLSocket, head: bytes) -> None:
        lines, _, body = head.partition(b"\r\n\r\n")
        method, path, _ = lines.split(b"\r\n")[0].decode().split(" ")
        if (method, path) == ("GET", "/ca.pem"):
            status, answer = 200, self.ca_pem.encode()
        elif (method, path) == ("POST", "/enroll"):
            (length,) = [
                int(line.split(b":")[1]) for line in lines.split(b"\r\n") if line.lower().startswith(b"content-l")
            ]
            while len(body) < length:
                body += tls.recv(4096)
            status, answer = self.enrol_answer or self._enrol(from_wire(wire.Enrolment, json.loads(body)))
        else:
            status, answer = 404, b"no such page"
        headers = b"Content-Length: %d\r\nConnection: close\r\n" % len(answer)
        if self.clock is not None:
            headers += b"Date: %s\r\n" % email.utils.formatdate(self.clock, usegmt=True).encode()
        tls.sendall(b"HTTP/1.1 %d X\r\n%s\r\n" % (status, headers) + answer)

    def _enrol(self, asked: wire.Enrolment) -> tuple[int, bytes]:
        owner = self.tokens.get(asked.secret)
        if owner is None:
            return 403, json.dumps(to_wire(wire.Refusal("unknown", "no such token"))).encode()
        if owner not in ("", asked.sign_key):
            return 409, json.dumps(to_wire(wire.Refusal("used", "by another node"))).encode()
        self.tokens[asked.secret] = asked.sign_key
        self.nodes[NODE] = asked.sign_key
        return 200, json.dumps(to_wire(wire.Enrolled(FLEET, NODE, asked.hostname, self.controller.text, 1))).encode()


class Connection:
    """One agent's WebSocket, run by one thread; others leave what is to be sent and wake it."""

    def __init__(self, gateway: Gateway, tls: ssl.SSLSocket) -> None:
        self.gateway = gateway
        self.tls = tls
        self.protocol = ServerProtocol(max_size=wire.FRAME_LIMIT)
        self.open = False
        self.nonce = os.urandom(16).hex()
        self.hello: wire.Hello | None = None
        self.version = (0, 0)
        self.pings = 0
        self._todo: deque[Callable[[], None]] = deque()
        self._read, self._write = os.pipe()
        self._raw = bytearray()
        self._flows: list[Flow] = []
        self._streams = 0
        self._gone = False

    # For tests, from any thread

    def say(self, text: str) -> None:
        self._later(lambda: self.protocol.send_text(text.encode()))

    def send(self, data: bytes) -> None:
        self._later(lambda: self.protocol.send_binary(data))

    def send_raw(self, data: bytes) -> None:
        """Bytes on the stream as they are, whatever WebSocket says."""
        self._later(lambda: self._raw.extend(data))

    def close(self, code: int, reason: str) -> None:
        self._later(lambda: self.protocol.send_close(code, reason))

    def hang_up(self) -> None:
        def leave() -> None:
            self._gone = True

        self._later(leave)

    def offer(self, value: wire.AssignmentSet) -> None:
        self.version = (value.incarnation, value.serial)
        self.say(self.gateway.sign_set(value))

    def _later(self, act: Callable[[], None]) -> None:
        self._todo.append(act)
        with contextlib.suppress(OSError):
            os.write(self._write, b"!")

    # The thread

    def run(self, head: bytes) -> None:
        self.gateway.connections.append(self)
        self.tls.setblocking(False)
        try:
            self._received(head)
            while not self._gone and not self.protocol.close_expected():
                self._wait()
            self._flush()
        except ProtocolError as error:
            raise AssertionError(f"the agent broke the WebSocket protocol: {error}") from error
        finally:
            self.gateway.connections.remove(self)
            self.open = False
            self.gateway.changed()
            os.close(self._read)
            os.close(self._write)

    def _wait(self) -> None:
        while self._todo:
            self._todo.popleft()()
        self._flush()
        if self._gone or self.protocol.close_expected():
            return
        if not self.tls.pending():
            select.select([self.tls.fileno(), self._read], [], [], PATIENCE)
        if select.select([self._read], [], [], 0)[0]:
            os.read(self._read, 4096)
        try:
            data = self.tls.recv(65536)
        except ssl.SSLWantReadError:
            return
        if not data:
            self._gone = True
            return
        self._received(data)

    def _flush(self) -> None:
        data = b"".join(self.protocol.data_to_send()) + bytes(self._raw)
        self._raw.clear()
        deadline = time.monotonic() + PATIENCE
        while data and time.monotonic() < deadline:
            try:
                data = data[self.tls.send(data) :]
            except ssl.SSLWantWriteError:
                select.select([], [self.tls.fileno()], [], 0.1)

    def _received(self, data: bytes) -> None:
        self.protocol.receive_data(data)
        if self.protocol.parser_exc is not None:
            raise self.protocol.parser_exc
        for event in self.protocol.events_received():
            if isinstance(event, Request):
                self.protocol.send_response(self.protocol.accept(event))
                self._greet()
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._text(bytes(event.data).decode())
            elif isinstance(event, Frame) and event.opcode is Opcode.CLOSE:
                received = self.protocol.close_rcvd
                assert received is not None
                self.gateway.noted(self.gateway.closes, (received.code, received.reason))
            elif isinstance(event, Frame) and event.opcode is Opcode.PING:
                self.pings += 1
            elif isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                raise AssertionError("agents send no binary frames")

    # The contract, as the server keeps it

    def _greet(self) -> None:
        self.say(self.challenge())

    def challenge(self) -> str:
        return frames.control(wire.Challenge(FLEET, self.nonce, 1, 1))

    def _text(self, text: str) -> None:
        name, value = frames.read_control(text)
        if name == "hello":
            self._hello(value)
        elif name == "report":
            self._report(frames.signed_of(value))
        else:
            self._plain(frames.plain(name, value))

    def _hello(self, value: dict[str, Any]) -> None:
        hello = from_wire(wire.Hello, value["hello"], "hello")
        gateway = self.gateway
        if gateway.refuse:
            self.close(*gateway.refuse)
            return
        payload = verified(frames.signed_of(value), gateway.nodes[hello.node_id], sshsig.HELLO)
        certificate = ssl.PEM_cert_to_DER_cert(
            gateway.certificate.read_text().partition("-----END PRIVATE KEY-----\n")[2]
        )
        assert from_wire(wire.Transcript, json.loads(payload)) == wire.Transcript(
            fleet_id=FLEET,
            server_fingerprint="sha256:" + hashlib.sha256(certificate).hexdigest(),
            node_id=hello.node_id,
            server_nonce=self.nonce,
            agent_nonce=value["nonce"],
            protocol=1,
            hello_digest=digest_of(value["hello"]),
        )
        self.hello = hello
        self.say(self.welcome(payload))
        self.open = True
        desired = gateway.desired.get(hello.node_id)
        if desired and (desired.incarnation, desired.serial) != (hello.incarnation, hello.serial):
            self.offer(desired)
        gateway.noted(gateway.hellos, hello)

    def welcome(self, transcript: bytes) -> str:
        return frames.signed_control("welcome", self.gateway.controller.sign(sshsig.HELLO, transcript))

    def _report(self, signed: wire.Signed) -> None:
        gateway = self.gateway
        assert self.hello is not None
        payload = verified(signed, gateway.nodes[self.hello.node_id], sshsig.REPORT)
        assert len(payload) <= wire.REPORT_LIMIT
        report = from_wire(wire.Report, json.loads(payload))
        if gateway.acknowledge:
            self.say(frames.control(wire.Ack(report.seq)))
        gateway.reported_at.append(time.perf_counter())
        gateway.noted(gateway.reports, report)

    def _plain(self, message: Any) -> None:
        gateway = self.gateway
        if isinstance(message, wire.Fetch):
            for wanted in message.digests:
                self.give(wanted)
            self._stream()
        elif isinstance(message, wire.Credit):
            gateway.credits += 1
            for flow in self._flows:
                flow.credit += message.bytes_ if flow.stream == message.stream else 0
            self._stream()
        elif isinstance(message, wire.Held):
            gateway.noted(gateway.held, message)
        elif isinstance(message, wire.Pulse):
            gateway.noted(gateway.pulses, message)
        elif isinstance(message, wire.Unsupported):
            gateway.noted(gateway.unsupported, message)

    def give(self, wanted: str) -> None:
        """Answer a fetch of one digest."""
        data = self.gateway.contents.get(wanted)
        if data is None:
            self.say(frames.control(wire.Missing(wanted)))
            return
        self._streams += 1
        self._flows.append(Flow(self._streams, data))
        self.say(frames.control(wire.Stream(self._streams, wanted, len(data))))

    def _stream(self) -> None:
        for flow in list(self._flows):
            while flow in self._flows and (flow.credit or flow.at == len(flow.data)):
                chunk = flow.data[flow.at : flow.at + min(frames.CHUNK, flow.credit)]
                flow.at += len(chunk)
                flow.credit -= len(chunk)
                kind = frames.END if flow.at == len(flow.data) else frames.DATA
                self.send(frames.pack(frames.StreamFrame(flow.stream, flow.seq, kind, chunk)))
                flow.seq += 1
                if kind == frames.END:
                    self._flows.remove(flow)
