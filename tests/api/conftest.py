"""The API behind real listeners: TLS, beside a gateway, and a Unix socket."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from agent.contract.canonical import digest
from reconciler.adapters.gateway import Gateway, Identity
from reconciler.adapters.listener import Certificate, Listeners, TlsListener, UnixListener
from reconciler.adapters.signer import KeySigner, verify
from reconciler.adapters.timer import SystemClock
from reconciler.api.app import build
from reconciler.api.authentication import Doorkeeper
from reconciler.api.client import Client
from reconciler.api.hooks import GitHook, Secrets
from reconciler.api.signature import Freshness
from tests.adapters.gateway.intake import FLEET, MemoryIntake
from tests.adapters.listener.certificates import Files, ThrowawayCa
from tests.api.service import MemoryService

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Edge:
    """A running server: its service, where it listens, operators' keys, how often a hook said that there was news."""

    service: MemoryService
    url: str
    socket: Path
    files: Files
    secrets: Path
    alice: KeySigner
    bob: KeySigner
    pushes: list[str] = field(default_factory=list)

    def client(self, key: KeySigner) -> Client:
        return Client(self.url, self.files.ca, signer=key)

    def local(self) -> Client:
        return Client(f"unix:{self.socket}")

    def http(self) -> httpx.Client:
        """Bare HTTPS, nothing signed."""
        import ssl

        context = ssl.create_default_context(cafile=str(self.files.ca))
        return httpx.Client(base_url=self.url, verify=context, trust_env=False)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    import ssl

    directory = tmp_path_factory.mktemp("edge")
    files = ThrowawayCa(directory).issue()
    certificate = Certificate(files.chain, files.key)
    ca_digest = digest(ssl.PEM_cert_to_DER_cert(files.ca.read_text()))
    alice, bob = KeySigner(), KeySigner()
    service = MemoryService({alice.public: "alice", bob.public: "bob"})
    stopping = threading.Event()
    edge = Edge(service, "", directory / "opsctl.sock", files, directory, alice, bob)
    hook = GitHook(Secrets(directory / "github", directory / "gitlab"), lambda: edge.pushes.append("push"))
    now_ms = SystemClock().now_ms
    doorkeeper = Doorkeeper(service.operator_of, verify, Freshness(ca_digest, now_ms()), now_ms, os.getuid())
    app = build(service, doorkeeper, hook, stopping.is_set)
    gateway = Gateway(
        MemoryIntake(), Identity(FLEET, KeySigner(), certificate.fingerprints, files.ca.read_bytes()), verify, app
    )
    listeners = Listeners(TlsListener(gateway, "127.0.0.1", 0, certificate), UnixListener(app, edge.socket), stopping)
    listeners.start()
    edge.url = f"https://127.0.0.1:{listeners.address[1]}"
    try:
        yield edge
    finally:
        listeners.stop()
        gateway.close()


@pytest.fixture
def edge(running: Edge) -> Edge:
    running.service.fail = None
    running.service.calls.clear()
    running.service.progress = {"finished": True}
    running.pushes.clear()
    return running
