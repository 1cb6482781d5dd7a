"""Fetching from real servers: TLS of a trusted and of an unknown CA, redirects, proxies, answers that end badly."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import os
import select
import socket
import ssl
import threading
import typing
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.host import LocalHost
from agent.host.port import Login
from tests.agent.converging import Node, body, outcomes, reasons, step
from tests.agent.pki import Authority

BLOB = os.urandom(3 << 20)
Server = typing.Callable[..., str]


class Site(http.server.BaseHTTPRequestHandler):
    """A site, and a proxy for absolute URLs; what it was asked is in `asked`."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.endswith("/blob"):
            self.answer(200, BLOB)
        elif self.path == "/moved":
            self.answer(302, b"", Location="/blob")
        elif self.path == "/downgraded":
            self.answer(302, b"", Location="http://127.0.0.1:1/blob")
        elif self.path == "/local":
            self.answer(302, b"", Location="file:///etc/passwd")
        elif self.path == "/basic":
            right = "Basic " + base64.b64encode(b"me:secret").decode()
            known = self.headers.get("Authorization") == right
            self.answer(200 if known else 401, BLOB[:10], **{"WWW-Authenticate": 'Basic realm="x"'})
        elif self.path == "/digest":
            known = 'username="me"' in self.headers.get("Authorization", "") and self.is_digest()
            self.answer(
                200 if known else 401, BLOB[:10], **{"WWW-Authenticate": 'Digest realm="x", nonce="n", qop="auth"'}
            )
        elif self.path.startswith("/away"):
            self.answer(302, b"", Location=self.path.partition("?")[2])
        elif self.path == "/told":
            self.answer(200, "".join(f"{name}: {value}\n" for name, value in self.headers.items()).encode())
        elif self.path == "/short":
            self.answer(200, b"half", **{"Content-Length": "8"})
        else:
            self.answer(404, b"")

    def do_CONNECT(self) -> None:
        """A tunnel, until either end hangs up."""
        self.asked.append(self.path)
        name, _, port = self.path.partition(":")
        with socket.create_connection((name, int(port))) as beyond:
            self.send_response(200)
            self.end_headers()
            ends = {self.connection: beyond, beyond: self.connection}
            with contextlib.suppress(OSError):
                while True:
                    for end in select.select(list(ends), [], [], 30)[0]:
                        data = end.recv(65536)
                        if not data:
                            return
                        ends[end].sendall(data)

    def is_digest(self) -> bool:
        """Whether the password is the right one, by RFC 7616."""
        said = urllib.request.parse_keqv_list(
            urllib.request.parse_http_list(self.headers["Authorization"].partition(" ")[2])
        )
        one, two = (hashlib.md5(text.encode()).hexdigest() for text in ("me:x:secret", f"GET:{self.path}"))
        parts = [one, said["nonce"], said["nc"], said["cnonce"], said["qop"], two]
        return said["response"] == hashlib.md5(":".join(parts).encode()).hexdigest()

    def answer(self, code: int, data: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def serve(asked: list[str]) -> Iterator[Server]:
    """Starts a server, with TLS where a certificate is given; its URL."""
    running = []

    def start(certificate: Path | None = None) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Asked", (Site,), {"asked": asked}))
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # this one, quietly
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def host(tmp_path: Path) -> LocalHost:
    (tmp_path / "root").mkdir()
    return LocalHost(str(tmp_path / "root"))


def got(host: LocalHost, url: str, limit: int = 1 << 30) -> bytes:
    return b"".join(host.fetch(url, limit, 60.0))


def trust(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_text(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


def test_a_whole_file_comes_in_pieces(host: LocalHost, serve: Server) -> None:
    pieces = list(host.fetch(serve() + "/blob", 1 << 30, 60.0))
    assert b"".join(pieces) == BLOB
    assert max(map(len, pieces)) <= 256 * 1024


def test_a_redirect_is_followed(host: LocalHost, serve: Server) -> None:
    assert got(host, serve() + "/moved") == BLOB


def test_tls_is_verified(host: LocalHost, serve: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority()
    url = serve(authority.serve_as(tmp_path))
    with pytest.raises(OSError, match="its certificate is not trusted"):
        got(host, url + "/blob")
    trust(authority, tmp_path, monkeypatch)
    assert got(host, url + "/moved") == BLOB
    with pytest.raises(OSError, match="it leads from https to http"):
        got(host, url + "/downgraded")
    other = serve(authority.serve_as(tmp_path, address="192.0.2.1"))
    with pytest.raises(OSError, match="its certificate is not trusted"):
        got(host, other + "/blob")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/nothing?token=secret", "the server answers 404 Not Found"),
        ("/short", "it was cut off after 4 of 8 bytes|IncompleteRead"),
        ("/local", "redirect|file"),
    ],
)
def test_what_ends_badly_is_an_error_that_names_the_url(host: LocalHost, serve: Server, path: str, why: str) -> None:
    url = serve() + path
    with pytest.raises(OSError, match=why) as caught:
        got(host, url)
    assert caught.value.filename == url.partition("?")[0]
    assert "secret" not in str(caught.value)


def test_too_much_is_not_taken(host: LocalHost, serve: Server) -> None:
    with pytest.raises(OSError, match="it has more than 1000000 bytes"):
        got(host, serve() + "/blob", 1_000_000)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "nothing"])
