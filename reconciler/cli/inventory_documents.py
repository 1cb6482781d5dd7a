"""What `opsctl inventory` prints with `--format json`."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict


class InventoryTypeView(TypedDict):
    """One type, as the node collected it at `captureTime`. `content` are items with SSM's attributes."""

    typeName: str
    schemaVersion: str
    captureTime: str
    contentHash: str
    content: list[dict[str, str]]


class InventoryDocument(TypedDict):
    """`opsctl inventory`: what a node collected about itself last."""

    format: Literal["opsctl.inventory/v1"]
    node: str
    types: list[InventoryTypeView]


INVENTORY_DOCUMENTS: dict[str, Any] = {"inventory": InventoryDocument}
"""By the name in their `format`."""
