"""The two listeners of a server in one event loop, with a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop

from agent.contract.wire import FRAME_LIMIT
from reconciler.adapters.listener.protocols import BoundedHttp, StrictWebSocket
from reconciler.core.problem import Defect, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from reconciler.adapters.listener.certificate import Certificate

    App = Callable[[Any, Any, Any], Awaitable[None]]

BACKLOG = 2048
CONNECTIONS = 20_000
LOCAL_CONNECTIONS = 256
PING_SECONDS = 20.0
KEEP_ALIVE_SECONDS = 30
GRACE_SECONDS = 3.0
UNIX_PATH_BYTES = 104
"""What the shortest of the systems has room for in a socket's address, less its end."""


@dataclass(frozen=True, slots=True)
class TlsListener:
    """`app` on TLS at `host`:`port`; port 0 takes a free one."""

    app: App
    host: str
    port: int
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class UnixListener:
    """`app` on a Unix socket. `mode` says who may connect at all; peer credentials say who may do what."""

    app: App
    path: Path
    mode: int = 0o600


class Listeners:
    """Both listeners, from `start` to `stop`. `stopping` is set first, so that endless answers can end.

    `loop` is the event loop that they run in, once they are started.
    """

    def __init__(self, tls: TlsListener, unix: UnixListener | None, stopping: threading.Event | None = None) -> None:
        self._tls = tls
        self._unix = unix
        self.stopping = stopping or threading.Event()
        self._servers: list[_Server] = []
        self._sockets: list[socket.socket] = []
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.address: tuple[str, int] = (tls.host, tls.port)

    def start(self) -> None:
        """Listen, in a thread of its own; returns once both accept. Raises `Unavailable` or `Refused` where not."""
        self._bind()
        self._thread = threading.Thread(target=self._run, name="listeners", daemon=True)
        self._thread.start()
        for server in self._servers:
            server.ready.wait()
        if self._failure:
            raise Defect(f"the listeners did not start: {self._failure}") from self._failure

    def stop(self) -> None:
        """Accept nothing new, let requests under way end for a few seconds, close the rest."""
        self.stopping.set()
        for server in self._servers:
            server.should_exit = True
        if self._thread:
            self._thread.join()
        if self._unix:
            self._unix.path.unlink(missing_ok=True)
        if self._failure:
            raise Defect(f"the listeners ended early: {self._failure}") from self._failure

    def _bind(self) -> None:
        _allow_many_files()
        tls = self._tls
        listening = _listen(tls.host, tls.port)
        self.address = listening.getsockname()[:2]
        self._sockets = [listening]
        self._servers = [_server(tls.app, CONNECTIONS, tls.certificate)]
        if self._unix:
            try:
                self._sockets.append(_listen_unix(self._unix.path, self._unix.mode))
            except BaseException:
                listening.close()
                raise
            self._servers.append(_server(self._unix.app, LOCAL_CONNECTIONS, None))

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            for server in self._servers:
                server.ready.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        pairs = zip(self._servers, self._sockets, strict=True)
        await asyncio.gather(*(server.serve([listening]) for server, listening in pairs))


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to whoever runs the process and says when it accepts."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's, bounded: what has not ended by then, a TLS peer that does not say goodbye included, is cut."""
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                await super().shutdown(sockets)
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()
            for connection in self.server_state.connections:
                connection.transport.abort()
            while self.server_state.connections or self.server_state.tasks:
                await asyncio.sleep(0)


def _server(app: App, connections: int, certificate: Certificate | None) -> _Server:
    config = uvicorn.Config(
        app,
        http=BoundedHttp,
        ws=StrictWebSocket,
        ws_max_size=FRAME_LIMIT,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=connections,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    config.load()
    config.ssl = certificate.context if certificate else None
    return _Server(config)


def _listen(host: str, port: int) -> socket.socket:
    try:
        if not 0 <= port < 65536:  # getaddrinfo would take it modulo 65536
            raise ValueError("a port is between 0 and 65535")
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        everything = address[0] == "::"
        return socket.create_server(address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=everything)
    except (OSError, ValueError) as error:
        raise Unavailable(f"the address {host}:{port} to listen on", str(error)) from error


def _listen_unix(path: Path, mode: int) -> socket.socket:
    if len(bytes(path)) >= UNIX_PATH_BYTES:
        raise Refused(
            f"the socket's path has {len(bytes(path))} bytes: {path}",
            f"a Unix socket's path has fewer than {UNIX_PATH_BYTES}",
            "choose a state directory with a shorter path",
        )
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            path.unlink()  # left by a server that was killed: whoever starts one holds the state directory's lock
        listening.bind(bytes(path))
        path.chmod(mode)  # before listen: until then nobody can connect
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise Unavailable(f"the socket {path}", str(error)) from error
    return listening


def _allow_many_files() -> None:
    """A connection is an open file, and the usual soft limit of 1,024 is less than a fleet."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + 2000 if hard == resource.RLIM_INFINITY else min(hard, CONNECTIONS + 2000)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
