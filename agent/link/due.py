"""Which control frame may come: the one that is due in a handshake, or one whose place on the wire is only kept."""

from __future__ import annotations

from typing import Any, Callable

from agent.contract.codec import Malformed


def expected(name: str, wanted: str, read: Callable[..., Any], *arguments: Any) -> Any:
    if name != wanted:
        raise Malformed("%.40r came where %r was due" % (name, wanted))
    return read(*arguments)


def is_reserved(name: str) -> bool:
    from agent.contract.reserved import RESERVED  # hardly ever asked for

    return name in RESERVED or name == "ticket"
