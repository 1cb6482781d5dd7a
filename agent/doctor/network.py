"""Checks of the way to a server, in the order in which a connection takes it: each is of use only where the last held.

Nothing is sent that could be a secret: the server is asked for its CA, which it gives to anybody.
"""

from __future__ import annotations

import contextlib
import email.utils
import errno
import hashlib
import http.client
import ipaddress
import os
import socket
import ssl
import time
from typing import Any, Callable, Iterator, List, Mapping, Optional, Tuple

from agent.contract.record import NamedTuple
from agent.doctor.finding import Finding, fail, ok, warn
from agent.doctor.state import validity
from agent.enrolment import ANSWER_LIMIT, EnrolmentFailed, pinned_ca
from agent.link import dial
from agent.link.dial import Address

CLOCK_WARN, CLOCK_FAIL = 5.0, 300.0
"""Seconds that this node's clock may differ from the server's."""
_PROXY_NAMES = ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY")


class Trust(NamedTuple):
    """The CA that a server has to be signed by: its digest, and its PEM where the node holds it."""

    digest: str
    pem: Optional[str] = None


class _Presented(NamedTuple):
    """What a server says to anybody: HTTP status, body of /ca.pem, its clock (Unix seconds) where it tells."""

    status: int
    body: str
    date: Optional[float]


def server(url: str, trust: Trust, timeout: float, environ: Optional[Mapping[str, str]] = None) -> Iterator[Finding]:
    """One server, as far as one gets."""
    given = os.environ if environ is None else environ
    try:
        where = dial.address(url)
    except dial.BadAddress as error:
        yield fail("address", str(error), "give it as https://HOST:PORT")
        return
    proxy = dial.proxy_for(where, given)
    try:
        first = dial.address_of_proxy(proxy) if proxy else where
    except dial.BadAddress as error:
        yield fail("proxy", str(error), "write https_proxy=http://HOST:PORT, or unset it where none is needed")
        return
    steps: List[Callable[[], Finding]] = [
        lambda: _dns(first),
        lambda: _route(first),
        lambda: _tcp(where, first, bool(proxy), timeout, given),
    ]
    for step in steps:
        found = step()
        yield found
        if found.level == "fail":
            return
    yield from _secured(where, trust, timeout, given)


def environment(running: Optional[int], environ: Optional[Mapping[str, str]] = None) -> List[Finding]:
    """Whether the agent that runs goes the way that is checked here: a service does not have a shell's variables."""
    if running is None:
        return []
    try:
        with open("/proc/%d/environ" % running, "rb") as file:
            rows = [row.partition("=") for row in file.read().decode("utf-8", "replace").split("\0")]
    except OSError:
        return []
    theirs, ours = {name: value for name, _, value in rows}, os.environ if environ is None else environ
    differ = sorted({name.lower() for name in _PROXY_NAMES if theirs.get(name, "") != ours.get(name, "")})
    if not differ:
        return []
    says = "%s of the running agent (process %d) is another than here" % (" and ".join(differ), running)
    remedy = "`systemctl edit opsctl-agent`: [Service] Environment=https_proxy=http://HOST:PORT, then restart it"
    return [warn("proxy", says, remedy)]


