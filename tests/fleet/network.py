"""A fleet's network: one bridge whose first address is the host's, and a veth pair per node. No route leads further."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.fleet.commands import FleetError, run

_DEVICES = Path("/sys/class/net")
PREFIX = "opsctl"
_FIRST_NODE = 10


@dataclass(frozen=True, slots=True)
class Network:
    """The names and addresses that follow from a fleet's number (0 to 253)."""

    number: int

    @property
    def bridge(self) -> str:
        return f"{PREFIX}{self.number}"

    @property
    def host_address(self) -> str:
        """Where a daemon on the host listens for the nodes."""
        return f"10.77.{self.number}.1"

    def node_address(self, index: int) -> str:
        return f"10.77.{self.number}.{_FIRST_NODE + index}"

    def link(self, index: int) -> str:
        """The host's end of a node's cable."""
        return f"{self.bridge}-{index}"

    def up(self, alias: str) -> bool:
        """Make the bridge, marked with `alias`; False where the number is taken by another fleet or by any network."""
        if run("ip", "-4", "route", "show", "to", "root", f"10.77.{self.number}.0/24"):
            return False
        # A fixed hardware address: a bridge otherwise takes its lowest port's, and changes it under its neighbours.
        mac = f"02:0a:4d:{self.number:02x}:00:01"
        try:
            run("ip", "link", "add", "name", self.bridge, "address", mac, "type", "bridge")
        except FleetError:
            if (_DEVICES / self.bridge).exists():
                return False
            raise
        _batch(
            f'link set dev {self.bridge} alias "{alias}"',
            f"address add {self.host_address}/24 dev {self.bridge}",
            f"link set dev {self.bridge} up",
        )
        return True

    def down(self) -> None:
        """Remove the bridge and every cable still plugged into it."""
        ports = _DEVICES / self.bridge / "brif"
        links = [port.name for port in ports.iterdir()] if ports.exists() else []
        delete(*links, self.bridge)


def delete(*links: str) -> None:
    """Remove links; those already gone (a node's death takes its cable along) are no error."""
    for link in links:
        if (_DEVICES / link).exists():
            try:
                run("ip", "link", "delete", "dev", link)
            except FleetError:
                if (_DEVICES / link).exists():
                    raise


def set_link(link: str, *, up: bool) -> None:
    """Plug or unplug the host's end of a cable."""
    run("ip", "link", "set", "dev", link, "up" if up else "down")


def bridges() -> dict[int, str]:
    """The fleets' bridges on this host: number -> alias."""
    found = {}
    for device in _DEVICES.glob(f"{PREFIX}*"):
        number = device.name.removeprefix(PREFIX)
        if number.isdecimal() and (device / "bridge").exists():
            found[int(number)] = (device / "ifalias").read_text().strip()
    return found


def _batch(*commands: str) -> None:
    run("ip", "-batch", "-", stdin="\n".join(commands) + "\n")
