"""Inventory: what a node collected about itself, by type, with SSM's names and limits.

The agent says of each type when it was collected and the digest of what was found; the bytes travel only where the
server has others, which it says in its answer. Frames: `inventory` and `inventoried`, both plain.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any, Dict, List, Optional

from agent.contract.canonical import canonical, digest
from agent.contract.codec import Wire
from agent.contract.record import dataclass

FEATURE = "inventory"
"""What an agent that sends inventory says in its Hello."""
TYPE_LIMIT = 3 * 1024 * 1024
"""Bytes of one type's content, as canonical JSON."""
PACKED_LIMIT = 640 * 1024
"""Bytes of the same, packed: with its base64 it has room in one frame."""
ITEMS_LIMIT, ATTRIBUTES_LIMIT, NAME_LIMIT, VALUE_LIMIT = 10_000, 50, 64, 4096
"""Of one type: items; of one item: attributes; characters of an attribute's name, and of its value."""
TYPE_NAME = r"(AWS|Custom):[A-Za-z0-9._:-]{1,90}\Z"
TYPES_LIMIT = 40
"""Types that a server keeps of one node."""

Content = List[Dict[str, str]]


class NotInventory(ValueError):
    """What is said to be inventory has not its form, or is too large; the text says what is wrong."""


@dataclass(frozen=True)
class Inventory(Wire):
    """One type. `capture_time` is an instant; `content` is base64 of zlib of the content's canonical JSON.

    Without `content`, the server is asked whether it has what `content_hash` names.
    """

    type_name: str
    schema_version: str
    capture_time: str
    content_hash: str
    content: Optional[str] = None


@dataclass(frozen=True)
class Inventoried(Wire):
    """The server has this content, as of that instant; or `lacking`: it has to be sent. `refused`: it is not taken."""

    type_name: str
    content_hash: str
    lacking: bool = False
    refused: bool = False


def packed(type_name: str, schema_version: str, capture_time: str, content: Content) -> Inventory:
    """A type with its content. Raises `NotInventory` where a limit is passed."""
    check(content)
    data = canonical(content)
    squeezed = zlib.compress(data, 9)
    if len(data) > TYPE_LIMIT or len(squeezed) > PACKED_LIMIT:
        raise NotInventory("it has %d bytes; at most %d, and packed at most %d" % (len(data), TYPE_LIMIT, PACKED_LIMIT))
    return Inventory(type_name, schema_version, capture_time, digest(data), base64.b64encode(squeezed).decode())


def unpacked(squeezed: bytes, content_hash: str) -> bytes:
    """The canonical JSON of a content, whose digest it has to be. Raises `NotInventory`."""
    opener = zlib.decompressobj()
    try:
        data = opener.decompress(squeezed, TYPE_LIMIT + 1)
    except zlib.error as error:
        raise NotInventory("it is not packed as inventory is: %s" % error) from error
    if len(data) > TYPE_LIMIT or not opener.eof or opener.unused_data:
        raise NotInventory("it has more than %d bytes, or does not end" % TYPE_LIMIT)
    if digest(data) != content_hash:
        raise NotInventory("its digest is not %s" % content_hash)
    return data


def check(content: Any) -> None:
    """Raises `NotInventory` for what is no list of items within SSM's limits."""
    if not isinstance(content, list) or len(content) > ITEMS_LIMIT:
        raise NotInventory("it is no list of at most %d items" % ITEMS_LIMIT)
    for item in content:
        if not isinstance(item, dict) or len(item) > ATTRIBUTES_LIMIT:
            raise NotInventory("an item is no object of at most %d attributes" % ATTRIBUTES_LIMIT)
        for name, value in item.items():
            if not isinstance(name, str) or not 0 < len(name) <= NAME_LIMIT:
                raise NotInventory("the name of an attribute has not 1 to %d characters" % NAME_LIMIT)
            if not isinstance(value, str) or len(value) > VALUE_LIMIT:
                raise NotInventory("the attribute %s is no text of at most %d characters" % (name, VALUE_LIMIT))
