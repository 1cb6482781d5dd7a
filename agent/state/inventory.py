"""What this node collected about itself last, by type: on disk, for whichever server asks for it.

inventory/TYPE   the type as it is sent (`agent.contract.inventory`)
"""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from typing import Callable, Dict, List, Optional, Sequence

from agent import durable
from agent.contract.codec import Malformed, from_wire, to_wire
from agent.contract.inventory import Inventory
from agent.log import ERROR, log


class Inventories:
    """Those of one state directory. May be called from any thread; `changed` is called after each change."""

    def __init__(self, state: str) -> None:
        self._directory = os.path.join(state, "inventory")
        self._mutex = threading.Lock()
        self._heads: Optional[Dict[str, Inventory]] = None
        self.changed: Callable[[], None] = _nobody

    def collected(self, found: Sequence[Inventory]) -> None:
        """Keep these types, durably. Raises OSError."""
        if not found:
            return
        with self._mutex:
            heads = self._known()
            durable.make_directory(self._directory)
            for one in found:
                durable.replace(self._path(one.type_name), json.dumps(to_wire(one)).encode())
                heads[one.type_name] = dataclasses.replace(one, content=None)
        self.changed()

    def heads(self) -> List[Inventory]:
        """What is kept, without its content, in the order of the types."""
        with self._mutex:
            heads = self._known()
            return [heads[name] for name in sorted(heads)]

    def read(self, type_name: str) -> Optional[Inventory]:
        """One type with its content; None where it cannot be read."""
        with self._mutex:
            return self._read(type_name) if type_name in self._known() else None

    def _known(self) -> Dict[str, Inventory]:
        if self._heads is None:
            try:
                names = sorted(os.listdir(self._directory))
            except FileNotFoundError:
                names = []
            found = {name: self._read(name) for name in names if not name.startswith(".")}
            self._heads = {
                name: dataclasses.replace(one, content=None) for name, one in found.items() if one is not None
            }
        return self._heads

    def _read(self, type_name: str) -> Optional[Inventory]:
        try:
            data = durable.read(self._path(type_name))
            return None if data is None else from_wire(Inventory, json.loads(data), type_name)
        except (OSError, ValueError, Malformed) as error:
            log(ERROR, "the inventory %s on disk cannot be used: %s", type_name, error)
            return None

    def _path(self, type_name: str) -> str:
        return os.path.join(self._directory, type_name)


def _nobody() -> None:
    """Nobody waits to be told."""
