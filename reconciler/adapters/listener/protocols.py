"""uvicorn's protocols with bounds on what a peer can make the process keep before any app sees a request."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from reconciler.adapters.listener.peer import peer_of

HEAD_LIMIT = 32 * 1024
HEAD_SECONDS = 20.0
NOT_TEXT = 1007


class BoundedHttp(HttpToolsProtocol):
    """HTTP whose request line, headers and trailers are bounded in size, and whose heads come in time or not at all.

    On a Unix socket every request's `scope["state"]["peer"]` is the `Peer`, or None where the kernel vouches for none.
    On TLS there is no such entry, and no request can make one.
    """

    _in_head = True
    _head = 0  # bytes that came while a head was not whole
    _kept = 0  # bytes of the headers and trailers kept of this request
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn knows its kind
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family == socket.AF_UNIX:
            self.app_state = dict(self.app_state, peer=peer_of(connection.fileno()))
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > HEAD_LIMIT and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def on_message_begin(self) -> None:
        self._kept = 0
        self._expect_head()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._kept += len(name) + len(value)
        if self._kept > HEAD_LIMIT:
            raise ValueError("the headers and trailers are too large")  # uvicorn answers 400
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head = 0
        self._head_came()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        super().on_message_complete()

    def _expect_head(self) -> None:
        self._head_came()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _head_came(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None


class StrictWebSocket(WebSocketsSansIOProtocol):
    """WebSocket that ends a connection whose text is not UTF-8 without a trace in the log."""

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not _is_text(self.frames):
            self.frames = []
            self.conn.fail(NOT_TEXT, "not UTF-8")
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()


def _is_text(parts: list[Any]) -> bool:
    try:
        b"".join(parts).decode()
    except UnicodeDecodeError:
        return False
    return True
