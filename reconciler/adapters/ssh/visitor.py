"""One visit: connect, start the agent, hand its bytes to the gateway, and leave."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import paramiko

from agent.contract.stdio import BANNER
from reconciler.adapters.ssh.dialling import dialled
from reconciler.adapters.ssh.program import HAVE, WANT, Program, command
from reconciler.core.node_ports import Guest, Stream
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fabric import Connection

    from reconciler.adapters.ssh.dialling import SshSettings
    from reconciler.core.node_ports import SshHost

Attend = Callable[[Stream, str, Guest], str]
"""`Gateway.attend`."""

START_SECONDS = 30.0
SILENCE_SECONDS = 75.0
"""An agent pings after 20 s of silence and gives up after 40: whoever is silent for longer is gone."""
END_SECONDS = 10.0
PREAMBLE_LIMIT = 64 * 1024
SAID_LIMIT = 16 * 1024

log = logging.getLogger(__name__)


class ChannelStream:
    """`Stream` on a channel of an SSH connection."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def read(self, size: int) -> bytes:
        return bytes(self._channel.recv(size))

    def write(self, data: bytes) -> None:
        self._channel.sendall(data)

    def close(self) -> None:
        self._channel.close()


class SshVisitor:
    """`Visitor` over SSH. `archive` gives agent.pyz."""

    def __init__(self, archive: Callable[[], bytes], settings: SshSettings, attend: Attend) -> None:
        self._archive, self._settings, self._attend = archive, settings, attend
        self._made: Program | None = None
        self._lock = threading.Lock()
        self._open: set[Connection] = set()
        self._closed = False

    def visit(self, host: SshHost, guest: Guest) -> str:
        with contextlib.closing(dialled(host, self._settings)) as connection, self._kept(connection):
            where = f"{host.user}@{host.host}:{host.port}"
            try:
                channel = connection.create_session()
                channel.settimeout(START_SECONDS)
                channel.exec_command(command(host))
                self._start(channel, host)
                channel.settimeout(SILENCE_SECONDS)
            except TimeoutError as error:
                raise Unavailable(where, "the agent did not start in time") from error
            except (OSError, EOFError, paramiko.SSHException) as error:
                raise Unavailable(where, str(error) or "it hung up") from error
            listening = threading.Thread(target=_listen, args=(channel, host.node), daemon=True)
            listening.start()
            try:
                node_id = self._attend(ChannelStream(channel), where, guest)
                channel.status_event.wait(END_SECONDS)  # what it must not leave behind is gone when it has ended
                return node_id
            finally:
                channel.close()
                listening.join()

    @property
    def program(self) -> Program:
        """What is run on nodes, read when it is first needed."""
        with self._lock:
            if self._made is None:
                self._made = Program(self._archive())
            return self._made

    def close(self) -> None:
        with self._lock:
            self._closed = True
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(Exception):
                connection.transport.close()

    @contextlib.contextmanager
    def _kept(self, connection: Connection) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise Unavailable("ssh", "the server is ending")
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)

    def _start(self, channel: paramiko.Channel, host: SshHost) -> None:
        """See the agent started, with the archive sent where the node lacks it. Raises `Refused`, `Unavailable`."""
        arguments = ["once", "--stdio", *(["--ephemeral"] if host.ephemeral else [])]
        channel.sendall(self.program.loader(arguments))
        said = bytearray()
        while BANNER not in said or not said.endswith((HAVE, WANT)):
            data = channel.recv(1024)
            said += data
            if not data or len(said) > PREAMBLE_LIMIT:
                raise _not_started(host, channel, bytes(said))
        if said.endswith(WANT):
            channel.sendall(self.program.archive)


def _not_started(host: SshHost, channel: paramiko.Channel, said: bytes) -> Refused | Unavailable:
    """Why a node does not run the agent, from what its shell and Python said."""
    where = f"{host.user}@{host.host}:{host.port}"
    channel.status_event.wait(1.0)
    complaint = _rest(channel.recv_stderr) or said[-SAID_LIMIT:].decode("utf-8", "replace").strip()
    code = channel.recv_exit_status() if channel.exit_status_ready() else -1
    words = complaint.lower()
    if "needs python" in words:
        return Refused(f"{where}: {complaint.splitlines()[-1]}", "ssh", "name another one in spec.ssh.python")
    if code == 127 or f"{host.python}: command not found" in words or f"{host.python}: not found" in words:
        remedy = "install Python 3.8 or newer there, or name it in spec.ssh.python"
        return Refused(f"{where}: there is no {host.python} on the node", "ssh", remedy)
    if "password is required" in words or "a terminal is required" in words:
        return Refused(f"{where}: sudo asks {host.user} for a password", "ssh", "allow it without one (NOPASSWD)")
    last = complaint.splitlines()[-1][:300] if complaint else f"exit status {code}"
    return Unavailable(where, f"the agent did not start: {last}")


def _rest(receive: Callable[[int], bytes]) -> str:
    said = bytearray()
    with contextlib.suppress(OSError):
        while len(said) < SAID_LIMIT and (data := receive(4096)):
            said += data
    return said.decode("utf-8", "replace").strip()


def _listen(channel: paramiko.Channel, node: str) -> None:
    """What the agent logs on the node goes to the server's log, for as long as it is reasonable."""
    left = SAID_LIMIT
    with contextlib.suppress(OSError):
        while data := channel.recv_stderr(4096):
            for line in data[:left].decode("utf-8", "replace").splitlines():
                log.debug("%s: %s", node, line)
            left = max(0, left - len(data))
