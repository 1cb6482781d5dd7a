"""Each fault on the way to a server, made for real, with its remedy."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.doctor import network
from agent.doctor.finding import Finding
from agent.doctor.network import Trust
from agent.link import dial
from tests.agent.gateway import Gateway
from tests.agent.pki import DAY, Authority
from tests.agent.program import ROOT
from tests.agent.proxy import Proxy

PATIENCE = 5.0


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path) as running:
        yield running


def trust(gateway: Gateway) -> Trust:
    return Trust(gateway.authority.digest, gateway.authority.pem)


def check(url: str, trusted: Trust, seconds: float = PATIENCE, **environ: str) -> list[Finding]:
    return list(network.server(url, trusted, seconds, environ))


def levels(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.level for finding in findings}


def last(findings: list[Finding], name: str, says: str, remedy: str) -> None:
    """The last finding is this fault; all before it were well."""
    found = findings[-1]
    assert (found.check, found.level) == (name, "fail"), findings
    assert says in found.says
    assert remedy in found.remedy
    assert {finding.level for finding in findings[:-1]} <= {"ok"}


def test_a_server_that_is_well(gateway: Gateway) -> None:
    gateway.clock = time.time()
    found = check(gateway.url, trust(gateway))
    assert levels(found) == dict.fromkeys(("dns", "route", "tcp", "clock", "server", "tls"), "ok")


def test_before_enrolment_the_tokens_digest_is_enough(gateway: Gateway) -> None:
    found = check(gateway.url, Trust(gateway.authority.digest))
    assert levels(found) == dict.fromkeys(("dns", "route", "tcp", "server", "ca", "tls"), "ok")


def test_no_url_at_all(gateway: Gateway) -> None:
    last(check("ftp://somewhere", trust(gateway)), "address", "is not the URL of a server", "https://HOST:PORT")


def test_a_name_that_has_no_address(gateway: Gateway) -> None:
    found = check("https://nowhere.invalid:8443", trust(gateway))
    last(found, "dns", "nowhere.invalid has no address", "getent hosts nowhere.invalid")


def test_a_closed_port(gateway: Gateway) -> None:
    gateway.shut()
    last(check(gateway.url, trust(gateway)), "tcp", "Connection refused", "nothing listens at")


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port whose queue is full: the kernel drops whoever else wants to connect, as a firewall would."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        callers = []
        for _ in range(4):
            caller = socket.socket()
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.1", port))
            callers.append(caller)
        yield port
        for caller in callers:
            caller.close()


def test_a_port_that_swallows_everything(black_hole: int) -> None:
    began = time.monotonic()
    found = check(f"https://127.0.0.1:{black_hole}", Trust("sha256:00"), 0.3)
    last(found, "tcp", "no answer in time", "a firewall drops it")
    assert time.monotonic() - began < PATIENCE


def test_no_route() -> None:
    """In a network of its own, which has no way to anywhere."""
    code = (
        "from agent.doctor.network import Trust, server; "
        "print(*list(server('https://192.0.2.1:8443', Trust('sha256:00'), 2.0, {}))[-1], sep='|')"
    )
    command = ["unshare", "--net", sys.executable, "-c", code]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if "Operation not permitted" in done.stderr:
        pytest.skip("a network of its own takes root")
    assert done.stdout.startswith("route|fail|no way to 192.0.2.1: Network is unreachable|"), done.stderr
    assert "ip route get 192.0.2.1" in done.stdout


def test_a_port_that_speaks_no_tls(gateway: Gateway) -> None:
    with Speaking(lambda client: client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")) as port:
        last(check(f"https://127.0.0.1:{port}", trust(gateway)), "tls", "TLS failed", "does not speak TLS")


def test_a_port_that_says_nothing(gateway: Gateway) -> None:
    with Speaking(lambda client: client.recv(1 << 16) and client.recv(1)) as port:
        found = check(f"https://127.0.0.1:{port}", trust(gateway), 0.3)
    last(found, "tls", "no answer in time", "does not answer")


class Speaking:
    """A port where this is done with each caller, and then hung up."""

    def __init__(self, say: Callable[[socket.socket], object]) -> None:
        self._say = say
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> int:
        threading.Thread(target=self._accept, daemon=True).start()
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                try:
                    self._say(client)
                except OSError:
                    continue


def test_another_ca(gateway: Gateway) -> None:
    other = Authority("another CA")
    found = check(gateway.url, Trust(other.digest, other.pem))
    assert levels(found)["server"] == "fail"
    assert "a proxy that inspects it" in found[-2].remedy
    assert (found[-1].check, found[-1].level) == ("tls", "fail")
    assert "not signed by this fleet's CA" in found[-1].says
    assert "enroll again" in found[-1].remedy


def test_another_ca_before_enrolment(gateway: Gateway) -> None:
    last(check(gateway.url, Trust("sha256:" + "0" * 64)), "server", "shows another CA", "opens TLS")


def test_another_name(gateway: Gateway) -> None:
    found = check(f"https://localhost:{gateway.port}", trust(gateway))
    last(found, "tls", "another name or address", "serve --name localhost")


@pytest.mark.parametrize(("begins", "ends", "says"), [(DAY, 2 * DAY, "not valid yet"), (-2 * DAY, -DAY, "has expired")])
def test_a_certificate_out_of_its_time(gateway: Gateway, begins: timedelta, ends: timedelta, says: str) -> None:
    gateway.certificate = gateway.authority.serve_as(gateway.directory, begins=begins, ends=ends)
    last(check(gateway.url, trust(gateway)), "tls", says, "compare clocks")


@pytest.mark.parametrize(("ahead", "level"), [(0, "ok"), (60, "warn"), (-86_400, "fail"), (86_400, "fail")])
def test_the_clock_against_the_servers(gateway: Gateway, ahead: int, level: str) -> None:
    gateway.clock = time.time() - ahead
    found = next(each for each in check(gateway.url, trust(gateway)) if each.check == "clock")
    assert found.level == level
    if level != "ok":
        assert ("ahead of" if ahead > 0 else "behind") in found.says
        assert "set-ntp" in found.remedy


def test_a_server_that_is_none_of_ours(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Gateway, "_http", lambda self, tls, head: tls.sendall(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n")
    )
    found = check(gateway.url, Trust(gateway.authority.digest))
    last(found, "server", "has no /ca.pem (HTTP 404)", "is it an opsctl server")


# A proxy in between


def test_through_a_proxy(gateway: Gateway) -> None:
    with Proxy() as proxy:
        found = check(gateway.url, trust(gateway), https_proxy=f"http://127.0.0.1:{proxy.port}")
    assert levels(found) == dict.fromkeys(("dns", "route", "proxy", "server", "tls"), "ok")


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "it wants a login"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "except the server from it: no_proxy=127.0.0.1"),
    ],
)
def test_a_proxy_that_refuses(gateway: Gateway, answer: bytes, remedy: str) -> None:
    with Proxy(answer) as proxy:
        found = check(gateway.url, trust(gateway), https_proxy=f"http://me:hunter2@127.0.0.1:{proxy.port}")
    last(found, "proxy", "refused", remedy)
    assert "hunter2" not in repr(found)


def test_a_proxy_that_is_down(gateway: Gateway) -> None:
    with Proxy() as proxy:
        port = proxy.port
    found = check(gateway.url, trust(gateway), https_proxy=f"http://127.0.0.1:{port}")
    last(found, "proxy", f"through the proxy 127.0.0.1:{port}: Connection refused", "is the proxy running")


@pytest.mark.parametrize("url", ["ftp://me:hunter2@proxy", "http://me:hunter2@proxy:no-number"])
def test_a_proxy_that_is_no_url(gateway: Gateway, url: str) -> None:
    found = check(gateway.url, trust(gateway), https_proxy=url)
    last(found, "proxy", "is not http://HOST:PORT", "unset it")
    assert "hunter2" not in repr(found)
    with pytest.raises((dial.BadAddress, dial.Unreachable)) as raised:
        dial.connect(dial.address(gateway.url), dial.unverified(), environ={"https_proxy": url})
    assert "hunter2" not in str(raised.value)


def test_a_running_agent_that_goes_another_way() -> None:
    here = dict(os.environ)
    assert network.environment(os.getpid(), here) == []
    (found,) = network.environment(os.getpid(), {**here, "https_proxy": "http://proxy:3128"})
    assert (found.level, found.check) == ("warn", "proxy")
    assert "https_proxy of the running agent" in found.says
    assert "systemctl edit" in found.remedy
    assert network.environment(None) == []
