"""The end of one connection, as an exception: its close code and the reason that peer and log are told."""

from __future__ import annotations

from agent.contract.closing import DEFECT, REASON_BYTES

_LOGGED = 300
"""Characters of a reason, which may quote the peer, that a log line gets."""

OWN_DEFECT = "the server met a defect of its own"
"""What a peer is told of one; the log has the rest."""


class Hangup(Exception):
    """This connection ends now. `code` is one of `agent.contract.closing`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = "".join(letter if letter.isprintable() else "?" for letter in reason[:_LOGGED])

    def frame(self) -> dict[str, object]:
        """The ASGI message that ends the connection; the reason is cut to what a close frame holds."""
        reason = self.reason.encode("utf-8", "replace")[:REASON_BYTES].decode("utf-8", "ignore")
        return {"type": "websocket.close", "code": self.code, "reason": reason}


def defective() -> Hangup:
    """For what nobody foresaw, and what the log has already."""
    return Hangup(DEFECT, OWN_DEFECT)
