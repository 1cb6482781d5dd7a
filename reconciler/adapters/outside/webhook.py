"""Webhooks: a message to an address that the server's owner gave a name to.

Bounded: in time, in what is read, and in where it may go. Redirects are not followed and no proxy is used, for either
would go elsewhere than was judged. URLs and headers may be secrets: no error has them.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from reconciler.adapters.outside.addresses import Forbidden, permitted
from reconciler.core.executions import Answer
from reconciler.core.problem import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from reconciler.core.ports import Clock

ACTION = "aws:invokeWebhook"
SECONDS = 30
"""That a call may take, where its integration does not say."""
RESPONSE = 100 * 1024
"""Bytes of a response that are read; what follows is left."""


@dataclass(frozen=True, slots=True)
class Integration:
    """A place to call. `url_file` and `header_files` hold what is secret; they are read at each call.

    `payload` is the body where a step gives none. `private`: it may be in a network that is not the internet's. `ca` is
    a file of certificates to trust instead of the system's.
    """

    url: str = ""
    url_file: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    header_files: Mapping[str, Path] = field(default_factory=dict)
    payload: str = ""
    private: bool = False
    ca: Path | None = None
    seconds: int = SECONDS


class Webhooks:
    """Calls integrations by their names."""

    def __init__(self, integrations: Mapping[str, Integration], clock: Clock) -> None:
        self._integrations, self._clock = dict(integrations), clock

    def perform(self, work: str, action: str, inputs: Mapping[str, Any], deadline: int | None) -> Answer:
        if action != ACTION:
            return Answer("Failed", reason=f"Unsupported: {action} is no webhook")
        name = str(inputs.get("IntegrationName", ""))
        integration = self._integrations.get(name)
        if integration is None:
            near = nearest(name, self._integrations)
            known = f"did you mean {near}?" if near else "add it to `webhooks` in server.yaml"
            return Answer("Failed", reason=f"there is no webhook integration `{name}`: {known}")
        try:
            request = _request(work, integration, inputs.get("Body"))
        except (OSError, ValueError) as error:
            return Answer("Failed", reason=f"the webhook integration `{name}` cannot be used: {_why(error)}")
        return asyncio.run(_called(name, integration, request, self._seconds(integration, deadline)))

    def _seconds(self, integration: Integration, deadline: int | None) -> float:
        if deadline is None:
            return integration.seconds
        return max(0.1, min(integration.seconds, (deadline - self._clock.now_ms()) / 1000))


@dataclass(frozen=True, slots=True)
class _Request:
    url: httpx.URL
    headers: dict[str, str]
    body: bytes


def _request(work: str, integration: Integration, body: Any) -> _Request:
    """What is sent. Raises OSError for a file that is not there, ValueError for an address that is none."""
    url = httpx.URL(_text(integration.url_file) if integration.url_file else integration.url)
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("its URL is no http or https address")
    secret = {name: _text(path) for name, path in integration.header_files.items()}
    text = integration.payload if body is None else body if isinstance(body, str) else json.dumps(body)
    kind = "application/json" if _is_json(text) else "text/plain; charset=utf-8"
    host = url.netloc.decode("ascii").rpartition("@")[2]
    headers = {"Content-Type": kind, **integration.headers, **secret, "Host": host, "Idempotency-Key": work}
    return _Request(url, headers, text.encode())


async def _called(name: str, integration: Integration, request: _Request, seconds: float) -> Answer:
    host = request.url.host
    try:
        async with asyncio.timeout(seconds):
            status, text = await _exchanged(integration, request)
    except TimeoutError:
        return Answer("TimedOut", reason=f"the webhook `{name}` ({host}) did not answer in {seconds:g} s")
    except Forbidden as error:
        return Answer("Failed", reason=f"the webhook `{name}` ({host}) is not called: {error}")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return Answer("Failed", reason=f"the webhook `{name}` ({host}) does not answer: {_why(error)}")
    outputs = {"Response": text, "ResponseCode": status}
    if not 200 <= status < 300:
        return Answer("Failed", outputs, f"the webhook `{name}` ({host}) answered with status {status}")
    return Answer(outputs=outputs)


async def _exchanged(integration: Integration, request: _Request) -> tuple[int, str]:
    """Status and text, from the address that was judged."""
    port = request.url.port or (443 if request.url.scheme == "https" else 80)
    found = await asyncio.get_running_loop().getaddrinfo(request.url.host, port, type=socket.SOCK_STREAM)
    address = permitted([str(one[4][0]) for one in found], private=integration.private)
    pinned = request.url.copy_with(host=address)
    verify = ssl.create_default_context(cafile=str(integration.ca) if integration.ca else None)
    extensions = {"sni_hostname": request.url.host}
    async with (
        httpx.AsyncClient(
            verify=verify, trust_env=False, follow_redirects=False, timeout=integration.seconds
        ) as client,
        client.stream("POST", pinned, headers=request.headers, content=request.body, extensions=extensions) as response,
    ):
        read = b""
        async for part in response.aiter_bytes():
            read += part
            if len(read) >= RESPONSE:
                break
        return response.status_code, read[:RESPONSE].decode("utf-8", "replace")


def _text(path: Path) -> str:
    return path.read_text().strip()


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _why(error: Exception) -> str:
    """An error in words that have nothing of the request in them."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, httpx.ConnectError | ValueError):
        return str(error)
    return type(error).__name__
