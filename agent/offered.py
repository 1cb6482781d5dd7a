"""The agent that a server of the fleet offers: which version it is, and its archive with the signature beside it.

It is asked of the servers that the node's identity names, over TLS that its CA has signed. Whether it is taken is for
`upgrade` to say, by the signature.
"""

from __future__ import annotations

import json
import os
import time
from typing import List, Optional, Tuple

from agent import durable
from agent.contract.canonical import digest
from agent.contract.codec import Malformed, from_wire
from agent.contract.wire import Offer
from agent.link import dial
from agent.link.https import request
from agent.state import identity
from agent.upgrade import UpgradeRefused

ARCHIVE_LIMIT = 32 * 1024 * 1024
_SMALL = 64 * 1024
BUSY, TRIES, PAUSE = 429, 20, 3.0
"""What a server says that is asked by too many at once; how often it is asked again, and after how many seconds."""


class Offered:
    """What the first server offers that answers. Raises `UpgradeRefused` where none does."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._where, self.offer = self._first(identity.load(state).servers)

    def fetched(self) -> str:
        """The archive's file, with its signature beside it."""
        path = os.path.join(self._state, "offered.pyz")
        data = self._get("/agent.pyz", ARCHIVE_LIMIT)
        if digest(data) != self.offer.digest:
            raise UpgradeRefused("%s sent another archive than it offered; try again" % self._where)
        durable.replace(path, data)
        durable.replace(path + ".sig", self._get("/agent.pyz.sig", _SMALL))
        return path

    def _first(self, servers: List[str]) -> Tuple[dial.Address, Offer]:
        said: List[str] = []
        for server in servers:
            offer = self._of(server, said)
            if offer is not None:
                return self._where, offer
        raise UpgradeRefused("no server offers an agent: " + "; ".join(said))

    def _of(self, server: str, said: List[str]) -> Optional[Offer]:
        try:
            self._where = dial.address(server)
            return from_wire(Offer, json.loads(self._get("/agent.json", _SMALL)), "offer")
        except (dial.Unreachable, dial.BadAddress, UpgradeRefused, ValueError, Malformed) as error:
            said.append("%s: %s" % (server, error))
            return None

    def _get(self, path: str, limit: int) -> bytes:
        context = dial.trusting(identity.load_ca(self._state))
        status, data = request(self._where, context, "GET", path, limit)
        for _ in range(TRIES):
            if status != BUSY:
                break
            time.sleep(PAUSE)
            status, data = request(self._where, context, "GET", path, limit)
        if status != 200:
            raise UpgradeRefused("%s has no %s (HTTP %d)" % (self._where, path, status))
        return data
