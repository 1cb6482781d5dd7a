"""Our client against the `websockets` library's server protocol, and against servers that break the rules."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from agent.link import websocket
from agent.link.websocket import Binary, Closed, Conversation, Event, NotUpgraded, Ping, Pong, Text, Violation

LIMIT = 1024 * 1024


def frame(opcode: int, payload: bytes = b"", *, final: bool = True, rsv: int = 0) -> bytes:
    head = bytes([(0x80 if final else 0) | rsv << 4 | opcode])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    if len(payload) < 65536:
        return head + b"\x7e" + struct.pack(">H", len(payload)) + payload
    return head + b"\x7f" + struct.pack(">Q", len(payload)) + payload


def opened() -> tuple[Conversation, ServerProtocol]:
    """A client and the library's server after a real handshake between them."""
    key = websocket.new_key()
    server = ServerProtocol(max_size=LIMIT)
    server.receive_data(websocket.opening("node.example:8443", "/agent", key))
    (request,) = server.events_received()
    assert isinstance(request, Request)
    assert request.path == "/agent"
    assert request.headers["Host"] == "node.example:8443"
    server.send_response(server.accept(request))
    answer = b"".join(server.data_to_send())
    assert websocket.accept(answer[:20], key) is None
    assert websocket.accept(answer + b"more", key) == b"more"
    return Conversation(LIMIT), server


def to_server(client: Conversation, server: ServerProtocol) -> list[Frame]:
    data = client.take(1 << 30)
    client.sent(len(data))
    server.receive_data(data)
    return [event for event in server.events_received() if isinstance(event, Frame)]


def fed(client: Conversation, data: bytes, cuts: list[int]) -> list[Event]:
    """The events of `data` delivered in pieces."""
    events: list[Event] = []
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in zip(edges, edges[1:]):
        events += client.receive(data[start:end])
    return events


messages = some.one_of(some.text(max_size=300).map(Text), some.binary(max_size=70_000).map(Binary))


@settings(deadline=None)
@given(some.lists(messages, max_size=8))
def test_the_server_gets_what_the_client_sends(sent: list[Text | Binary]) -> None:
    client, server = opened()
    for message in sent:
        if isinstance(message, Text):
            client.send_text(message.text)
        else:
            client.send_binary(message.data)
    got = [
        Text(bytes(item.data).decode()) if item.opcode is Opcode.TEXT else Binary(bytes(item.data))
        for item in to_server(client, server)
    ]
    assert got == sent


@settings(deadline=None)
@given(some.lists(some.tuples(messages, some.integers(1, 5)), max_size=6), some.lists(some.integers(0), max_size=20))
def test_the_client_gets_what_the_server_sends_however_it_is_cut(
    sent: list[tuple[Text | Binary, int]], cuts: list[int]
) -> None:
    client, server = opened()
    for message, pieces in sent:
        data = message.text.encode() if isinstance(message, Text) else message.data
        size = len(data) // pieces + 1
        chunks = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        begin = server.send_text if isinstance(message, Text) else server.send_binary
        begin(chunks[0], fin=len(chunks) == 1)
        for at, chunk in enumerate(chunks[1:], start=2):
            server.send_ping(b"between")
            server.send_continuation(chunk, fin=at == len(chunks))
    data = b"".join(server.data_to_send())
    events = fed(client, data, cuts)
    assert [event for event in events if not isinstance(event, Ping)] == [message for message, _ in sent]
    assert all(item.opcode is Opcode.PONG and item.data == b"between" for item in to_server(client, server))


@given(some.binary(max_size=70_000), some.binary(min_size=4, max_size=4))
def test_masking_is_the_rfcs(data: bytes, mask: bytes) -> None:
    assert (
        websocket.masked(data, mask)
        == bytes(byte ^ mask[at % 4] for at, byte in enumerate(data[:300])) + (websocket.masked(data, mask)[300:])
    )
    assert websocket.masked(websocket.masked(data, mask), mask) == data


def test_ping_pong_and_close_both_ways() -> None:
    client, server = opened()
    client.send_ping(b"there?")
    assert to_server(client, server)[0].opcode is Opcode.PING
    assert client.receive(b"".join(server.data_to_send())) == [Pong(b"there?")]
    server.send_close(4401, "wrong key")
    assert client.receive(b"".join(server.data_to_send())) == [Closed(4401, "wrong key")]
    assert to_server(client, server)[0].opcode is Opcode.CLOSE
    assert client.receive(frame(1, b"late")) == []
    assert client.receive_end() == []

    client, server = opened()
    client.send_close(1000, "done")
    client.send_text("never sent")
    to_server(client, server)
    assert client.receive(b"".join(server.data_to_send())) == [Closed(1000, "done")]
    assert server.close_rcvd is not None
    assert server.close_rcvd.reason == "done"


