"""Why the server ends a connection: WebSocket close codes; the reason that goes with one is a sentence for people.

1011 (our defect), 1012 (the server restarts) and 1013 (try again later) mean what RFC 6455's registry says.
"""

from __future__ import annotations

MALFORMED = 4400
"""The agent sent what no agent sends; sending it again will not help."""

UNAUTHENTICATED = 4401
"""An unknown node, another key, or a hello that was signed for another server or connection."""

TOO_SLOW = 4408
"""No hello in time, or answers that are not read."""

OTHER_PROTOCOL = 4406
"""No protocol version that both sides speak."""

REPLACED = 4409
"""The same node connected again; this connection is the older one."""

OTHER_NODE = 4410
"""This machine is another node than the one it was taken for, or none; over SSH, either side says so."""

DEFECT = 1011
TRY_LATER = 1013
REASON_BYTES = 123
"""What a close frame has room for."""