def test_only_the_web_is_fetched_from(host: LocalHost, url: str) -> None:
    with pytest.raises(OSError, match="it is no http or https URL"):
        got(host, url)


def test_nobody_listens(host: LocalHost) -> None:
    with pytest.raises(OSError, match="refused"):
        got(host, "http://127.0.0.1:1/blob")


def test_the_proxy_of_the_environment_is_asked(
    host: LocalHost, serve: Server, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", serve())
    assert got(host, "http://tools.example/blob") == BLOB
    assert asked == ["http://tools.example/blob"]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    own = serve()
    assert got(host, own + "/blob") == BLOB
    assert asked[1:] == ["/blob"]


def test_tls_goes_through_the_proxy_and_is_verified_all_the_same(
    host: LocalHost, serve: Server, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    url = serve(authority.serve_as(tmp_path))
    monkeypatch.setenv("https_proxy", serve())
    with pytest.raises(OSError, match="its certificate is not trusted"):
        got(host, url + "/blob")
    trust(authority, tmp_path, monkeypatch)
    assert got(host, url + "/blob") == BLOB
    assert asked == [url[len("https://") :]] * 2 + ["/blob"]


def test_a_download_from_a_real_server(host: LocalHost, serve: Server, asked: list[str], tmp_path: Path) -> None:
    node = Node(host, tmp_path / "state")
    url = serve()
    inputs = {"path": "/tool", "url": url + "/blob", "sha256": hashlib.sha256(BLOB).hexdigest(), "mode": "0755"}
    held = body(step("ops:download", inputs))
    assert outcomes(node.converge(held, apply=False)) == {"path:/tool": "Drifted"}
    assert asked == []
    assert outcomes(node.converge(held)) == {"path:/tool": "Changed"}
    assert (tmp_path / "root" / "tool").read_bytes() == BLOB
    assert not node.converge(held, cause="Interval").changed
    assert asked == ["/blob"]

    cut = node.converge(body(step("ops:download", dict(inputs, url=url + "/short", sha256="0" * 64))), generation=2)
    assert "/short: " in str(reasons(cut)["path:/tool"])
    assert (tmp_path / "root" / "tool").read_bytes() == BLOB
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["tool"]
    node.close()


@pytest.mark.parametrize("method", ["Basic", "Digest"])
def test_whom_a_server_is_asked_as(host: LocalHost, serve: Server, method: str) -> None:
    url = f"{serve()}/{method.lower()}"
    assert b"".join(host.fetch(url, 100, 60.0, Login(method, "me", "secret"))) == BLOB[:10]
    for login in (Login(method, "me", "wrong"), None):
        with pytest.raises(OSError, match="401"):
            list(host.fetch(url, 100, 60.0, login))


def test_neither_login_nor_headers_go_to_another_server(host: LocalHost, serve: Server) -> None:
    there = serve()
    here = serve()
    with pytest.raises(OSError, match="401"):
        list(host.fetch(f"{here}/away?{there}/basic", 100, 60.0, Login("Basic", "me", "secret")))
    said = b"".join(host.fetch(f"{here}/told", 1000, 60.0, None, {"X-Mine": "a"}))
    assert b"X-Mine: a" in said
    assert b"X-Mine" not in b"".join(host.fetch(f"{here}/away?{there}/told", 1000, 60.0, None, {"X-Mine": "a"}))
