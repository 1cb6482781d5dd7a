"""Bytes that no agent and no browser sends, on the real port: each is turned away, none leaves a trace in the log."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.adapters.gateway.conftest import Edge

UPGRADE = (
    b"host: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
)
AGENT = b"GET /agent HTTP/1.1\r\n" + UPGRADE
REQUESTS = [
    AGENT,
    b"GET /agent HTTP/1.1\r\nhost: x\r\n\r\n",
    b"POST /agent HTTP/1.1\r\n" + UPGRADE,
    b"GET /agent HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    b"GET /agent HTTP/1.1\r\nx: \xff\xfe\r\n" + UPGRADE,
    b"GET /\xff\xfe HTTP/1.1\r\n" + UPGRADE,
    b"GET http://[::1 HTTP/1.1\r\n\r\n",
    b"GET /%ff%fe HTTP/1.1\r\nhost: x\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST /enroll HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    b"POST /enroll HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\n",
    b"POST /enroll HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
]
FRAMES = {
    b"\x81\x05hello": "not masked",
    b"\xff\xff\xff\x00\x00\x00\x00": "unknown opcode",
    b"\x89\xfe\x01\x00\x00\x00\x00\x00" + bytes(256): "a long ping",
    b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00": "too long",
    b"\x80\x80\x00\x00\x00\x00": "a continuation of nothing",
}


def _hear_out(peer: socket.socket) -> None:
    while peer.recv(4096):
        pass  # until it hangs up


def _opened(edge: Edge) -> ssl.SSLSocket:
    raw = socket.create_connection(edge.address, timeout=10)
    return ssl.create_default_context(cafile=str(edge.files.ca)).wrap_socket(raw, server_hostname="127.0.0.1")


@pytest.fixture(autouse=True)
def unmoved(edge: Edge, caplog: pytest.LogCaptureFixture) -> object:
    """Whatever a test sent, nothing was logged with a trace and an agent is still welcome."""
    yield
    assert [record for record in caplog.records if record.exc_info] == []
    edge.intake.fail.clear()
    with edge.dial() as link:
        link.greet(edge.new_node(), edge.controller.public)


@pytest.mark.parametrize("frame", FRAMES, ids=FRAMES.values())
def test_frames_that_break_the_websocket_protocol(edge: Edge, frame: bytes) -> None:
    with _opened(edge) as peer:
        peer.sendall(AGENT)
        assert b"101" in peer.recv(4096)
        peer.sendall(frame)
        with contextlib.suppress(OSError):
            _hear_out(peer)


def test_requests_of_every_bad_form_and_their_neighbours(edge: Edge) -> None:
    noise = random.Random(20)
    for number in range(80):
        request = bytearray(REQUESTS[number % len(REQUESTS)])
        for _ in range(number // len(REQUESTS)):
            request[noise.randrange(len(request))] = noise.randrange(256)
        with _opened(edge) as peer, contextlib.suppress(OSError):
            peer.sendall(request)


def test_bytes_that_are_not_tls(edge: Edge) -> None:
    for data in (b"", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256))):
        with socket.create_connection(edge.address, timeout=10) as peer, contextlib.suppress(OSError):
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            _hear_out(peer)
