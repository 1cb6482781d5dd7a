"""A program that speaks D-Bus, as far as the agent's side of it goes: it accepts, and says what it is told to."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

PATIENCE = 10.0


class Bus:
    """Listens at a path. `calls` are the bytes that came after the greeting, of all connections."""

    def __init__(self, path: Path, greeting: bytes = b"OK 1234\r\n") -> None:
        self.path, self.greeting = str(path), greeting
        self.calls = b""
        self.peers: list[socket.socket] = []
        self._moved = threading.Condition()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self.peers:
            peer.close()
        self._thread.join(PATIENCE)

    def wait_for_call(self, text: str, count: int = 1) -> None:
        with self._moved:
            assert self._moved.wait_for(lambda: self.calls.count(text.encode()) >= count, PATIENCE), self.calls

    def hang_up(self) -> None:
        for peer in self.peers:
            peer.shutdown(socket.SHUT_RDWR)

    def signal(self, path: str, member: str, kind: int = 4) -> None:
        self.peers[-1].sendall(message(kind, path, member))

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.peers.append(peer)
            threading.Thread(target=self._hear, args=[peer], daemon=True).start()

    def _hear(self, peer: socket.socket) -> None:
        heard, begun = b"", False
        try:
            while data := peer.recv(4096):
                heard += data
                if not begun and heard.endswith(b"\r\n"):
                    assert heard.startswith(b"\0AUTH EXTERNAL ")
                    peer.sendall(self.greeting)
                    begun, heard = True, b""
                elif begun:
                    with self._moved:
                        self.calls += data
                        self._moved.notify_all()
        except OSError:
            pass  # the caller has left


def message(kind: int, path: str, member: str, order: str = "<", body: bytes = b"") -> bytes:
    """One message as it stands on the wire, with fields that nobody here asks for among the others."""
    fields = b""
    texts: Iterable[tuple[int, bytes, bytes]] = (
        (1, b"o", path.encode()),
        (5, b"u", struct.pack(order + "I", 7)),
        (8, b"g", b"\x02sa"),
        (3, b"s", member.encode()),
    )
    for code, signature, value in texts:
        fields += b"\0" * (-len(fields) % 8) + bytes([code, 1]) + signature + b"\0"
        if signature == b"g":
            fields += value + b"\0"
            continue
        fields += b"\0" * (-len(fields) % 4)
        fields += value if signature == b"u" else struct.pack(order + "I", len(value)) + value + b"\0"
    head = b"l" if order == "<" else b"B"
    head += bytes([kind, 0, 1]) + struct.pack(order + "III", len(body), 9, len(fields)) + fields
    return head + b"\0" * (-len(head) % 8) + body
