"""`GET /agent.json`, `/agent.pyz` and `/agent.pyz.sig`: the agent that nodes may move to, signed by the controller key.

Public, as the program is; made and signed when it is first asked for, and bounded for each peer.
"""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agent.contract import sshsig
from agent.contract.canonical import digest
from agent.contract.codec import to_wire
from agent.contract.wire import Offer
from reconciler.adapters.gateway.answer import answer
from reconciler.core.allowance import Allowances

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.adapters.gateway.lanes import Lane
    from reconciler.core.ports import Signer

PER_SECOND, AT_ONCE = 30.0, 300.0
"""Requests per peer address: three for each node of a rack behind one; a node that has to wait asks again."""


@dataclass(frozen=True, slots=True)
class Program:
    """The agent's archive, and which version that is."""

    version: str
    archive: Callable[[], bytes]


class Releases:
    """The paths as an ASGI app."""

    paths = frozenset({"/agent.json", "/agent.pyz", "/agent.pyz.sig"})

    def __init__(self, program: Program, signer: Signer, lane: Lane) -> None:
        self._program, self._signer, self._lane = program, signer, lane
        self._allowed = Allowances(PER_SECOND, AT_ONCE)

    async def __call__(self, scope: Any, send: Any) -> None:
        """Answer one HTTP request for one of `paths`."""
        peer = scope["client"][0] if scope.get("client") else "unknown"
        wait = self._allowed.take(peer, asyncio.get_running_loop().time())
        if scope["method"] not in ("GET", "HEAD"):
            await answer(send, 405, b"", "text/plain", (b"allow", b"GET, HEAD"))
        elif wait:
            await answer(send, 429, b"", "text/plain", (b"retry-after", b"%d" % (wait + 1)))
        else:
            await self._give(scope["path"], send)

    async def _give(self, path: str, send: Any) -> None:
        made = await self._lane.begin(lambda: self._made)
        data, kind = made[path]
        await answer(send, 200, data, kind)

    @cached_property
    def _made(self) -> dict[str, tuple[bytes, str]]:
        archive = self._program.archive()
        blob = base64.b64decode(self._signer.sign(archive, sshsig.RELEASE).sig)
        offer = Offer(self._program.version, digest(archive), len(archive))
        return {
            "/agent.json": (json.dumps(to_wire(offer)).encode(), "application/json"),
            "/agent.pyz": (archive, "application/octet-stream"),
            "/agent.pyz.sig": (sshsig.armoured(blob).encode(), "text/plain"),
        }
