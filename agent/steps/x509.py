"""When a certificate is valid and for which names, read from its DER. Pure, and no more of X.509 than that."""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import re
from typing import Iterator, List, Tuple

from agent.contract.record import NamedTuple

_PEM = re.compile(rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----(.*?)-----END (?:TRUSTED )?CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _OCTETS, _UTC_TIME, _GENERALIZED_TIME, _VERSION, _EXTENSIONS = 0x30, 0x04, 0x17, 0x18, 0xA0, 0xA3
_SUBJECT_ALT_NAME = b"\x55\x1d\x11"
_DNS, _ADDRESS = 0x82, 0x87
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

Item = Tuple[int, bytes]
"""A tag and what it holds."""


class NotACertificate(ValueError):
    """The bytes are no X.509 certificate."""


class Certificate(NamedTuple):
    """Valid from and until, as Unix milliseconds; the DNS names and addresses that it is for, sorted."""

    begins: int
    ends: int
    names: Tuple[str, ...]


def from_pem(data: bytes) -> List[Certificate]:
    """All certificates of a file, in order. Raises `NotACertificate`, also where there is none."""
    found = []
    for block in _PEM.findall(data):
        try:
            der = base64.b64decode(b"".join(block.split()), validate=True)
        except binascii.Error:
            raise NotACertificate("a certificate in it is not base64") from None
        found.append(from_der(der))
    if not found:
        raise NotACertificate("it holds no PEM certificate")
    return found


def from_der(der: bytes) -> Certificate:
    """Raises `NotACertificate`."""
    try:
        certificate = _only(der, _SEQUENCE)
        fields = list(_items(next(_items(certificate))[1]))
        if fields and fields[0][0] == _VERSION:
            del fields[0]
        begins, ends = (_time(item) for item in _items(fields[3][1]))
        extensions = [content for tag, content in fields[6:] if tag == _EXTENSIONS]
        names = _names(_only(extensions[0], _SEQUENCE)) if extensions else []
    except (IndexError, ValueError, StopIteration):
        raise NotACertificate("a certificate in it cannot be read") from None
    return Certificate(begins, ends, tuple(sorted(names)))


def _names(extensions: bytes) -> List[str]:
    for _, extension in _items(extensions):
        parts = list(_items(extension))
        if parts[0][1] == _SUBJECT_ALT_NAME:
            names = _items(_only(parts[-1][1], _SEQUENCE))
            return [_name(tag, value) for tag, value in names if tag in (_DNS, _ADDRESS)]
    return []


def _name(tag: int, value: bytes) -> str:
    return str(ipaddress.ip_address(value)) if tag == _ADDRESS else value.decode("ascii")


def _time(item: Item) -> int:
    tag, value = item
    text = value.decode("ascii")
    if tag == _UTC_TIME:
        text = ("20" if int(text[:2]) < 50 else "19") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("not a time")
    moment = datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    return int((moment - _EPOCH).total_seconds()) * 1000


def _only(data: bytes, tag: int) -> bytes:
    found, content = next(_items(data))
    if found != tag:
        raise ValueError("another tag")
    return content


def _items(data: bytes) -> Iterator[Item]:
    """What stands side by side in DER. Raises ValueError or IndexError where it is cut short."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if at + length > len(data):
            raise ValueError("cut short")
        yield tag, data[at : at + length]
        at += length
