"""What systemd tells of units at once: a signal of D-Bus for each that changes, and for all when unit files do.

The system bus is asked for the units of interest alone, so that a busy node wakes nobody. Where it does not run,
systemd itself is heard, at the socket that its own tools use; it tells root of everything.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, FrozenSet, Iterable, Optional, Set

from agent.host.dbus import ERROR, SIGNAL, BusError, Connection, Method

BUS = "/run/dbus/system_bus_socket"
PRIVATE = "/run/systemd/private"
_PATIENCE = 2.0
_MATCHES_AT_MOST = 400
"""Matches that the bus lets one connection have, less some; beyond, all units are asked for."""
_BUS = Method("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "")
_MANAGER = Method("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "")
_UNIT = "/org/freedesktop/systemd1/unit"
_MATCH = "type='signal',sender='org.freedesktop.systemd1',"
_OF_MANAGER = _MATCH + "path='" + _MANAGER.path + "',member='%s'"
_OF_UNIT = _MATCH + "path='" + _UNIT + "/%s',member='PropertiesChanged'"
_OF_ALL = _MATCH + "path_namespace='" + _UNIT + "',member='PropertiesChanged'"
_ABOUT_ALL = ("UnitFilesChanged", "Reloading")


class Units:
    """The units to be heard of. While there is no connection, `lost` says why; empty where none is needed."""

    def __init__(self, bus: str = BUS, private: str = PRIVATE) -> None:
        self._bus, self._private = bus, private
        self._paths: Dict[str, str] = {}
        self._connection: Optional[Connection] = None
        self._asked: FrozenSet[str] = frozenset()
        self.lost = ""

    @property
    def file(self) -> Optional[int]:
        """The descriptor to wait for."""
        return self._connection.file if self._connection else None

    def over(self, units: Iterable[str]) -> None:
        """Hear of these, and no others."""
        self._paths = {"%s/%s" % (_UNIT, escaped(unit)): unit for unit in units}
        if not self._paths:
            self.close()
        elif self._connection is None or not self._asked.issuperset(self._paths):
            self.close()
            self.connect()

    def connect(self) -> bool:
        """Connect where there is need; whether something may have been missed that will be heard from now on."""
        if self._connection is not None or not self._paths:
            return False
        self.lost = self._open(self._bus, self._subscribe)
        if self.lost and not self._open(self._private, self._listen):
            self.lost = ""
        return not self.lost

    def touched(self) -> Set[str]:
        """The units that something has changed of; all of them where that may be, or where the connection is lost."""
        found: Set[str] = set()
        if self._connection is None:
            return found
        try:
            for message in self._connection.receive():
                if message.kind == ERROR:
                    raise BusError("it refuses: %s" % message.error)
                if message.kind == SIGNAL and message.member in _ABOUT_ALL and message.path == _MANAGER.path:
                    found.update(self._paths.values())
                elif message.kind == SIGNAL and message.member == "PropertiesChanged" and message.path in self._paths:
                    found.add(self._paths[message.path])
        except (BusError, OSError) as error:
            self._drop()
            self.lost = str(error)
            found.update(self._paths.values())
        return found

    def close(self) -> None:
        self._drop()
        self.lost = ""

    def _open(self, address: str, ask: Callable[[Connection], None]) -> str:
        """Why there is no connection to an address; empty where there is one now."""
        try:
            self._connection = Connection(address, _PATIENCE)
            ask(self._connection)
        except (BusError, OSError) as error:
            self._drop()
            return "%s: %s" % (address, getattr(error, "strerror", None) or error)
        self._asked = frozenset(self._paths)
        return ""

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _subscribe(self, connection: Connection) -> None:
        matches = [_OF_MANAGER % member for member in _ABOUT_ALL]
        if len(self._paths) <= _MATCHES_AT_MOST:
            matches += [_OF_UNIT % path.rpartition("/")[2] for path in self._paths]
        else:
            matches.append(_OF_ALL)
        connection.call(_BUS._replace(member="Hello"))
        for match in matches:
            connection.call(_BUS._replace(member="AddMatch"), match)
        connection.call(_MANAGER._replace(member="Subscribe"))

    def _listen(self, connection: Connection) -> None:
        """systemd's own socket needs no asking."""


def escaped(unit: str) -> str:
    """A unit's name as part of an object's path."""
    return re.sub(r"^[0-9]|[^A-Za-z0-9]", lambda found: found.group().encode().hex("_").join(("_", "")), unit)
