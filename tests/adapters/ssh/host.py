"""A host with an SSH server of its own: real SSH by paramiko's server side, commands run as processes of this machine.

The agent that a visitor starts there takes a directory for the machine: the program's arguments are added to on their
way, since nobody but a test would have a server do that.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, Self

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from reconciler.core.node_ports import SshHost


def new_key(path: Path, passphrase: str = "") -> paramiko.Ed25519Key:
    """An Ed25519 key in OpenSSH's form, written to `path`."""
    how = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    path.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, how))
    path.chmod(0o600)
    return paramiko.Ed25519Key.from_private_key_file(str(path), passphrase or None)


CUT = (OSError, EOFError, paramiko.SSHException)
"""What is raised on a connection that breaks."""


class Doorman(paramiko.ServerInterface):  # type: ignore[misc]  # paramiko is untyped
    """Lets one key in, and runs one command per channel."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = key == self._host.client_key
        return int(paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._host.begin(self._host.run, channel, command.decode())
        return True


class Host:
    """One host. `commands` are those it was asked to run; `path` is where its shell looks for programs."""

    def __init__(self, directory: Path, client_key: paramiko.PKey) -> None:
        self.directory, self.client_key = directory, client_key
        self.root = directory / "root"
        for name in ("etc", "srv", "var/lib", "tmp"):
            (self.root / name).mkdir(parents=True)
        self.key = new_key(directory / "host_key")
        self.path = os.environ["PATH"]
        self.greeting = b""
        self.commands: list[str] = []
        self.received = 0
        self.processes: list[subprocess.Popen[bytes]] = []
        self._transports: list[paramiko.Transport] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self.begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    @property
    def host_key(self) -> str:
        return f"{self.key.get_name()} {self.key.get_base64()}"

    @property
    def state(self) -> Path:
        return self.root / "var/lib/opsctl"

    def reached(self, node: str = "web-1", **changes: Any) -> SshHost:
        """How a visitor reaches it."""
        given = {"user": "root", "host_keys": (self.host_key,), **changes}
        return SshHost(node, "127.0.0.1", port=self.port, **given)

    def begin(self, target: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def cut(self) -> None:
        """Every connection breaks."""
        for transport in self._transports:
            transport.close()

    def run(self, channel: paramiko.Channel, command: str) -> None:
        """One command, with its three streams on the channel."""
        self.commands.append(command)
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": self.path, "HOME": str(self.root)},
            start_new_session=True,
        )
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stderr is not None
        if self.greeting:
            channel.sendall(self.greeting)
        threads = [
            threading.Thread(target=self._feed, args=(channel, process), daemon=True),
            threading.Thread(target=_drain, args=(process.stdout, channel.sendall), daemon=True),
            threading.Thread(target=_drain, args=(process.stderr, channel.sendall_stderr), daemon=True),
        ]
        for thread in threads:
            thread.start()
        for thread in threads[1:]:
            thread.join()
        with contextlib.suppress(*CUT):
            channel.send_exit_status(process.wait())
            channel.close()
        threads[0].join()
        process.stdout.close()
        process.stderr.close()

    def _feed(self, channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
        stdin = process.stdin
        assert stdin is not None
        added = f"--stdio\\', \\'--root\\', \\'{self.root}\\', \\'--scripts".encode()
        head: bytes | None = b""
        try:
            while data := channel.recv(65536):
                self.received += len(data)
                if head is not None:
                    head += data
                    if b"\n" not in head:
                        continue
                    data, head = head.replace(b"--stdio", added, 1), None
                stdin.write(data)
                stdin.flush()
        except OSError:
            pass  # the command has ended before its input
        finally:
            with contextlib.suppress(OSError):
                stdin.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.begin(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        transport.add_server_key(self.key)
        self._transports.append(transport)
        try:
            transport.start_server(server=Doorman(self))
        except CUT:
            transport.close()


def _drain(stream: Any, send: Any) -> None:
    with contextlib.suppress(*CUT):
        while data := stream.read1(65536):
            send(data)
