"""Connections: who we are (the server's identities), whom we trust (host keys), and what a failure means for people."""

from __future__ import annotations

import base64
import binascii
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import paramiko
from fabric import Config, Connection
from paramiko.ssh_exception import NoValidConnectionsError

from reconciler.core.problem import Refused, Unavailable, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.core.node_ports import SshHost

KEEP_ALIVE_SECONDS = 15
FINGERPRINT_REMEDY = "if that is right, put it into spec.ssh.hostKeys of its Node file"


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key of the server's. `passphrase_file` holds its passphrase, where it has one."""

    file: Path
    passphrase_file: Path | None = None


@dataclass(frozen=True, slots=True)
class SshSettings:
    """What the server says of its visits: its keys by name, its known hosts, seconds to wait for a connection."""

    identities: Mapping[str, Identity] = field(default_factory=dict)
    known_hosts: Path | None = None
    connect_timeout: float = 10.0


class _UnknownHostKey(paramiko.SSHException):  # type: ignore[misc]  # paramiko is untyped
    def __init__(self, key: paramiko.PKey) -> None:
        super().__init__("its host key is not known")
        self.key = key


class _RejectAndTell(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # paramiko is untyped
    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> NoReturn:
        del client, hostname
        raise _UnknownHostKey(key)


def dialled(host: SshHost, settings: SshSettings) -> Connection:
    """An open connection to the host that has one of the keys it should have.

    Nothing of the server's user counts: no configuration, no agent, no other keys. Raises `Unavailable`, `Refused`.
    """
    identity = settings.identities.get(host.identity)
    if identity is None:
        close = nearest(host.identity, settings.identities)
        raise Refused(
            f"the server has no SSH identity {host.identity!r}",
            "ssh",
            f"did you mean {close}?" if close else "name it in server.yaml under ssh.identities",
        )
    connection = Connection(
        host.host,
        user=host.user,
        port=host.port,
        config=Config(lazy=True, overrides={"load_ssh_configs": False}),
        forward_agent=False,
        connect_timeout=settings.connect_timeout,
        connect_kwargs={
            "key_filename": str(identity.file),
            "passphrase": _passphrase(identity),
            "allow_agent": False,
            "look_for_keys": False,
            "banner_timeout": settings.connect_timeout,
            "auth_timeout": settings.connect_timeout,
            "channel_timeout": settings.connect_timeout,
        },
    )
    try:
        _trust(connection.client, host, settings.known_hosts)
        connection.open()
    except BaseException as error:
        connection.close()
        if isinstance(error, (OSError, EOFError, paramiko.SSHException)):
            raise _told(host, error) from error
        raise
    connection.transport.set_keepalive(KEEP_ALIVE_SECONDS)
    return connection


def host_key(text: str) -> paramiko.PKey:
    """A public key of a host, from `ssh-ed25519 AAAA...`. Raises ValueError for anything else."""
    kind, _, rest = text.strip().partition(" ")
    try:
        return paramiko.PKey.from_type_string(kind, base64.b64decode(rest.split(" ")[0], validate=True))
    except (binascii.Error, paramiko.SSHException, ValueError, IndexError, TypeError) as error:
        raise ValueError(f"not a public key: {text[:40]!r}") from error


def _trust(client: paramiko.SSHClient, host: SshHost, known_hosts: Path | None) -> None:
    client.set_missing_host_key_policy(_RejectAndTell())
    if host.host_keys:
        name = host.host if host.port == 22 else f"[{host.host}]:{host.port}"
        for text in host.host_keys:
            try:
                key = host_key(text)
            except ValueError as error:
                raise Refused(f"spec.ssh.hostKeys: {error}", "host key") from error
            client.get_host_keys().add(name, key.get_name(), key)
    elif known_hosts is not None and known_hosts.exists():
        client.load_host_keys(str(known_hosts))


def _passphrase(identity: Identity) -> str | None:
    if identity.passphrase_file is None:
        return None
    try:
        return identity.passphrase_file.read_text().rstrip("\n")
    except OSError as error:
        raise Refused(f"{identity.passphrase_file} cannot be read: {error.strerror}", "ssh") from error


def _told(host: SshHost, error: BaseException) -> Unavailable | Refused:
    where = f"{host.user}@{host.host}:{host.port}"
    if isinstance(error, _UnknownHostKey):
        shown = f"{error.key.get_name()} {error.key.get_base64()}"
        what = f"{where}: its host key is not known here (SHA256:{_fingerprint(error.key)})"
        return Refused(what, "host key", f"{FINGERPRINT_REMEDY}: {shown}")
    if isinstance(error, paramiko.BadHostKeyException):
        what = f"{where}: it has another host key (SHA256:{_fingerprint(error.key)}) than it should"
        return Refused(what, "host key", "another machine, or someone in between; nothing was sent")
    if isinstance(error, paramiko.PasswordRequiredException):
        return Refused(f"{where}: the key of identity {host.identity} has a passphrase", "ssh", "name passphraseFile")
    if isinstance(error, paramiko.AuthenticationException):
        return Unavailable(where, f"it does not let identity {host.identity} in as {host.user}")
    if isinstance(error, FileNotFoundError):
        return Refused(f"the key of identity {host.identity} is not there: {error.filename}", "ssh")
    if isinstance(error, socket.gaierror):
        return Unavailable(where, f"no address of that name ({error.strerror})")
    if isinstance(error, TimeoutError):
        return Unavailable(where, "no answer in time")
    if isinstance(error, NoValidConnectionsError):
        first = next(iter(error.errors.values()), error)
        return Unavailable(where, getattr(first, "strerror", None) or str(first))
    if isinstance(error, EOFError):
        return Unavailable(where, "it hung up")
    return Unavailable(where, getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _fingerprint(key: paramiko.PKey) -> str:
    return str(key.fingerprint).removeprefix("SHA256:")
