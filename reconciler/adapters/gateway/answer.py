"""One HTTP answer, as ASGI sends it."""

from __future__ import annotations

from typing import Any


async def answer(send: Any, status: int, body: bytes, kind: str, *extra: tuple[bytes, bytes]) -> None:
    """The whole of it, with `kind` for its content type; nobody on the way keeps it."""
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
