"""From an HTTP request to a JSON answer: admit, read the body within bounds, call on a thread, tell problems."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from reconciler.api.problems import TooMany, Unauthenticated, status_of, to_json
from reconciler.core.problem import Defect, Finding, Invalid, Place, Problem, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from reconciler.api.authentication import Asker

BODY_SECONDS = 60.0

log = logging.getLogger(__name__)


def json_response(value: Any, status: int = 200) -> Response:
    return Response(_encoded(value), status, {"cache-control": "no-store"}, "application/json")


async def called(call: Callable[[], Any]) -> Response:
    """The value of a blocking call as JSON; call and encoding (a plan can be large) keep off the event loop."""
    body = await run_in_threadpool(lambda: _encoded(call()))
    return Response(body, 200, {"cache-control": "no-store"}, "application/json")


async def read(request: Request, limit: int, seconds: float, feed: Callable[[bytes], object]) -> None:
    """Feed the body, chunk by chunk, within its bounds. Raises `Invalid` for a large one, `Unavailable` for a slow."""
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise Invalid((Finding(f"the body is larger than {limit} bytes", Place("request")),))
                feed(chunk)
    except TimeoutError as error:
        raise Unavailable("the request", f"its body was not whole within {seconds:.0f} s") from error
    except ClientDisconnect as error:
        raise Unavailable("the request", "it ended early") from error


async def body_of(request: Request, asker: Asker, limit: int) -> bytes:
    """The body, which is the one that was signed where the request was. Raises as `read`, and `Unauthenticated`."""
    body, hashed = bytearray(), hashlib.sha256()

    def keep(chunk: bytes) -> None:
        body.extend(chunk)
        hashed.update(chunk)

    await read(request, limit, BODY_SECONDS, keep)
    if asker.body_digest not in (None, f"sha256:{hashed.hexdigest()}"):
        raise Unauthenticated("the request's signature is not accepted: it was signed with another body", "subjects")
    return bytes(body)


def told(problem: Problem) -> Response:
    """A problem as its answer."""
    response = json_response(to_json(problem), status_of(problem))
    if isinstance(problem, Unauthenticated | TooMany):
        response.headers["connection"] = "close"  # whatever else it sends is not read
    if isinstance(problem, Unavailable):
        response.headers["retry-after"] = str(max(1, round(problem.retry_after)))
    return response


def guarded(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The handler, with whatever it raises told as a problem; what nobody foresaw goes to the log, not to the peer."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Problem as problem:
            return told(problem)
        except Exception:
            return told(unforeseen(f"{request.method} {request.url.path}"))

    return answer


def unforeseen(what: str) -> Defect:
    """Log the exception being handled; the problem that names its place in the log."""
    reference = secrets.token_hex(4)
    log.exception("%s failed (%s)", what, reference)
    return Defect(f"{what} failed; the server's log has it under {reference}")


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
