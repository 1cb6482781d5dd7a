"""Inventory as it comes from nodes: taken where it is new, and shown as it was said.

A content that many nodes have is kept once; of a node whose content is known only the time is noted.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any

from agent.contract import inventory as contract
from agent.contract.canonical import DIGEST, instant, milliseconds
from agent.contract.inventory import Inventoried, Inventory, NotInventory
from reconciler.core.problem import Refused
from reconciler.core.records import Changes, InventoryRow

if TYPE_CHECKING:
    from reconciler.controller.keeper import Keeper
    from reconciler.controller.loop import Loop
    from reconciler.core.ports import Store

_VERSION = re.compile(r"[0-9]{1,6}\.[0-9]{1,6}\Z")


class InventoryDesk:
    """Methods may be called from any thread."""

    def __init__(self, loop: Loop, keeper: Keeper, store: Store) -> None:
        self._loop, self._keeper, self._store = loop, keeper, store

    def take(self, node_id: str, said: Inventory) -> Inventoried:
        """What a node says of one type; the answer says whether its content is lacking. `Refused` for nonsense."""
        row = _row(node_id, said)
        known = {one.type_name: one for one in self._store.inventory(node_id)}
        before = known.get(row.type_name)
        if before is None and len(known) >= contract.TYPES_LIMIT:
            raise Refused(f"{node_id} has {len(known)} types of inventory already", "inventory")
        if before == row:
            return Inventoried(row.type_name, row.content_hash)
        if said.content is not None:
            self._keep(Changes(inventory=(row,), bodies={row.content_hash: _content(said)}))
        elif self._store.is_inventory(row.content_hash):
            self._keep(Changes(inventory=(row,)))
        else:
            return Inventoried(row.type_name, row.content_hash, lacking=True)
        return Inventoried(row.type_name, row.content_hash)

    def types(self, node_id: str) -> list[dict[str, Any]]:
        """What there is of a node, without the contents."""
        return [_head(row) for row in self._store.inventory(node_id)]

    def one(self, node_id: str, type_name: str) -> dict[str, Any]:
        """One type with its content. `Refused` where the node said nothing of it."""
        row = next((row for row in self._store.inventory(node_id) if row.type_name == type_name), None)
        data = self._store.body(row.content_hash) if row is not None else None
        if row is None or data is None:
            raise Refused(f"there is no inventory {type_name:.100} of this node", "inventory")
        return {**_head(row), "content": json.loads(data)}

    def _keep(self, changes: Changes) -> None:
        self._loop.call(lambda: self._keeper.commit(changes))


def _head(row: InventoryRow) -> dict[str, Any]:
    return {
        "typeName": row.type_name,
        "schemaVersion": row.schema_version,
        "captureTime": instant(row.captured_at),
        "contentHash": row.content_hash,
    }


def _row(node_id: str, said: Inventory) -> InventoryRow:
    try:
        captured_at = milliseconds(said.capture_time)
    except ValueError as error:
        raise Refused(f"inventory of {said.capture_time:.40}: {error}", "inventory") from error
    if not re.match(contract.TYPE_NAME, said.type_name) or not _VERSION.match(said.schema_version):
        raise Refused(f"inventory of type {said.type_name:.100} {said.schema_version:.20}", "inventory")
    if not DIGEST.match(said.content_hash):
        raise Refused(f"inventory {said.type_name} has {said.content_hash:.80} for a digest", "inventory")
    return InventoryRow(node_id, said.type_name, said.schema_version, captured_at, said.content_hash)


def _content(said: Inventory) -> bytes:
    try:
        data = contract.unpacked(base64.b64decode(said.content or "", validate=True), said.content_hash)
        contract.check(json.loads(data))
    except (NotInventory, binascii.Error, ValueError, RecursionError) as error:
        raise Refused(f"inventory {said.type_name}: {error}", "inventory") from error
    return data
