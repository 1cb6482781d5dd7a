"""`POST /hooks/git`: a Git host says that something was pushed. All it can cause is a fetch.

GitHub signs the body (`X-Hub-Signature-256`), GitLab sends a token (`X-Gitlab-Token`). The secrets are in files, read
each time, so that replacing one needs no restart. The body is hashed as it comes and never kept.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from reconciler.api.answers import read
from reconciler.api.problems import TooMany, Unauthenticated
from reconciler.core.allowance import Allowance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request

BODY_LIMIT = 25 * 1024 * 1024
BODY_SECONDS = 30.0
PER_SECOND, AT_ONCE = 1.0, 20.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Secrets:
    """Files that hold what a Git host proves itself by; None where there is none."""

    github: Path | None = None
    gitlab: Path | None = None


class GitHook:
    """Answers 202 and calls `pushed` (which must not block) when the host proved itself; 404 where no secret is set."""

    def __init__(self, secrets: Secrets, pushed: Callable[[], None]) -> None:
        self._secrets = secrets
        self._pushed = pushed
        self._allowed = Allowance(PER_SECOND, AT_ONCE, time.monotonic())

    async def __call__(self, request: Request) -> Response:
        github, gitlab = await run_in_threadpool(self._read)
        if not github and not gitlab:
            return Response("no hook is configured\n", 404)
        wait = self._allowed.take(time.monotonic())
        if wait:
            raise TooMany("the hook", "too many calls", wait)
        signature, token = request.headers.get("x-hub-signature-256"), request.headers.get("x-gitlab-token")
        mac = await _mac(request, github)
        signed = bool(github and signature) and hmac.compare_digest(f"sha256={mac}".encode(), _bytes(signature))
        known = bool(gitlab and token) and hmac.compare_digest(gitlab, _bytes(token))
        if not signed and not known:
            raise Unauthenticated("the hook's secret is not this server's", "hooks")
        self._pushed()
        return Response(status_code=202)

    def _read(self) -> tuple[bytes, bytes]:
        return _secret(self._secrets.github), _secret(self._secrets.gitlab)


def _secret(path: Path | None) -> bytes:
    """The file's content without surrounding white space; empty, which lets nobody in, where it cannot be read."""
    if path is None:
        return b""
    try:
        return path.read_bytes().strip()
    except OSError as error:
        log.warning("the hook's secret %s cannot be read: %s", path, error.strerror)
        return b""


async def _mac(request: Request, secret: bytes) -> str:
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    await read(request, BODY_LIMIT, BODY_SECONDS, mac.update)
    return mac.hexdigest()


def _bytes(text: str | None) -> bytes:
    return (text or "").encode("latin-1", "replace")
