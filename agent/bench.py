"""What a look works with besides what the node holds."""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple

from agent.host.port import Host
from agent.ledger import Ledger


class Bench(NamedTuple):
    """`facts` are gathered when they are asked for."""

    host: Host
    ledger: Ledger
    facts: Callable[[], Mapping[str, Any]]
    boot_id: str
