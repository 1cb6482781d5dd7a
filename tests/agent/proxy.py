"""An HTTP proxy on this machine."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self


class Proxy:
    """An HTTP proxy that knows CONNECT."""

    def __init__(
        self, answer: bytes = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n", address: str = "127.0.0.1"
    ) -> None:
        self.answer = answer
        self.heads: list[bytes] = []
        self._listener = socket.create_server((address, 0))
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(20)

    def _begin(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._begin(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(ConnectionError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            self.heads.append(head)
            client.sendall(self.answer)
            host, port = head.split(b" ")[1].decode().split(":")
            if b" 200 " in self.answer:
                with socket.create_connection((host, int(port))) as server:
                    while True:
                        for one in select.select([client, server], [], [], 20)[0]:
                            data = one.recv(65536)
                            if not data:
                                return
                            (server if one is client else client).sendall(data)
