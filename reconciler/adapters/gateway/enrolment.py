"""`GET /ca.pem` and `POST /enroll`: what a machine can ask for before it is a node. Both are public, both bounded."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

from agent.contract import sshsig, wire
from agent.contract.codec import Malformed, Wire, from_wire, to_wire
from reconciler.adapters.gateway.answer import answer
from reconciler.adapters.gateway.hangup import OWN_DEFECT
from reconciler.core.allowance import Allowances
from reconciler.core.problem import Refused, Unavailable, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reconciler.adapters.gateway.lanes import Lane
    from reconciler.core.node_ports import Intake

BODY_LIMIT = 16 * 1024
TEXT_LIMIT = 1024
BODY_SECONDS = 10.0
PER_SECOND, AT_ONCE = 2.0, 60.0
"""Enrolments per peer address: a rack behind one address comes up at once, a guesser does not get far."""

_REASONS = frozenset({"unknown", "used", "expired"})

log = logging.getLogger(__name__)


class _Answer(Exception):
    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.refusal = wire.Refusal(reason, message)


class Enrolments:
    """The two paths as an ASGI app. A `Refused` of the intake whose rule is a reason of `Refusal` is told as such."""

    paths = frozenset({"/ca.pem", "/enroll"})

    def __init__(self, intake: Intake, lane: Lane, ca_pem: bytes) -> None:
        self._intake = intake
        self._lane = lane
        self._ca_pem = ca_pem
        self._allowed = Allowances(PER_SECOND, AT_ONCE)

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        """Answer one HTTP request for one of `paths`."""
        wanted = ("GET", "HEAD") if scope["path"] == "/ca.pem" else ("POST",)
        if scope["method"] not in wanted:
            await answer(send, 405, b"", "text/plain", (b"allow", ", ".join(wanted).encode()))
        elif scope["path"] == "/ca.pem":
            await answer(send, 200, self._ca_pem, "application/x-pem-file")
        else:
            await self._enrol(scope, receive, send)

    async def _enrol(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        peer = scope["client"][0] if scope.get("client") else "unknown"
        try:
            wait = self._allowed.take(peer, asyncio.get_running_loop().time())
            if wait:
                raise _Answer(429, "busy", f"too many enrolments from {peer}; try again in {wait:.0f} s")
            request = _request(await _body(receive))
            enrolled = await self._lane.begin(self._enrolled, request, peer)
        except _Answer as refused:
            log.warning("an enrolment from %s: %s", peer, refused)
            await _answer_json(send, refused.status, refused.refusal)
        else:
            log.info("node %s (%s) enrolled from %s", enrolled.node_id, enrolled.node_name, peer)
            await _answer_json(send, 200, enrolled)

    def _enrolled(self, request: wire.Enrolment, peer: str) -> wire.Enrolled:
        try:
            return self._intake.enrol(request, peer)
        except Refused as problem:
            reason = problem.rule if problem.rule in _REASONS else "refused"
            remedy = f"; {problem.remedy}" if problem.remedy else ""
            raise _Answer(403, reason, problem.what + remedy) from problem
        except (Unavailable, Waiting) as problem:
            raise _Answer(503, "busy", str(problem)) from problem
        except Exception as error:
            log.exception("an enrolment from %s failed", peer)
            raise _Answer(500, "busy", OWN_DEFECT) from error


async def _body(receive: Callable[[], Awaitable[Any]]) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise _Answer(400, "malformed", "the request ended early")
                body += message.get("body", b"")
                if len(body) > BODY_LIMIT:
                    raise _Answer(413, "malformed", f"the request is larger than {BODY_LIMIT} bytes")
                if not message.get("more_body"):
                    return bytes(body)
    except TimeoutError as error:
        raise _Answer(408, "malformed", f"the request was not whole within {BODY_SECONDS:.0f} s") from error


def _request(body: bytes) -> wire.Enrolment:
    try:
        request = from_wire(wire.Enrolment, json.loads(body), "enrolment")
        sshsig.public_of_text(request.sign_key)
    except (Malformed, sshsig.BadSignature, ValueError, RecursionError) as error:
        raise _Answer(400, "malformed", f"not an enrolment: {error}") from error
    for name, text in to_wire(request).items():
        if len(text) > TEXT_LIMIT:
            raise _Answer(400, "malformed", f"enrolment.{name} is longer than {TEXT_LIMIT} characters")
    return request


async def _answer_json(send: Any, status: int, message: Wire) -> None:
    extra = ((b"retry-after", b"10"),) if status in (429, 503) else ()
    await answer(send, status, json.dumps(to_wire(message)).encode(), "application/json", *extra)
