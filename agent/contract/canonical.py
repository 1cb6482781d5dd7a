"""Canonical JSON, digests and instants: the bytes that are hashed and signed.

No floats, integers within +-2^53, no lone surrogates: so that any language makes the same bytes.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from typing import Any

DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_INSTANT = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z\Z")
_LARGEST = 2**53
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class NotCanonical(ValueError):
    """The value has no canonical form; the message says where and why."""


def canonical(value: Any) -> bytes:
    """The one serialisation of `value`; `NotCanonical` for floats, large integers, lone surrogates, odd types."""
    _check(value, "$")
    try:
        return _encode(value).encode()
    except UnicodeEncodeError as error:
        raise NotCanonical("a text holds a lone surrogate") from error


def digest(data: bytes) -> str:
    """`sha256:` and 64 lower hex digits of raw bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """The digest of a value's canonical JSON."""
    return digest(canonical(value))


def instant(milliseconds: int) -> str:
    """Unix milliseconds as `YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    moment = _EPOCH + datetime.timedelta(milliseconds=milliseconds)
    day = (moment.year, moment.month, moment.day)
    return "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ" % (
        *day,
        moment.hour,
        moment.minute,
        moment.second,
        moment.microsecond // 1000,
    )


def milliseconds(text: str) -> int:
    """The inverse of `instant`. Raises ValueError for any other form."""
    found = _INSTANT.match(text)
    if not found:
        raise ValueError("not an instant: %r (expected YYYY-MM-DDTHH:MM:SS.mmmZ)" % text)
    year, month, day, hour, minute, second, fraction = (int(part) for part in found.groups())
    since = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.timezone.utc) - _EPOCH
    return (since.days * 86400 + since.seconds) * 1000 + fraction


def _check(value: Any, where: str) -> None:
    if value is None or value is True or value is False or isinstance(value, str):
        return
    if isinstance(value, int):
        if not -_LARGEST <= value <= _LARGEST:
            raise NotCanonical("%s: integer %d is beyond 2^53" % (where, value))
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotCanonical("%s: key %r is not text" % (where, key))
            _check(item, "%s.%s" % (where, key))
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(value):
            _check(item, "%s[%d]" % (where, position))
    else:
        raise NotCanonical("%s: %s has no canonical form" % (where, type(value).__name__))
