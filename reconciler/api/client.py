"""The client: the service, as seen from another process. Problems come back as what they were raised as."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import httpx

from agent.contract.canonical import digest
from agent.contract.wire import FRAME_LIMIT
from reconciler.adapters.signer import operator_signer
from reconciler.api import signature
from reconciler.api.parameters import RemoteParameters
from reconciler.api.problems import from_json
from reconciler.api.routes import PREFIX, SESSION
from reconciler.core.problem import Defect, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from websockets.sync.client import ClientConnection

    from reconciler.core.ports import Signer

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 600.0
"""A plan of a large fleet takes its time; a dead connection is found by TCP."""


class Client:
    """Talks to one server: `unix:PATH`, where the kernel says who asks, or `https://HOST:PORT`, where an SSH key does.

    `ca` is the fleet's `ca.pem`: what the server's certificate has to be signed by, and what each request is signed
    for. `key` is the operator's key file, found as `operator_signer` says where it is None; `signer` stands in for it.
    Raises `Refused` for an address that is neither, for https without `ca`, and as `operator_signer`.
    """

    def __init__(
        self,
        server: str,
        ca: Path | None = None,
        key: Path | None = None,
        *,
        signer: Signer | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._server = server
        self._signer: Signer | None = None
        timeout = httpx.Timeout(answer_seconds, connect=min(answer_seconds, CONNECT_SECONDS))
        kind, _, rest = server.partition(":")
        self._socket = Path(rest) if kind == "unix" else None
        if kind == "unix" and rest:
            transport = httpx.HTTPTransport(uds=rest)
            self._http = httpx.Client(base_url="http://opsctl", transport=transport, timeout=timeout, trust_env=False)
        elif kind == "https":
            if ca is None:
                remedy = "give the fleet's ca.pem (--ca), or use the server's socket (unix:PATH)"
                raise Refused(f"{server} is asked over https without a CA certificate", remedy=remedy)
            self._signer = signer or operator_signer(key)
            self._ca_digest, self._context = _trusted(ca)
            self._http = httpx.Client(base_url=server, verify=self._context, timeout=timeout, trust_env=False)
        else:
            raise Refused(f"{server!r} is no server's address", remedy="expected https://HOST:PORT or unix:PATH")

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def status(self) -> dict[str, Any]:
        return self._get("/status")

    def plan(self, rev: str | None = None, base: str | None = None) -> dict[str, Any]:
        return self._get("/plan", rev=rev, base=base)

    def apply(
        self, rev: str | None = None, saved: Mapping[str, Any] | None = None, allow_removals: int = 0
    ) -> dict[str, Any]:
        body = {"rev": rev, "plan": saved, "allowRemovals": allow_removals}
        return self._post("/apply", body)

    def apply_status(self, apply_id: str) -> dict[str, Any]:
        return self._get(f"/apply/{_part(apply_id)}")

    def apply_events(self, apply_id: str) -> Iterator[dict[str, Any]]:
        """The apply's progress now and at each change, until it is finished."""
        return self._events(f"/apply/{_part(apply_id)}/events")

    def sync(self) -> dict[str, Any]:
        return self._post("/sync")

    def nodes(self) -> list[dict[str, Any]]:
        return self._items("/nodes")

    def node(self, name: str) -> dict[str, Any]:
        return self._get(f"/nodes/{_part(name)}")

    def inventory(self, name: str) -> list[dict[str, Any]]:
        return self._items(f"/nodes/{_part(name)}/inventory")

    def inventory_type(self, name: str, type_name: str) -> dict[str, Any]:
        return self._get(f"/nodes/{_part(name)}/inventory/{_part(type_name)}")

    def retire(self, name: str) -> dict[str, Any]:
        return self._post(f"/nodes/{_part(name)}/retire")

    def create_token(self, node: str | None, labels: Mapping[str, str], ttl_seconds: int) -> dict[str, Any]:
        return self._post("/tokens", {"node": node, "labels": dict(labels), "ttlSeconds": ttl_seconds})

    def explain(self, node: str, claim: str | None = None) -> dict[str, Any]:
        return self._get("/explain", node=node, claim=claim)

    @property
    def parameters(self) -> RemoteParameters:
        """The parameters in force there."""
        return RemoteParameters(self._get, self._items)

    def conditions(self) -> list[dict[str, Any]]:
        return self._items("/conditions")

    def audit(self, limit: int = 100) -> list[dict[str, Any]]:
        return self._items("/audit", limit=str(limit))

    def run(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """A document on nodes; `asked` as `requests.Run` takes it."""
        return self._post("/commands", asked)

    def commands(self, limit: int = 50) -> list[dict[str, Any]]:
        return self._items("/commands", limit=str(limit))

    def command(self, command_id: str) -> dict[str, Any]:
        return self._get(f"/commands/{_part(command_id)}")

    def command_events(self, command_id: str) -> Iterator[dict[str, Any]]:
        """The command's progress now and at each change, until it is finished; always whole."""
        jobs: dict[str, dict[str, Any]] = {}
        for progress in self._events(f"/commands/{_part(command_id)}/events"):
            jobs |= {one["job"]: one for one in progress["invocations"]}
            listed = sorted(jobs.values(), key=lambda one: one["node"])
            yield {**progress, "invocations": listed}

    def cancel(self, command_id: str) -> dict[str, Any]:
        return self._post(f"/commands/{_part(command_id)}/cancel")

    def retry(self, command_id: str, which: Iterable[str]) -> dict[str, Any]:
        """Run it again where it did not succeed; the new command's progress."""
        return self._post(f"/commands/{_part(command_id)}/retry", {"which": sorted(which)})

    def output(self, command_id: str, job: str, step: str, stream: str, offset: int) -> bytes:
        """Part of what a step says, from `offset` on; empty where there is no more."""
        query = {"job": job, "step": step, "stream": stream, "offset": str(offset)}
        return base64.b64decode(self._get(f"/commands/{_part(command_id)}/output", **query)["data"])

    def start(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """An execution of an Automation document; `asked` as `requests.Start` takes it."""
        return self._post("/automations", asked)

    def executions(self, limit: int = 50, parent: str | None = None) -> list[dict[str, Any]]:
        return self._items("/automations", limit=str(limit), parent=parent)

    def execution(self, execution: str) -> dict[str, Any]:
        return self._get(f"/automations/{_part(execution)}")

    def execution_events(self, execution: str) -> Iterator[dict[str, Any]]:
        """How the execution stands, now and at each change, until it is over."""
        return self._events(f"/automations/{_part(execution)}/events")

    def signal(self, execution: str, signal: str, comment: str = "") -> dict[str, Any]:
        return self._post(f"/automations/{_part(execution)}/signal", {"signal": signal, "comment": comment})

    def stop(self, execution: str, reason: str = "") -> dict[str, Any]:
        return self._post(f"/automations/{_part(execution)}/stop", {"reason": reason})

    # -- sessions ------------------------------------------------------------------------------------------------

    def start_session(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """A session's ticket; `asked` as `requests.SessionBody` takes it."""
        return self._post("/sessions", asked)

    def sessions(self) -> list[dict[str, Any]]:
        return self._items("/sessions")

    def terminate(self, session_id: str) -> dict[str, Any]:
        return self._post(f"/sessions/{_part(session_id)}/terminate")

    def session_socket(self) -> ClientConnection:
        """A WebSocket for one channel of a session. Raises `Unavailable`."""
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect, unix_connect

        request = self._request("GET", SESSION)
        given = {key: value for key, value in request.headers.items() if key == signature.HEADER}
        options: dict[str, Any] = {
            "additional_headers": given,
            "compression": None,
            "max_size": FRAME_LIMIT,
            "open_timeout": CONNECT_SECONDS,
            "max_queue": 64,
            "proxy": None,
        }
        try:
            if self._socket:
                opened: ClientConnection = unix_connect(
                    str(self._socket), f"ws://opsctl{request.url.raw_path.decode()}", **options
                )
            else:
                url = str(request.url).replace("https://", "wss://", 1)
                opened = connect(url, ssl=self._context, **options)
        except (OSError, WebSocketException) as error:
            raise Unavailable(self._server, str(error) or type(error).__name__, 1.0) from error
        return opened

    # -- one request ---------------------------------------------------------------------------------------------

    def _get(self, path: str, /, **query: str | None) -> dict[str, Any]:
        given = {name: value for name, value in query.items() if value is not None}
        return self._answer(self._request("GET", path, given))

    def _items(self, path: str, /, **query: str | None) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._get(path, **query)["items"]
        return items

    def _post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        content = json.dumps(body, ensure_ascii=False).encode() if body is not None else b""
        return self._answer(self._request("POST", path, content=content))

    def _request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, content: bytes = b""
    ) -> httpx.Request:
        request = self._http.build_request(method, PREFIX + path, params=query, content=content)
        if self._signer:
            target = request.url.raw_path.decode("ascii")
            said = signature.request(
                method,
                target,
                content,
                now_ms=time.time_ns() // 1_000_000,
                nonce=secrets.token_urlsafe(24),
                server=self._ca_digest,
            )
            request.headers[signature.HEADER] = signature.header(said, self._signer)
        return request

    def _answer(self, request: httpx.Request) -> dict[str, Any]:
        return self._value(self._sent(request))

    def _sent(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        if self._socket and not self._socket.is_socket():
            raise Unavailable(self._server, "there is no such socket: is opsctl serve running on this state?")
        with _reached(self._server):
            return self._http.send(request, stream=stream)

    def _value(self, response: httpx.Response) -> dict[str, Any]:
        try:
            value = response.json()
        except ValueError:
            value = None
        if response.is_success and isinstance(value, dict):
            return value
        raise from_json(value) or Unavailable(self._server, f"it answered {response.status_code}, not as opsctl does")

    def _events(self, path: str) -> Iterator[dict[str, Any]]:
        response = self._sent(self._request("GET", path), stream=True)
        try:
            yield from self._progress(response)
        finally:
            response.close()

    def _progress(self, response: httpx.Response) -> Iterator[dict[str, Any]]:
        with _reached(self._server):
            if not response.is_success:
                response.read()
                self._value(response)
            name, progress = "", {}
            for line in response.iter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data" and name == "problem":
                    raise from_json(json.loads(value)) or Defect(value)
                elif field == "data":
                    progress = json.loads(value)
                    yield progress
        if not progress.get("finished"):
            raise Unavailable(self._server, "it ended before what was followed did")


def _part(text: str) -> str:
    """A path segment."""
    return quote(text, safe="")


def _trusted(ca: Path) -> tuple[str, ssl.SSLContext]:
    """(the digest of the CA's certificate, a context that trusts it and nothing else)."""
    try:
        pem = ca.read_text("ascii")
        return digest(ssl.PEM_cert_to_DER_cert(pem.strip())), ssl.create_default_context(cadata=pem)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise Refused(
            f"{ca} is no CA certificate: {error}", remedy="fetch it from the server's state directory"
        ) from error


@contextlib.contextmanager
def _reached(server: str) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
            cause = cause.__cause__ or cause.__context__
        if cause is not None:
            raise Refused(
                f"{server} shows a certificate that this CA did not sign: {cause.verify_message}",
                "certificates",
                "compare ca.pem with the server's; somebody may be in between",
            ) from error
        raise Unavailable(server, str(error) or type(error).__name__) from error
