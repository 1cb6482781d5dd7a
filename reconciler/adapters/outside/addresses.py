"""Which addresses may be called: those of the public internet, unless somebody said otherwise.

A name is looked up once, and what was judged is what is connected to: a second look might give another address.
"""

from __future__ import annotations

import ipaddress

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LINK = ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10"), ipaddress.ip_network("fd00:ec2::/32")
"""Where clouds tell a machine its credentials: nobody calls that on behalf of a runbook."""


class Forbidden(Exception):
    """An address that is not called; the text is a sentence."""


def permitted(addresses: list[str], *, private: bool) -> str:
    """The first of a name's addresses, once all of them may be called. Raises `Forbidden`.

    `private`: also the machine's own, and those of networks that are not the internet's.
    """
    for text in addresses:
        address = _meant(text)
        if any(address in network for network in _LINK if network.version == address.version):
            raise Forbidden(f"{text} is a link-local or metadata address, which is never called")
        if address.is_multicast or address.is_unspecified:
            raise Forbidden(f"{text} is no address of a server")
        if not private and not address.is_global:
            raise Forbidden(f"{text} is not an address of the public internet; `allowPrivate: true` allows it")
    return addresses[0]


def _meant(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address that packets go to: IPv4 may be written within IPv6."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped or address.sixtofour:
            return address.ipv4_mapped or address.sixtofour or address
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
