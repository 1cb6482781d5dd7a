"""What the commands about sessions print with `--format json`; documented in `documents`."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict


class SessionRow(TypedDict):
    """A session that is open. `connected`: its client is there just now."""

    session: str
    subject: str
    node: str
    what: str
    startedAt: str
    connected: bool
    bytesToNode: int
    bytesFromNode: int


class SessionsDocument(TypedDict):
    """`opsctl session list`."""

    format: Literal["opsctl.sessions/v1"]
    sessions: list[SessionRow]


SESSION_DOCUMENTS: dict[str, Any] = {"sessions": SessionsDocument}
