"""`opsctl serve`: one process with the loop, the gateway for agents and the API."""

from __future__ import annotations

import functools
import logging
import os
import secrets
import signal
import socket
import threading
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reconciler import __version__
from reconciler.adapters.authority import Authority
from reconciler.adapters.gateway import Gateway, Identity, Program
from reconciler.adapters.git import GitProposals, GitReportBranch, Mirror, Remote
from reconciler.adapters.listener import Certificate, Listeners, TlsListener, UnixListener
from reconciler.adapters.lock import StateLock
from reconciler.adapters.notify import LogNotifier
from reconciler.adapters.outputs import DirectoryOutputs
from reconciler.adapters.parameters import SopsUnseal
from reconciler.adapters.private_files import write_whole
from reconciler.adapters.renderer import BoundedRenderer
from reconciler.adapters.signer import open_key, verify
from reconciler.adapters.sops import Keyring
from reconciler.adapters.sops.pgp import Gpg
from reconciler.adapters.ssh import Identity as SshIdentity
from reconciler.adapters.ssh import SshSettings, SshVisitor
from reconciler.adapters.store import open_store
from reconciler.adapters.timer import SystemClock, SystemTimer
from reconciler.controller.assembly import LEASE_SECONDS, Controller, Ports, Wakes
from reconciler.controller.assembly import Identity as ControllerIdentity
from reconciler.controller.restart import declare_restored
from reconciler.core.problem import Refused
from reconciler.wiring import settings as server_settings
from reconciler.wiring.local import agent_archive
from reconciler.wiring.outside import outside

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from reconciler.adapters.gateway.channels import Channel
    from reconciler.controller.service import ControllerService
    from reconciler.core.node_ports import Guest, Stream
    from reconciler.core.ports import Verify
    from reconciler.core.problem import Problem
    from reconciler.wiring.settings import ServerSettings

    App = Callable[[Any, Any, Any], Awaitable[None]]
    Face = Callable[["Served"], App]

log = logging.getLogger(__name__)
SOCKET = "opsctl.sock"
CERTIFICATE_CHECK_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What `opsctl serve` was told. `names` are further names and addresses that agents reach the server by."""

    repo: str
    state: Path
    listen: str = "127.0.0.1:8443"
    names: tuple[str, ...] = ()
    branch: str | None = None
    restored: bool = False
    allow_rewrite: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """What a face for people and programs is made of. `ca_digest` names the server that requests are signed for,
    `channel` opens a stream to a node.
    """

    service: ControllerService
    verify: Verify
    ca_digest: str
    now_ms: Callable[[], int]
    owner: int
    github_secret: Path | None
    gitlab_token: Path | None
    pushed: Callable[[], None]
    stopping: Callable[[], bool]
    channel: Callable[[str], Channel]


HEARING = 0.5
"""Seconds after which the main thread looks up from its wait. The kernel may give a signal to any thread, and where it
is not the main one, a wait without end would never hear of it: Python runs handlers in the main thread alone."""


def serve(options: ServeOptions, face: Face) -> None:
    """Run until SIGTERM or SIGINT. Raises `Refused` for a state that another daemon holds, or comes to hold."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("alembic", "apscheduler", "git", "paramiko"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with Daemon(options, face, ended.set) as daemon:
        daemon.start()
        log.info("serving %s on %s:%d", options.repo, *daemon.address)
        while not ended.wait(HEARING):
            continue  # a signal that came meanwhile is heard between two waits
        log.info("ending")
        if daemon.lost is not None:
            raise daemon.lost


