"""How a node is known and reached: its names, its firewall, its certificates."""

from __future__ import annotations

from typing import List, Optional

from agent.contract.codec import Wire, described
from agent.contract.inputs import fields
from agent.contract.record import dataclass


@dataclass(frozen=True)
class HostsInputs(Wire):
    """One name in /etc/hosts with its address."""

    name: str = described("The name that the line is about, its first.", pattern=fields.HOST)
    address: str = described("IPv4 or IPv6 address; a name may have one of each.")
    aliases: List[str] = described("Other names of the address, after the first.", [])
    state: str = fields.state()


@dataclass(frozen=True)
class HostnameInputs(Wire):
    """The node's own name, now and at boot."""

    name: str = described("The name, of at most 64 characters.", pattern=fields.HOST)


@dataclass(frozen=True)
class FirewallInputs(Wire):
    """A table of nftables, now and at boot; other tables are left alone."""

    name: str = described("Name of the table.", pattern="^[A-Za-z][A-Za-z0-9_-]*$")
    family: str = described("Its family.", "inet", pattern="^(inet|ip|ip6|arp|bridge|netdev)$")
    content: Optional[str] = described("What stands between its braces: chains, sets, rules.", None)
    source: Optional[str] = described("A file of the config repository that holds that.", None)
    template: bool = described("Render it with Jinja2 over `labels`, `vars` and `facts`.", False)
    state: str = fields.state()


@dataclass(frozen=True)
class CertificateInputs(Wire):
    """A certificate that stays valid for so many days, in a file or at a TLS server."""

    path: Optional[str] = described("PEM file, with its chain: what ends first counts.", None)
    endpoint: Optional[str] = described("A TLS server instead, as host:port.", None)
    server_name: Optional[str] = described("The name that the server is asked for; the host where absent.", None)
    days: int = described("Days that it must stay valid for.", 30)
    renew: List[str] = described("Lines of a script that renews it.", [], one_or_many=True)
    timeout_seconds: int = described("Limit of that script.", 600)
    self_signed: List[str] = described(
        "Names and addresses; one that signs itself is made for them.", [], one_or_many=True
    )
    key_path: Optional[str] = described("Where the key of that is written.", None)
    valid_days: int = described("How long that is valid.", 365)
