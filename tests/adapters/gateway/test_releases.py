"""The agent that a server offers, asked for by the real agent: which it is, its bytes, and the controller's word."""

from __future__ import annotations

import base64
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

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
from reconciler.adapters.gateway.releases import AT_ONCE

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


def test_it_is_only_read_and_not_without_end(edge: Edge) -> None:
    where, context = dial.address(url(edge)), dial.trusting(edge.files.ca.read_text())
    assert request(where, context, "POST", "/agent.pyz", 100, b"x")[0] == 405
    said = set()
    with contextlib.suppress(dial.Unreachable):
        for _ in range(2 * int(AT_ONCE)):
            said.add(request(where, context, "GET", "/agent.json", 1000)[0])
            if 429 in said:
                break
    assert said == {200, 429}