class Daemon:
    """Everything of one server, from its state directory. A context: leaving it ends everything in order.

    `on_lost` is called when another daemon has taken the store; `lost` says so then, and all that is left is to leave.
    """

    def __init__(self, options: ServeOptions, face: Face, on_lost: Callable[[], None] = lambda: None) -> None:
        self._options, self._face, self._on_lost = options, face, on_lost
        self._stack = ExitStack()
        self.lost: Problem | None = None

    def __enter__(self) -> Daemon:
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def address(self) -> tuple[str, int]:
        return self._listeners.address

    def start(self) -> None:
        """Serve: the loop first, so that whoever connects finds it."""
        self._controller.start()
        self._stack.callback(self._controller.stop)
        self._listeners.start()
        self._stack.callback(self._listeners.stop)
        assert self._listeners.loop is not None
        self._gateway.serve_on(self._listeners.loop)
        self._stack.callback(self._controller.visits.stop)

    def _open(self) -> None:
        options, state, clock = self._options, self._options.state, SystemClock()
        self._stack.enter_context(StateLock(state))
        settings = server_settings.load(state)
        fleet_id = _identity(state / "fleet", "fl-")
        host, port = _address(options.listen)
        keys = state / "keys"
        keys.mkdir(mode=0o700, exist_ok=True)
        authority = Authority(keys, fleet_id, clock.now_ms())
        names = tuple(name for name in (host, *options.names) if name not in ("0.0.0.0", "::"))  # noqa: S104  # left out, not listened on
        authority.ensure_server(names, clock.now_ms())
        certificate = Certificate(authority.chain_path, authority.key_path)
        controller_key = open_key(keys / "controller.key")
        wakes = Wakes()
        instance = f"{socket.gethostname()}/{fleet_id}"
        ports = replace(self._ports(fleet_id, instance, clock, wakes, settings), seal=(controller_key, verify))
        who = ControllerIdentity(
            fleet_id=fleet_id,
            controller_key=controller_key.public,
            ca_digest=authority.ca_digest,
            servers=tuple(f"https://{_bracketed(name)}:{port}" for name in names),
            instance=instance,
            access_signers=server_settings.allowed_signers(settings),
            allow_rewrite=options.allow_rewrite,
            visits_at_once=settings.ssh.connections,
        )
        self._controller = Controller(ports, who, self._lost)
        stopping = threading.Event()
        app = self._face(
            Served(
                service=self._controller.service,
                verify=verify,
                ca_digest=authority.ca_digest,
                now_ms=clock.now_ms,
                owner=os.getuid(),
                github_secret=settings.hooks.github_secret_file,
                gitlab_token=settings.hooks.gitlab_token_file,
                pushed=self._controller.pushed,
                stopping=stopping.is_set,
                channel=self._channel,
            )
        )
        program = Program(__version__, agent_archive)
        identity = Identity(fleet_id, controller_key, certificate.fingerprints, authority.ca_pem, program)
        self._gateway = gateway = Gateway(self._controller.intake, identity, verify, beside=app)
        self._stack.callback(gateway.close)
        wakes.to = gateway.wake
        self._listeners = Listeners(
            TlsListener(gateway, host, port, certificate), UnixListener(app, state / SOCKET, 0o666), stopping
        )

        def renew() -> None:
            if authority.ensure_server(names, clock.now_ms()):
                certificate.renew()

        ports.timer.every(CERTIFICATE_CHECK_SECONDS, renew)

    def _ports(self, fleet_id: str, instance: str, clock: SystemClock, wakes: Wakes, settings: ServerSettings) -> Ports:
        """The outside. What is opened first is closed last: the timer's jobs still find everything."""
        options, state = self._options, self._options.state
        store = open_store(f"sqlite:///{state / 'store.db'}", fleet_id, clock.now_ms())
        self._stack.callback(store.close)
        # Whoever held the lease held the state's lock, and so is dead.
        store.renew_lease(instance, clock.now_ms(), LEASE_SECONDS, seize=True)
        if options.restored:
            declare_restored(store, clock.now_ms())
        remote = Remote.parse(options.repo)
        source = self._stack.enter_context(Mirror(state / "git" / "config", remote, options.branch))
        reports = GitReportBranch(state / "git" / "compliance", remote)
        self._stack.callback(reports.close)
        renderer = BoundedRenderer()
        self._stack.callback(renderer.close)
        timer = SystemTimer(clock)
        self._stack.callback(timer.close)
        return Ports(
            store=store,
            source=source,
            reports=reports,
            proposals=GitProposals(state / "git" / "config", remote),
            notifier=LogNotifier(),
            clock=clock,
            timer=timer,
            bus=wakes,
            visitor=SshVisitor(agent_archive, _ssh(settings), self._attend),
            renderer=renderer,
            outputs=DirectoryOutputs(state / "outputs"),
            outside=outside(settings, state, clock),
            unseal=SopsUnseal(functools.cache(lambda: keyring(settings.secrets.keys))),
        )

    def _channel(self, node_id: str) -> Channel:
        return self._gateway.channel(node_id)

    def _attend(self, stream: Stream, peer: str, guest: Guest) -> str:
        return self._gateway.attend(stream, peer, guest)

    def _lost(self, problem: Problem) -> None:
        self.lost = problem
        self._on_lost()


def keyring(files: Sequence[Path]) -> Keyring:
    """The keys in these files, or those in the environment where none is named."""
    if not files:
        return Keyring.from_environment(os.environ)
    return Keyring.of_files(files, gpg=Gpg(os.environ))


def _ssh(settings: ServerSettings) -> SshSettings:
    ssh = settings.ssh
    identities = {name: SshIdentity(one.file, one.passphrase_file) for name, one in ssh.identities.items()}
    return SshSettings(identities, ssh.known_hosts, ssh.connect_timeout)


def _identity(path: Path, prefix: str) -> str:
    """An id drawn once and kept in a file."""
    if not path.exists():
        write_whole(path, f"{prefix}{secrets.token_hex(9)[:17]}\n".encode())
    return path.read_text().strip()


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise Refused(f"{listen!r} is no address to listen on", "listen", "expected ADDR:PORT, as 0.0.0.0:8443")
    return host.strip("[]"), int(port)


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name
