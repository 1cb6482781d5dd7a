"""Objects of S3: where a URL points, what is below a prefix, and requests signed as AWS has it (Signature Version 4).

Credentials are those that root's AWS programs have on the node, in ~/.aws/credentials; without any, a request is not
signed, which does for what anybody may read.
"""

from __future__ import annotations

import configparser
import hashlib
import hmac
import re
from html import unescape
from typing import Callable, Dict, Iterator, Optional
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from agent.contract.canonical import instant
from agent.contract.record import NamedTuple
from agent.host.port import Host
from agent.steps.downloads import fetched
from agent.steps.step import StepFailed

CREDENTIALS = "/root/.aws/credentials"
OBJECTS_AT_MOST = 10000
_EMPTY = hashlib.sha256(b"").hexdigest()
_HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3(?:[.-](?:dualstack\.)?(?P<region>[a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?\Z")
_DEFAULT_REGION = "us-east-1"
_PAGE = 4 << 20
_KEY = re.compile("<Key>([^<]*)</Key>")
_NEXT = re.compile("<NextContinuationToken>([^<]*)</NextContinuationToken>")
"""What is asked of a list: no parser of XML is needed, and none is there to be bombed."""


class Object(NamedTuple):
    """Where an object, or all below a prefix, is: `base` is the bucket's URL without a `/` at its end."""

    base: str
    key: str
    region: str


class Credentials(NamedTuple):
    """Who asks."""

    key_id: str
    secret: str
    token: str = ""


def located(url: str) -> Object:
    """What a URL of either style points to: the bucket in the host, or first in the path."""
    parts = urlsplit(url.replace("+", "%20"))
    known = _HOST.match(parts.hostname or "")
    region = (known and known["region"]) or _DEFAULT_REGION
    path = unquote(parts.path.lstrip("/"))
    base = "%s://%s" % (parts.scheme, parts.netloc)
    if known and known["bucket"]:
        return Object(base, path, region)
    bucket, _, key = path.partition("/")
    return Object("%s/%s" % (base, quote(bucket)), key, region)


def keys_below(host: Host, where: Object, stopped: Callable[[], str]) -> Iterator[str]:
    """Keys of the objects below a prefix. Raises `StepFailed`."""
    token, found = "", 0
    while True:
        more = "&continuation-token=" + quote(token, safe="") if token else ""
        url = "%s?list-type=2&prefix=%s%s" % (where.base + "/", quote(where.key, safe=""), more)
        page = b"".join(asked(host, url, where, stopped)).decode("utf-8", "replace")
        if "<ListBucketResult" not in page or len(page) > _PAGE:
            raise StepFailed("%s gives no list of its objects" % where.base)
        for key in map(unescape, _KEY.findall(page)):
            found += 1
            if found > OBJECTS_AT_MOST:
                raise StepFailed("there are more than %d objects below %s" % (OBJECTS_AT_MOST, where.key))
            if not key.endswith("/"):
                yield key
        token = next(map(unescape, _NEXT.findall(page)), "")
        if not token:
            return


def url_of(where: Object, key: str) -> str:
    """An object's URL."""
    return "%s/%s" % (where.base, quote(key))


def asked(host: Host, url: str, where: Object, stopped: Callable[[], str]) -> Iterator[bytes]:
    """What S3 answers, in pieces; signed where the node has credentials. Raises `StepFailed`."""
    credentials = _credentials(host)
    headers = signed(url, where.region, credentials, instant(host.now())) if credentials else {}
    try:
        yield from fetched(host, url, stopped, None, headers)
    except StepFailed as error:
        if " 403 " in error.reason:
            whose = "those in %s" % CREDENTIALS if credentials else "and %s has none" % CREDENTIALS
            raise StepFailed("%s: it needs credentials of AWS's, %s" % (error.reason, whose)) from error
        raise


def signed(url: str, region: str, credentials: Credentials, at: str) -> Dict[str, str]:
    """The headers of a GET of this URL at an instant."""
    parts = urlsplit(url)
    stamp = at[:19].replace("-", "").replace(":", "") + "Z"
    headers = {"host": parts.netloc, "x-amz-content-sha256": _EMPTY, "x-amz-date": stamp}
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(headers))
    pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in parse_qsl(parts.query))
    query = "&".join("%s=%s" % pair for pair in pairs)
    told = ["%s:%s" % (name, headers[name]) for name in sorted(headers)]
    lines = ["GET", parts.path or "/", query, *told, "", names, _EMPTY]
    scope = "%s/%s/s3/aws4_request" % (stamp[:8], region)
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()])
    key = ("AWS4" + credentials.secret).encode()
    for word in (stamp[:8], region, "s3", "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    del headers["host"]
    headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
        credentials.key_id,
        scope,
        names,
        signature,
    )
    return headers


def _credentials(host: Host) -> Optional[Credentials]:
    """Those of the default profile; None where there are none."""
    try:
        text = host.read(CREDENTIALS).decode()
    except (OSError, UnicodeDecodeError):
        return None
    read = configparser.ConfigParser(interpolation=None)
    try:
        read.read_string(text)
        found = read["default"]
        return Credentials(
            found["aws_access_key_id"], found["aws_secret_access_key"], found.get("aws_session_token", "")
        )
    except (configparser.Error, KeyError):
        return None