def test_an_end_without_a_close_frame_is_abnormal() -> None:
    client = Conversation(LIMIT)
    assert client.receive_end() == [Closed(1006, "the connection ended")]
    assert client.receive_end() == []


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (frame(1, b"x", rsv=4), 1002, "reserved bits"),
        (frame(3, b""), 1002, "reserved opcode 3"),
        (frame(11, b""), 1002, "reserved opcode 11"),
        (b"\x81\x81abcd!", 1002, "masked"),
        (frame(9, b"x" * 126), 1002, "control frame"),
        (frame(9, b"x", final=False), 1002, "control frame"),
        (frame(0, b"x"), 1002, "continuation of no message"),
        (frame(1, b"a", final=False) + frame(1, b"b"), 1002, "inside a fragmented one"),
        (b"\x82\x7e\x00\x7d" + b"x" * 125, 1002, "shortest form"),
        (b"\x82\x7f" + struct.pack(">Q", 65535), 1002, "shortest form"),
        (b"\x82\x7f" + struct.pack(">Q", 1 << 63), 1002, "shortest form"),
        (frame(1, b"\xff"), 1007, "not UTF-8"),
        (frame(1, b"\xc3", final=False) + frame(0, b"\x28"), 1007, "not UTF-8"),
        (b"\x82\x7f" + struct.pack(">Q", LIMIT + 1), 1009, "over the limit"),
        (frame(2, b"x" * LIMIT, final=False) + frame(0, b"x"), 1009, "over the limit"),
        (frame(8, b"\x03"), 1002, "half a code"),
        (frame(8, struct.pack(">H", 1005)), 1002, "1005"),
        (frame(8, struct.pack(">H", 999)), 1002, "999"),
        (frame(8, struct.pack(">H", 1000) + b"\xff"), 1007, "not UTF-8"),
    ],
)
def test_a_server_that_breaks_a_rule_is_told_which(data: bytes, code: int, says: str) -> None:
    client = Conversation(LIMIT)
    with pytest.raises(Violation, match=says) as raised:
        client.receive(data)
    assert raised.value.code == code
    assert client.receive(frame(1, b"nothing is read after that")) == []


@pytest.mark.fault
@given(some.binary(max_size=2000), some.lists(some.integers(0), max_size=5))
def test_garbage_ends_in_events_or_a_violation_and_never_in_more_memory(data: bytes, cuts: list[int]) -> None:
    client, codes = Conversation(1000), set()
    try:
        fed(client, data, cuts)
    except Violation as violation:
        codes.add(violation.code)
    assert codes <= {1002, 1007, 1009}
    assert len(client._incoming) <= len(data)


def test_what_is_too_big_to_send_is_the_callers_mistake() -> None:
    client = Conversation(1000)
    with pytest.raises(ValueError, match="1001 bytes is over the limit of 1000"):
        client.send_binary(b"x" * 1001)
    with pytest.raises(ValueError, match="125 bytes at most"):
        client.send_ping(b"x" * 126)
    client.send_close(1002, "é" * 200)
    assert len(client.outgoing) <= 2 + 4 + 125


GOOD = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
ACCEPT = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"  # of the RFC's own example
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def test_the_rfcs_own_example_is_accepted() -> None:
    assert websocket.accept((GOOD + ACCEPT + "\r\n").encode(), KEY) == b""


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n\r\nno such page", "HTTP 404: no such page"),
        ("HTTP/1.1 503 Busy\r\n\r\n", "HTTP 503$"),
        (GOOD + "\r\n", "not this WebSocket"),
        (GOOD + ACCEPT.replace("s3p", "S3p") + "\r\n", "not this WebSocket"),
        (GOOD.replace("websocket", "h2c") + ACCEPT + "\r\n", "not this WebSocket"),
        (GOOD + ACCEPT + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "extension"),
        (GOOD + ACCEPT + "Sec-WebSocket-Protocol: chat\r\n\r\n", "subprotocol"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "not an HTTP answer"),
        ("HTTP/1.1 abc\r\n\r\n", "not an HTTP answer"),
        (GOOD + "no colon here\r\n\r\n", "malformed header"),
        ("HTTP/1.1 101 X\r\n" + "X: y\r\n" * 4000, "longer than"),
    ],
)
def test_any_other_answer_says_what_it_was(answer: str, says: str) -> None:
    with pytest.raises(NotUpgraded, match=says):
        websocket.accept(answer.encode(), KEY)
