"""How long ago the server was last heard: after `VALID_FOR` seconds without it, the agent only monitors.

Within one boot the age is measured, whatever the wall clock does; across boots the wall clock is all there is.
"""

from __future__ import annotations

import json
import os
from typing import Optional

from agent import durable
from agent.clock import Clock
from agent.contract.codec import Malformed, Wire, from_wire, to_wire
from agent.contract.record import dataclass
from agent.contract.wire import VALID_FOR
from agent.log import WARNING, log

WRITE_EVERY = 3600.0
"""Seconds that the file may lag behind; a node that dies believes itself out of touch for that much longer."""


@dataclass(frozen=True)
class Heard(Wire):
    """An instant on all clocks: Unix milliseconds, boot, milliseconds since that boot."""

    at: int
    boot_id: str
    elapsed: int


class Contact:
    """The last contact, in memory at once and on disk now and then."""

    def __init__(self, state: str, clock: Clock, boot_id: str) -> None:
        self._path = os.path.join(state, "held", "contact.json")
        self._clock, self._boot_id = clock, boot_id
        self._heard = self._read()
        self._written = self._heard

    def heard(self) -> None:
        """The server has just proven to be there."""
        heard = Heard(self._clock.now(), self._boot_id, int(self._clock.elapsed() * 1000))
        self._heard = heard
        last = self._written
        same_boot = last is not None and last.boot_id == heard.boot_id
        if last is None or not same_boot or heard.elapsed - last.elapsed >= WRITE_EVERY * 1000:
            try:
                durable.replace(self._path, json.dumps(to_wire(heard)).encode())
            except OSError as error:
                log(WARNING, "the last contact cannot be written down: %s", error)
            self._written = heard

    def age(self) -> Optional[float]:
        """Seconds since the last contact, None when there was none."""
        heard = self._heard
        if heard is None:
            return None
        if heard.boot_id == self._boot_id:
            return max(0.0, self._clock.elapsed() - heard.elapsed / 1000)
        return max(0.0, (self._clock.now() - heard.at) / 1000)

    def in_touch(self, expires_in: int) -> bool:
        """Whether what came with the last contact may still be acted on; `expires_in` is the set's own limit."""
        age = self.age()
        return age is not None and age <= min(expires_in, VALID_FOR)

    def _read(self) -> Optional[Heard]:
        try:
            data = durable.read(self._path)
            return None if data is None else from_wire(Heard, json.loads(data), self._path)
        except (ValueError, Malformed):
            return None  # then the node is out of touch until the server is heard: it changes nothing meanwhile
