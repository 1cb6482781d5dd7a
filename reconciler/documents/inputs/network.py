"""How a machine is reached, and known."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from reconciler.documents.inputs.flaw import Flaw
from reconciler.documents.inputs.origin import content
from reconciler.documents.inputs.words import at_least, path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.contract.inputs import network
    from reconciler.documents.inputs.flaw import Checks


_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\Z", re.IGNORECASE)
_ENDPOINT = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+):\d{1,5}\Z", re.IGNORECASE)
_NAMED = re.compile(r"([*][.])?[\w.:-]+\Z")


def _hosts(typed: network.HostsInputs) -> Iterator[Flaw]:
    try:
        ipaddress.ip_address(typed.address)
    except ValueError:
        yield Flaw("address", f"is `{typed.address}`", "an IPv4 or IPv6 address")
    for name in typed.aliases:
        if not _HOST.match(name):
            yield Flaw("aliases", f"has `{name}`, which is no host name")


def _hostname(typed: network.HostnameInputs) -> Iterator[Flaw]:
    if len(typed.name) > 64:
        yield Flaw("name", f"has {len(typed.name)} characters", "at most 64")


def _certificate(typed: network.CertificateInputs) -> Iterator[Flaw]:
    if (typed.path is None) == (typed.endpoint is None):
        what = "give both `path` and `endpoint`" if typed.path else "say not which certificate"
        yield Flaw("", what, "one of `path` and `endpoint`")
    if typed.endpoint is not None and not _ENDPOINT.match(typed.endpoint):
        yield Flaw("endpoint", f"is `{typed.endpoint}`", "host:port")
    if typed.self_signed and (typed.path is None or typed.key_path is None):
        yield Flaw("selfSigned", "is given without both `path` and `keyPath`")
    if typed.self_signed and typed.renew:
        yield Flaw("renew", "is given for a certificate that opsctl makes itself")
    if typed.self_signed and typed.valid_days <= typed.days:
        yield Flaw("validDays", f"is `{typed.valid_days}`", f"more than `days`, {typed.days}")
    for name in typed.self_signed:
        if not _NAMED.match(name):
            yield Flaw("selfSigned", f"has `{name}`, which is no host name or address")
    yield from path("keyPath", typed.key_path)
    yield from at_least("days", typed.days, 1)
    yield from at_least("timeoutSeconds", typed.timeout_seconds, 1)


CHECKS: Checks = {
    "ops:hosts": _hosts,
    "ops:hostname": _hostname,
    "ops:certificate": _certificate,
    "ops:firewall": content,
}
