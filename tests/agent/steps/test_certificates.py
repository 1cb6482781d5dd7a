"""Certificates where they are real: made by openssl, presented by a TLS server, cut short and turned over."""

from __future__ import annotations

import random
import shutil
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from agent.host import Host, LocalHost
from agent.host.memory import MemoryHost
from agent.steps import self_signed, x509

NAMES = ("shop.example.com", "10.0.0.9", "2001:DB8:0::1")
DAY = 24 * 3600 * 1000

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed here")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    self_signed.make(LocalHost(), NAMES, 90, str(directory / "web.pem"), str(directory / "web.key"))
    return directory


def test_openssl_makes_what_is_declared(made: Path) -> None:
    (certificate,) = x509.from_pem((made / "web.pem").read_bytes())
    assert certificate.names == self_signed.spelt(NAMES) == ("10.0.0.9", "2001:db8::1", "shop.example.com")
    assert certificate.ends - certificate.begins == 90 * DAY
    assert abs(certificate.begins - LocalHost().now()) < DAY
    assert (made / "web.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in made.iterdir()) == ["web.key", "web.pem"]
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made / "web.pem", made / "web.key")


def test_no_bytes_are_more_than_no_certificate(made: Path) -> None:
    der = ssl.PEM_cert_to_DER_cert((made / "web.pem").read_text())
    chance = random.Random(7)
    for _ in range(2000):
        wrong = bytearray(der[: chance.randrange(len(der) + 1)])
        for _ in range(chance.randrange(4)):
            if wrong:
                wrong[chance.randrange(len(wrong))] = chance.randrange(256)
        try:
            x509.from_der(bytes(wrong))
        except x509.NotACertificate:
            continue


@pytest.fixture
def server(made: Path) -> Iterator[int]:
    """The port of a server that ends each connection after its handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made / "web.pem", made / "web.key")

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with context.wrap_socket(self.request, server_side=True):
                return

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield listening.server_address[1]
        listening.shutdown()
        thread.join()


@pytest.fixture(params=["local", "memory"])
def host(request: pytest.FixtureRequest, made: Path, server: int) -> Host:
    if request.param == "local":
        return LocalHost()
    der = ssl.PEM_cert_to_DER_cert((made / "web.pem").read_text())
    return MemoryHost(peers={f"127.0.0.1:{server}": der})


def test_what_a_server_presents(host: Host, made: Path, server: int) -> None:
    presented = host.peer_certificate("127.0.0.1", server, "shop.example.com", 10)
    assert presented == ssl.PEM_cert_to_DER_cert((made / "web.pem").read_text())


def test_a_server_that_is_not_there_is_named(host: Host, server: int) -> None:
    del server
    with pytest.raises(OSError, match=r"refused: '127.0.0.1:1'"):
        host.peer_certificate("127.0.0.1", 1, "shop.example.com", 10)


def test_a_server_that_speaks_something_else_is_named() -> None:
    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"220 mail.example.com ESMTP\r\n")

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.handle_request)
        thread.start()
        port = listening.server_address[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            LocalHost().peer_certificate("127.0.0.1", port, "mail.example.com", 10)
        thread.join()
