"""The agent that a server offers, asked for by the real agent: which it is, its bytes, and the controller's word."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent.contract import sshsig
from agent.contract.canonical import digest
from agent.contract.wire import Offer
from agent.crypto import verify
from agent.link import dial
from agent.link.https import request
from agent.offered import Offered
from agent.state import identity
from agent.upgrade import UpgradeRefused
from reconciler.adapters.gateway.lanes import Lanes
from reconciler.adapters.gateway.releases import AT_ONCE, Releases
from tests.adapters.gateway.conftest import OFFERED

if TYPE_CHECKING:
    from tests.adapters.gateway.conftest import Edge


def state_of(edge: Edge, directory: Path, *servers: str) -> str:
    state = str(directory / "state")
    known = identity.Identity("f", "mi-1", "web-1", edge.controller.public, "", list(servers), 1)
    identity.keys_made(state)
    identity.save(state, known, edge.files.ca.read_text())
    return state


def url(edge: Edge) -> str:
    return f"https://127.0.0.1:{edge.address[1]}"


def test_what_is_fetched_is_what_was_offered_and_signed(edge: Edge, tmp_path: Path) -> None:
    found = Offered(state_of(edge, tmp_path, "nonsense://", "https://127.0.0.1:1", url(edge)))
    assert found.offer == Offer("9.9.9", digest(b"an archive"), 10)
    file = Path(found.fetched())
    assert file.read_bytes() == b"an archive"
    parts = sshsig.parts(sshsig.dearmoured(file.with_name(file.name + ".sig").read_text()))
    public = sshsig.public_of_text(edge.controller.public)
    assert (parts.public, parts.namespace) == (public, sshsig.RELEASE)
    assert verify(public, sshsig.message_to_sign(b"an archive", sshsig.RELEASE), parts.signature)
    assert base64.b64encode(parts.signature)


def test_where_nobody_offers_one_it_is_said_of_each(edge: Edge, tmp_path: Path) -> None:
    with pytest.raises(UpgradeRefused, match=r"no server offers an agent: https://127\.0\.0\.1:1: .*"):
        Offered(state_of(edge, tmp_path, "https://127.0.0.1:1"))


def test_it_is_only_read(edge: Edge) -> None:
    where, context = dial.address(url(edge)), dial.trusting(edge.files.ca.read_text())
    assert request(where, context, "POST", "/agent.pyz", 100, b"x")[0] == 405
    assert request(where, context, "GET", "/agent.exe", 100)[0] == 404


def test_nobody_asks_without_end(edge: Edge) -> None:
    said: list[int] = []
    lanes = Lanes()
    releases = Releases(OFFERED, edge.controller, lanes.answers)

    async def send(message: Any) -> None:
        said.extend([message["status"]] if "status" in message else [])

    async def ask() -> None:
        scope = {"path": "/agent.json", "method": "GET", "client": ("192.0.2.1", 1)}
        for _ in range(int(AT_ONCE) + 100):
            await releases(scope, send)
        await releases({**scope, "client": ("192.0.2.2", 1)}, send)

    asyncio.run(ask())
    lanes.close()
    assert said[: int(AT_ONCE)] == [200] * int(AT_ONCE)
    assert (429 in said, said[-1]) == (True, 200)
