"""A gateway on a real TLS listener, one per module; a fresh node per test."""

from __future__ import annotations

import itertools
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from reconciler.adapters.gateway import Gateway, Identity, Program
from reconciler.adapters.listener import Certificate, Listeners, TlsListener
from reconciler.adapters.signer import KeySigner, verify
from tests.adapters.gateway.intake import FLEET, MemoryIntake
from tests.adapters.gateway.peer import Key, Link, Node, dialled
from tests.adapters.listener.certificates import Files, ThrowawayCa

if TYPE_CHECKING:
    from collections.abc import Iterator

OFFERED = Program("9.9.9", lambda: b"an archive")
_numbers = itertools.count(1)


@dataclass
class Edge:
    """A running gateway with its intake."""

    intake: MemoryIntake
    gateway: Gateway
    controller: KeySigner
    address: tuple[str, int]
    files: Files

    def dial(self, path: str = "/agent") -> AbstractContextManager[Link]:
        return dialled(self.address, self.files.ca, path)

    def new_node(self) -> Node:
        node = Node(f"mi-{next(_numbers):017x}", Key())
        self.intake.admit(node.id, node.key.public)
        return node


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    files = ThrowawayCa(tmp_path_factory.mktemp("ca")).issue()
    certificate = Certificate(files.chain, files.key)
    controller = KeySigner()
    intake = MemoryIntake(controller_key=controller.public)
    identity = Identity(FLEET, controller, certificate.fingerprints, files.ca.read_bytes(), OFFERED)
    gateway = Gateway(intake, identity, verify)
    listeners = Listeners(TlsListener(gateway, "127.0.0.1", 0, certificate), None)
    listeners.start()
    assert listeners.loop is not None
    gateway.serve_on(listeners.loop)
    try:
        yield Edge(intake, gateway, controller, listeners.address, files)
    finally:
        listeners.stop()
        gateway.close()


@pytest.fixture
def node(edge: Edge) -> Node:
    edge.intake.fail.clear()
    return edge.new_node()
