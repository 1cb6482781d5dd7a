"""A TLS connection to a server of the fleet, directly or through an HTTP proxy named in the environment."""

from __future__ import annotations

import base64
import os
import re
import socket
import ssl
import time
from typing import Any, Mapping, Optional

from agent.contract.record import dataclass

CONNECT_TIMEOUT = 15.0
_PROXY_HEAD = 16 * 1024
_PLAIN = re.compile(r"https://([a-z0-9.-]+):([1-9][0-9]{0,4})\Z")
"""Most servers' URLs, for which there is no need of `urllib`: it takes half a megabyte."""
_NOT_YET_VALID, _EXPIRED, _OTHER_HOST, _OTHER_ADDRESS = 9, 10, 62, 64


class Unreachable(Exception):
    """No connection that may be trusted; the message says what stood in the way and, where known, what to do."""


class BadAddress(ValueError):
    """Not the address of a server."""


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        """The form of a Host header and of a proxy's CONNECT."""
        return "%s:%d" % ("[%s]" % self.host if ":" in self.host else self.host, self.port)


def address(url: str) -> Address:
    """The address in `https://HOST[:PORT]` (or `wss://`, or without a scheme). Raises BadAddress."""
    plain = _PLAIN.match(url)
    if plain and int(plain.group(2)) < 1 << 16:
        return Address(plain.group(1), int(plain.group(2)))
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url if "//" in url else "//" + url, scheme="https")
        port = parts.port
    except ValueError as error:
        raise BadAddress("%r is not the URL of a server: %s" % (url, error)) from error
    if parts.scheme not in ("https", "wss") or not parts.hostname or parts.path not in ("", "/") or parts.username:
        raise BadAddress("%r is not the URL of a server; expected https://HOST:PORT" % url)
    return Address(parts.hostname, port or 443)


def trusting(ca_pem: str) -> ssl.SSLContext:
    """TLS that trusts this CA and no other, and checks the name or address that was dialled."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=ca_pem)
    return context


def unverified() -> ssl.SSLContext:
    """TLS with whoever answers: only for what is compared with a digest known beforehand."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def connect(
    where: Address,
    context: ssl.SSLContext,
    *,
    timeout: float = CONNECT_TIMEOUT,
    environ: Optional[Mapping[str, str]] = None,
) -> ssl.SSLSocket:
    """A TLS socket that blocks for `timeout` seconds at most per operation. Raises Unreachable."""
    plain = reach(where, timeout=timeout, environ=environ)
    try:
        return context.wrap_socket(plain, server_hostname=_encoded(where.host))
    except (OSError, ValueError) as error:
        plain.close()
        raise Unreachable("%s%s: %s" % (where, _via(where, environ), why(error))) from error


def reach(
    where: Address, *, timeout: float = CONNECT_TIMEOUT, environ: Optional[Mapping[str, str]] = None
) -> socket.socket:
    """A socket to the server, directly or through the proxy, nothing said on it yet. Raises Unreachable."""
    proxy = proxy_for(where, os.environ if environ is None else environ)
    plain = None
    try:
        first = address_of_proxy(proxy) if proxy else where
        plain = socket.create_connection((_encoded(first.host), first.port), timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if proxy:
            _tunnel(plain, proxy, where)
        return plain
    except (OSError, ValueError, Unreachable) as error:
        if plain is not None:
            plain.close()
        if isinstance(error, Unreachable):
            raise
        raise Unreachable("%s%s: %s" % (where, _via(where, environ), why(error))) from error


def _via(where: Address, environ: Optional[Mapping[str, str]]) -> str:
    """Which proxy stands in between; the proxy's own URL may be what is wrong."""
    proxy = proxy_for(where, os.environ if environ is None else environ)
    if not proxy:
        return ""
    try:
        return " through the proxy %s" % address_of_proxy(proxy)
    except ValueError:
        return " through a proxy"


def _encoded(host: str) -> Any:
    """As bytes where that is all the same: of text, Python makes a domain name with tables of all of Unicode."""
    return host.encode() if host.isascii() else host


def proxy_for(where: Address, environ: Mapping[str, str]) -> str:
    """The proxy's URL from `https_proxy`, or an empty text where there is none or `no_proxy` excepts the host."""
    proxy = environ.get("https_proxy") or environ.get("HTTPS_PROXY") or ""
    for exception in (environ.get("no_proxy") or environ.get("NO_PROXY") or "").split(","):
        name = exception.strip().lstrip(".").lower()
        if name == "*" or (name and (where.host.lower() == name or where.host.lower().endswith("." + name))):
            return ""
    return proxy


def address_of_proxy(url: str) -> Address:
    """Raises BadAddress; the message never holds the proxy's password."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url if "//" in url else "//" + url, scheme="http")
        port = parts.port
    except ValueError:
        raise BadAddress("https_proxy is not http://HOST:PORT") from None
    if parts.scheme != "http" or not parts.hostname:
        raise BadAddress("https_proxy is not http://HOST:PORT")
    return Address(parts.hostname, port or 3128)


def _tunnel(plain: socket.socket, proxy: str, where: Address) -> None:
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(proxy if "//" in proxy else "//" + proxy, scheme="http")
    lines = ["CONNECT %s HTTP/1.1" % where, "Host: %s" % where]
    if parts.username is not None:
        login = "%s:%s" % (unquote(parts.username), unquote(parts.password or ""))
        lines.append("Proxy-Authorization: Basic " + base64.b64encode(login.encode()).decode())
    plain.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = plain.recv(1)  # not one byte beyond the head: what follows belongs to TLS
        if not byte or len(head) > _PROXY_HEAD:
            raise Unreachable("the proxy %s did not answer CONNECT" % address_of_proxy(proxy))
        head += byte
    status = head.split(b"\r\n", 1)[0].decode("latin-1")
    if status.split(" ")[1:2] != ["200"]:
        raise Unreachable("the proxy %s refused %s: %.100s" % (address_of_proxy(proxy), where, status))


def why(error: Exception) -> str:
    """What stood in the way, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _why_not_trusted(error)
    if isinstance(error, socket.timeout):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return "TLS failed: %s" % (error.reason or error)
    return (error.strerror if isinstance(error, OSError) else "") or str(error)


def _why_not_trusted(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in (_NOT_YET_VALID, _EXPIRED):
        now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        which = "is not valid yet" if error.verify_code == _NOT_YET_VALID else "has expired"
        return "its certificate %s by this node's clock, which says %s; is the clock right?" % (which, now)
    if error.verify_code in (_OTHER_HOST, _OTHER_ADDRESS):
        return "its certificate is for another name or address (%s)" % error.verify_message
    return "its certificate is not signed by this fleet's CA: another server, or someone in between (%s)" % (
        error.verify_message
    )
