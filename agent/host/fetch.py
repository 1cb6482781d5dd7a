"""Bytes from the web: http and https only, TLS verified, through the environment's proxies. Imported when needed."""

from __future__ import annotations

import errno
import http.client
import os
import ssl
import time
import urllib.request
from typing import IO, Any, Iterator, Mapping, Optional
from urllib.error import HTTPError, URLError

from agent.host.port import Login

_SILENCE = 60.0
"""Seconds that a server may say nothing for."""
_PIECE = 256 * 1024


def pieces(
    url: str, limit: int, timeout: float, login: Optional[Login] = None, headers: Optional[Mapping[str, str]] = None
) -> Iterator[bytes]:
    """The body at a URL. Raises OSError; one that names the URL names it without its query, which may be a secret."""
    named = url.split("?", 1)[0]
    try:
        with _opener(named, login).open(_request(url, headers or {}), timeout=_SILENCE) as response:
            yield from _bounded(response, named, limit, time.monotonic() + timeout)
    except HTTPError as error:
        if error.fp is not None:  # there is none where an old Python gave up by itself
            error.close()
        raise OSError(errno.EIO, "the server answers %d %s" % (error.code, error.reason), named) from None
    except (URLError, http.client.HTTPException, ssl.SSLError, ValueError) as error:
        raise OSError(errno.EIO, _why(error), named) from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows them, but never from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Optional[urllib.request.Request]:
        if req.type == "https" and not newurl.startswith("https:"):
            raise URLError("it leads from https to %s" % newurl.split(":", 1)[0])
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(url: str, login: Optional[Login]) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    opener.addheaders = [("User-Agent", "opsctl-agent")]
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    if login is not None:
        known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        known.add_password(None, url, login.username, login.password)  # of any realm
        opener.add_handler(_LOGINS[login.method](known))
    return opener


_LOGINS = {"Basic": urllib.request.HTTPBasicAuthHandler, "Digest": urllib.request.HTTPDigestAuthHandler}


def _request(url: str, headers: Mapping[str, str]) -> urllib.request.Request:
    request = urllib.request.Request(_of_the_web(url))
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    return request


def _of_the_web(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise URLError("it is no http or https URL")
    return url


def _bounded(response: Any, named: str, limit: int, deadline: float) -> Iterator[bytes]:
    announced = response.headers.get("Content-Length", "")
    left, got = (int(announced) if announced.isdigit() else None), 0
    while True:
        piece = response.read(_PIECE)
        if not piece:
            break
        got += len(piece)
        if got > limit:
            raise OSError(errno.EFBIG, "it has more than %d bytes" % limit, named)
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), named)
        yield piece
    if left is not None and got < left:
        raise OSError(errno.EIO, "it was cut off after %d of %d bytes" % (got, left), named)


def _why(error: Exception) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "its certificate is not trusted: %s" % cause.verify_message
    if isinstance(cause, OSError):
        return cause.strerror or str(cause) or type(cause).__name__
    return str(cause) or type(cause).__name__