def _dns(first: Address) -> Finding:
    with contextlib.suppress(ValueError):
        return ok("dns", "%s is an address already" % ipaddress.ip_address(first.host))
    try:
        found = socket.getaddrinfo(first.host, first.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        servers = ", ".join(_nameservers()) or "none at all"
        remedy = "is the name right? `getent hosts %s`; /etc/resolv.conf asks %s" % (first.host, servers)
        return fail("dns", "%s has no address: %s" % (first.host, getattr(error, "strerror", None) or error), remedy)
    addresses = list(dict.fromkeys(str(row[4][0]) for row in found))
    return ok("dns", "%s is %s" % (first.host, ", ".join(addresses[:4])))


def _nameservers() -> List[str]:
    try:
        with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file:
            rows = [line.split() for line in file]
    except OSError:
        return []
    return [row[1] for row in rows if len(row) > 1 and row[0] == "nameserver"]


def _route(first: Address) -> Finding:
    """Whether the kernel knows a way; nothing is sent."""
    problem = None
    for family, _, _, _, at in socket.getaddrinfo(first.host, first.port, type=socket.SOCK_DGRAM):
        found = _way(family, at)
        if found.level == "ok":
            return found
        problem = problem or found
    return problem or fail("route", "%s has no address" % first.host, "see dns")


def _way(family: int, at: Tuple[Any, ...]) -> Finding:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(at)
            return ok("route", "to %s from %s" % (at[0], probe.getsockname()[0]))
    except OSError as error:
        remedy = "`ip route get %s`, `ip -brief address`: is an interface down, or a default route missing?" % at[0]
        return fail("route", "no way to %s: %s" % (at[0], error.strerror), remedy)


def _tcp(where: Address, first: Address, through_proxy: bool, timeout: float, environ: Mapping[str, str]) -> Finding:
    check = "proxy" if through_proxy else "tcp"
    try:
        dial.reach(where, timeout=timeout, environ=environ).close()
    except dial.Unreachable as error:
        return fail(check, str(error), _tcp_remedy(error, where, first, through_proxy))
    if through_proxy:
        return ok(check, "%s lets this node through to %s" % (first, where))
    return ok(check, "%s answers" % where)


def _tcp_remedy(error: dial.Unreachable, where: Address, first: Address, through_proxy: bool) -> str:
    cause = error.__cause__
    whose = "the proxy" if through_proxy else "the server"
    if isinstance(cause, socket.timeout):
        return "a firewall drops it, or %s is down: let this node's outbound TCP to %s through" % (whose, first)
    if isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED:
        return "nothing listens at %s, or a firewall says so: is %s running, and is the port right?" % (first, whose)
    if isinstance(cause, OSError):
        return "look at the way there: `ip route get`, firewalls, the cable"
    if " 407" in str(error):
        return "it wants a login: https_proxy=http://USER:PASSWORD@HOST:PORT in a file that only root reads"
    return "let it CONNECT to %s, or except the server from it: no_proxy=%s" % (where, where.host)


def _secured(where: Address, trust: Trust, timeout: float, environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        shown = _presented(where, timeout, environ)
    except dial.Unreachable as error:
        yield fail("tls", str(error), _tls_remedy(error, where))
        return
    yield from _compared(shown.date)
    pem = trust.pem
    try:
        if shown.status == 200:
            pem = pinned_ca(shown.body, trust.digest)
            yield ok("server", "%s shows the CA that this node trusts" % where)
        else:
            remedy = "is it an opsctl server, and the right port? Something before it may answer in its place"
            yield fail("server", "%s has no /ca.pem (HTTP %d)" % (where, shown.status), remedy)
    except EnrolmentFailed:
        found = "another server listens there, or something in between opens TLS (a proxy that inspects it)"
        remedy = found + ": compare `openssl x509 -noout -fingerprint -sha256` of both, and except the server from it"
        yield fail("server", "%s shows another CA than the one that this node trusts" % where, remedy)
    if pem is None:
        return
    if trust.pem is None:
        yield validity("ca", pem)
    yield _tls(where, pem, timeout, environ)


def _presented(where: Address, timeout: float, environ: Mapping[str, str]) -> _Presented:
    """Raises Unreachable."""
    connection = http.client.HTTPSConnection(where.host, where.port)
    connection.sock = dial.connect(where, dial.unverified(), timeout=timeout, environ=environ)
    try:
        connection.request("GET", "/ca.pem", headers={"Connection": "close", "User-Agent": "opsctl-agent"})
        answer = connection.getresponse()
        told = email.utils.parsedate_to_datetime(answer.headers["Date"]) if answer.headers["Date"] else None
        return _Presented(
            answer.status, answer.read(ANSWER_LIMIT).decode("latin-1"), told.timestamp() if told is not None else None
        )
    except (OSError, http.client.HTTPException, ValueError, TypeError) as error:
        raise dial.Unreachable("%s answers TLS but not HTTP: %s" % (where, dial.why(error))) from error
    finally:
        connection.close()


def _tls(where: Address, pem: str, timeout: float, environ: Mapping[str, str]) -> Finding:
    try:
        with dial.connect(where, dial.trusting(pem), timeout=timeout, environ=environ) as tls:
            der = tls.getpeercert(True) or b""
            said = "%s, a certificate of the pinned CA (sha256:%s...)" % (
                tls.version(),
                hashlib.sha256(der).hexdigest()[:16],
            )
            return ok("tls", said)
    except dial.Unreachable as error:
        return fail("tls", str(error), _tls_remedy(error, where))


def _tls_remedy(error: dial.Unreachable, where: Address) -> str:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        if cause.verify_code in (9, 10):
            return "compare clocks (`timedatectl`); if this one is right, restart the server: it renews what it shows"
        if cause.verify_code in (62, 64):
            return "use a name or address that the server's certificate has, or `serve --name %s` there" % where.host
        return "if the server is the right one, enroll again with a new token: the fleet has another CA"
    if isinstance(cause, ssl.SSLError) and "VERSION" in (cause.reason or ""):
        return "that port does not speak TLS: is it the agents' port of the server?"
    if isinstance(cause, socket.timeout):
        return "something takes the connection and does not answer: is it the agents' port, is the server overloaded?"
    return "something ends TLS on the way: a firewall that inspects, a load balancer that has no server behind it"


def _compared(date: Optional[float]) -> Iterator[Finding]:
    """This node's clock against the server's, which anybody could have said: a hint."""
    if date is None:
        return
    ahead = time.time() - date
    said = "%.0f s %s the server's" % (abs(ahead), "ahead of" if ahead > 0 else "behind")
    remedy = "set it, and keep it set: `timedatectl set-ntp true`, or chrony; schedules and windows go by it"
    if abs(ahead) > CLOCK_FAIL:
        yield fail("clock", said, remedy)
    elif abs(ahead) > CLOCK_WARN:
        yield warn("clock", said, remedy)
    else:
        yield ok("clock", "as the server's")
