"""Sockets for real: TLS and Unix, who is at the other end, and what a peer cannot make the process do."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from agent.contract.canonical import digest
from reconciler.adapters.listener import Certificate, Listeners, TlsListener, UnixListener, protocols
from reconciler.adapters.listener import listeners as listeners_module
from reconciler.core.problem import Refused, Unavailable
from tests.adapters.listener.certificates import Files, ThrowawayCa

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


async def mirror(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it was asked and by whom."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    peer = scope["state"].get("peer", "none")
    answer = {
        "path": scope["path"],
        "peer": peer if peer == "none" else [peer.uid, peer.pid],
        "client": bool(scope["client"]),
        "body": len(body),
    }
    data = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": data})


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> ThrowawayCa:
    return ThrowawayCa(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def files(ca: ThrowawayCa) -> Files:
    return ca.issue()


@pytest.fixture(scope="module")
def listeners(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Listeners, Path]]:
    path = tmp_path_factory.mktemp("state") / "opsctl.sock"
    certificate = Certificate(files.chain, files.key)
    running = Listeners(TlsListener(mirror, "127.0.0.1", 0, certificate), UnixListener(mirror, path))
    running.start()
    yield running, path
    running.stop()
    assert not path.exists()


def _tls(listeners: Listeners, files: Files) -> ssl.SSLSocket:
    raw = socket.create_connection(listeners.address, timeout=10)
    return ssl.create_default_context(cafile=str(files.ca)).wrap_socket(raw, server_hostname="127.0.0.1")


def test_tls_answers_on_the_port_it_took_and_knows_no_peer(listeners: tuple[Listeners, Path], files: Files) -> None:
    running, _ = listeners
    host, port = running.address
    assert port != 0
    context = ssl.create_default_context(cafile=str(files.ca))
    spoof = {"X-Forwarded-For": "203.0.113.9", "peer": "0"}
    answer = httpx.get(f"https://{host}:{port}/x", verify=context, headers=spoof, trust_env=False)
    assert answer.json() == {"path": "/x", "peer": "none", "client": True, "body": 0}
    assert "server" not in answer.headers


def test_tls_1_1_is_not_spoken(listeners: tuple[Listeners, Path], files: Files) -> None:
    context = ssl.create_default_context(cafile=str(files.ca))
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(listeners[0].address, timeout=10) as raw,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
    ):
        context.wrap_socket(raw, server_hostname="127.0.0.1")


def test_the_unix_socket_knows_who_connects(listeners: tuple[Listeners, Path]) -> None:
    _, path = listeners
    assert path.stat().st_mode & 0o777 == 0o600
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        for _ in range(2):
            assert client.get("http://opsctl/x").json()["peer"] == [os.getuid(), os.getpid()]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_the_unix_socket_knows_another_user(files: Files, tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    path = tmp_path / "open.sock"
    certificate = Certificate(files.chain, files.key)
    running = Listeners(TlsListener(mirror, "127.0.0.1", 0, certificate), UnixListener(mirror, path, 0o666))
    running.start()
    program = (
        "import os, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); os.chdir(sys.argv[1]); os.setgid(65534); os.setuid(65534)\n"
        "s.connect('open.sock'); s.sendall(b'GET /x HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n')\n"
        "print(b''.join(iter(lambda: s.recv(4096), b'')).decode())"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=30, check=True
        )
    finally:
        running.stop()
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["peer"][0] == 65534


def test_a_head_without_end_is_cut_off(listeners: tuple[Listeners, Path], files: Files) -> None:
    for begin in (b"GET / HTTP/1.1\r\nx: ", b"GET /"):
        with _tls(listeners[0], files) as peer:
            with contextlib.suppress(OSError):  # the server may be gone before all is written
                peer.sendall(begin + b"y" * (protocols.HEAD_LIMIT * 4))
            got = b""
            with contextlib.suppress(OSError):
                while data := peer.recv(4096):
                    got += data
            assert not got or got.startswith(b"HTTP/1.1 400")


def test_many_small_headers_and_trailers_are_bounded_too(listeners: tuple[Listeners, Path], files: Files) -> None:
    fields = b"".join(b"x-%d: y\r\n" % number for number in range(6000))
    heads = (
        b"GET / HTTP/1.1\r\nhost: x\r\n" + fields + b"\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n" + fields + b"\r\n",
    )
    for head in heads:
        with _tls(listeners[0], files) as peer:
            with contextlib.suppress(OSError):
                peer.sendall(head)
            with contextlib.suppress(OSError):
                got = peer.recv(4096)
                assert got.startswith(b"HTTP/1.1 400") or not got


def test_a_large_body_is_not_a_large_head(listeners: tuple[Listeners, Path], files: Files) -> None:
    host, port = listeners[0].address
    context = ssl.create_default_context(cafile=str(files.ca))
    with httpx.Client(verify=context, trust_env=False) as client:
        for _ in range(2):
            answer = client.post(f"https://{host}:{port}/x", content=bytes(protocols.HEAD_LIMIT * 8))
            assert answer.json()["body"] == protocols.HEAD_LIMIT * 8


def test_a_head_that_does_not_come_is_not_waited_for(
    listeners: tuple[Listeners, Path], files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocols, "HEAD_SECONDS", 0.1)
    answered = b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n"
    for begin in (b"", b"GET / HT", answered + b"GET / HT"):
        with _tls(listeners[0], files) as peer:
            peer.sendall(begin)
            while peer.recv(4096):
                pass  # until it hangs up


def test_what_is_not_http_is_answered_400(listeners: tuple[Listeners, Path], files: Files) -> None:
    with _tls(listeners[0], files) as peer:
        peer.sendall(b"\x00\x01\x02 garbage\r\n\r\n")
        assert peer.recv(4096).startswith(b"HTTP/1.1 400")


def test_a_port_in_use_is_unavailable(listeners: tuple[Listeners, Path], files: Files) -> None:
    taken = listeners[0].address[1]
    another = Listeners(TlsListener(mirror, "127.0.0.1", taken, Certificate(files.chain, files.key)), None)
    with pytest.raises(Unavailable, match=f"127.0.0.1:{taken}"):
        another.start()


def test_an_address_that_is_not_here_is_unavailable(files: Files) -> None:
    for host, port in (("192.0.2.1", 0), ("no such name", 0), ("127.0.0.1", 70_000)):
        with pytest.raises(Unavailable, match="to listen on"):
            Listeners(TlsListener(mirror, host, port, Certificate(files.chain, files.key)), None).start()


def test_a_socket_left_by_a_killed_server_is_taken_over_and_a_file_is_not(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "opsctl.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    certificate = Certificate(files.chain, files.key)
    running = Listeners(TlsListener(mirror, "127.0.0.1", 0, certificate), UnixListener(mirror, path))
    running.start()
    running.stop()
    path.write_text("a person's own file")
    with pytest.raises(Unavailable, match="the socket"):
        Listeners(TlsListener(mirror, "127.0.0.1", 0, certificate), UnixListener(mirror, path)).start()
    assert path.read_text() == "a person's own file"


def test_a_socket_path_that_no_system_has_room_for_is_refused(files: Files, tmp_path: Path) -> None:
    path = tmp_path / ("d" * 100) / "opsctl.sock"
    certificate = Certificate(files.chain, files.key)
    with pytest.raises(Refused, match="shorter path"):
        Listeners(TlsListener(mirror, "127.0.0.1", 0, certificate), UnixListener(mirror, path)).start()


def test_a_renewed_certificate_is_shown_without_a_restart(ca: ThrowawayCa) -> None:
    files = ca.issue("renewed")
    certificate = Certificate(files.chain, files.key)
    running = Listeners(TlsListener(mirror, "127.0.0.1", 0, certificate), None)
    running.start()

    def shown() -> str:
        with _tls(running, files) as peer:
            return digest(peer.getpeercert(True) or b"")

    try:
        first = shown()
        assert certificate.fingerprints() == (first,)
        ca.issue("renewed")
        certificate.renew()
        second = shown()
        assert second != first
        assert certificate.fingerprints() == (second, first)
        certificate.renew()
        assert certificate.fingerprints() == (second, first)
    finally:
        running.stop()


def test_a_certificate_that_cannot_be_used_is_unavailable(files: Files, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    for chain, key in ((tmp_path / "absent", files.key), (broken, files.key), (files.chain, broken)):
        with pytest.raises(Unavailable, match="the server certificate"):
            Certificate(chain, key)


def test_stopping_lets_answers_end_and_cuts_a_peer_that_does_not_say_goodbye(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners_module, "GRACE_SECONDS", 0.5)
    stopping, begun = threading.Event(), threading.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        import asyncio

        await send({"type": "http.response.start", "status": 200, "headers": []})
        begun.set()
        while not stopping.is_set():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b"the end"})

    running = Listeners(
        TlsListener(endless, "127.0.0.1", 0, Certificate(files.chain, files.key)), None, stopping=stopping
    )
    running.start()
    with _tls(running, files) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert begun.wait(10)
        running.stop()
        got = b""
        while data := peer.recv(4096):
            got += data
    assert b"the end" in got
