"""A certificate that signs itself, and its key, made by openssl.

Both come on its standard output and are written as files are written here: a key is never in a command line, and never
in a file that others could have put there.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Sequence, Tuple

from agent.host.port import Host
from agent.steps import text
from agent.steps.step import StepFailed

_KEY_MODE, _CERTIFICATE_MODE = 0o600, 0o644
_PARTS = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----\n?", re.DOTALL)
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256")
_TIME = 60.0


def spelt(names: Sequence[str]) -> Tuple[str, ...]:
    """The names as a certificate has them, sorted: addresses in their shortest form."""
    return tuple(sorted(str(ipaddress.ip_address(name)) if _is_address(name) else name for name in names))


def make(host: Host, names: Sequence[str], days: int, path: str, key_path: str) -> None:
    """Writes both; the key's file first, readable by its owner alone where it is new. Raises `StepFailed`."""
    alternatives = ",".join(("IP:" if _is_address(name) else "DNS:") + name for name in names)
    subject = "/CN=" + names[0].replace("/", "\\/")
    argv = ["openssl", "req", "-x509", *_CURVE, "-days", str(days), "-subj", subject]
    try:
        ran = host.run([*argv, "-addext", "subjectAltName=" + alternatives, "-keyout", "-"], timeout=_TIME)
    except FileNotFoundError:
        raise StepFailed("this node has no openssl, which makes certificates") from None
    parts = {found.group(1): found.group() for found in _PARTS.finditer(ran.stdout)}
    if ran.rc or not {b"PRIVATE KEY", b"CERTIFICATE"} <= set(parts):
        raise StepFailed("openssl req: exit %d: %s" % (ran.rc, ran.stderr.decode("utf-8", "replace")[-300:]), rc=ran.rc)
    for place, part, mode in (
        (key_path, b"PRIVATE KEY", _KEY_MODE),
        (path, b"CERTIFICATE", _CERTIFICATE_MODE),
    ):
        there = host.snapshot(place, keep=len(ran.stdout))
        text.editable(place, there)
        text.write(host, place, parts[part], there, mode)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
