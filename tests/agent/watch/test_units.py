"""Units: what D-Bus says of them, and that a bus which does not answer, refuses or hangs up costs nothing else."""

from __future__ import annotations

import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.host import dbus
from agent.watch.units import Units, escaped
from tests.agent.bus import Bus, message

NGINX = "/org/freedesktop/systemd1/unit/nginx_2eservice"
MANAGER = "/org/freedesktop/systemd1"


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with Bus(tmp_path / "bus") as made:
        yield made


@pytest.fixture
def units(bus: Bus, tmp_path: Path) -> Iterator[Units]:
    made = Units(bus.path, str(tmp_path / "private"))
    made.over(["nginx.service", "cron.service"])
    assert made.lost == ""
    bus.wait_for_call("Subscribe")
    yield made
    made.close()


def heard(units: Units) -> set[str]:
    """Whatever comes next."""
    assert units.file is not None
    assert select.select([units.file], [], [], 10)[0]
    return units.touched()


def test_only_units_of_interest_are_asked_for(bus: Bus, units: Units) -> None:
    asked = bus.calls.decode("latin-1")
    assert asked.index("Hello") < asked.index("AddMatch") < asked.index("Subscribe")
    assert f"path='{NGINX}',member='PropertiesChanged'" in asked
    assert asked.count("AddMatch") == 4
    units.over(["nginx.service"])
    units.over(["nginx.service", "ssh.service"])
    bus.wait_for_call("ssh_2eservice")
    assert len(bus.peers) == 2


def test_a_unit_is_touched_by_its_signal_and_all_by_unit_files(bus: Bus, units: Units) -> None:
    bus.signal(NGINX, "PropertiesChanged")
    assert heard(units) == {"nginx.service"}
    bus.signal(MANAGER, "UnitFilesChanged")
    assert heard(units) == {"nginx.service", "cron.service"}
    bus.signal(NGINX.replace("nginx", "other"), "PropertiesChanged")
    assert heard(units) == set()
    bus.signal(NGINX, "Subscribe", kind=dbus.RETURN)
    assert heard(units) == set()


def test_a_connection_that_is_lost_or_refused_may_have_missed_anything(bus: Bus, units: Units) -> None:
    bus.hang_up()
    assert heard(units) == {"nginx.service", "cron.service"}
    assert "hung up" in units.lost
    assert units.file is None
    assert units.connect()
    bus.wait_for_call("Subscribe", 2)
    bus.signal(MANAGER, "Subscribe", kind=dbus.ERROR)
    assert heard(units) == {"nginx.service", "cron.service"}
    assert "refuses" in units.lost


def test_without_a_bus_systemd_itself_is_heard(tmp_path: Path) -> None:
    units = Units(str(tmp_path / "bus"), str(tmp_path / "private"))
    units.over(["nginx.service"])
    assert "No such file or directory" in units.lost
    with Bus(tmp_path / "private") as private:
        assert units.connect()
        assert units.lost == ""
        private.wait_for_call("BEGIN")
        private.signal(NGINX, "PropertiesChanged")
        assert heard(units) == {"nginx.service"}
        assert private.calls == b"BEGIN\r\n"
    units.close()


def test_nothing_is_asked_where_no_unit_is_watched(tmp_path: Path) -> None:
    units = Units(str(tmp_path / "bus"), str(tmp_path / "private"))
    units.over([])
    assert (units.lost, units.file, units.connect(), units.touched()) == ("", None, False, set())


@pytest.mark.parametrize("greeting", [b"REJECTED EXTERNAL\r\n", b"x" * 5000])
def test_who_does_not_answer_as_expected_is_left(tmp_path: Path, greeting: bytes) -> None:
    with Bus(tmp_path / "bus", greeting) as bus:
        units = Units(bus.path, str(tmp_path / "private"))
        units.over(["nginx.service"])
        assert units.file is None
        assert "does not" in units.lost


@pytest.mark.parametrize("order", ["<", ">"])
def test_messages_are_read_in_both_byte_orders_and_in_pieces(order: str) -> None:
    data = message(4, NGINX, "PropertiesChanged", order, b"12345") + message(2, "/", "", order)
    for cut in range(len(data)):
        messages, rest = dbus.unpacked(data[:cut])
        more, rest = dbus.unpacked(rest + data[cut:])
        assert [(m.kind, m.path, m.member) for m in messages + more] == [(4, NGINX, "PropertiesChanged"), (2, "/", "")]
        assert rest == b""


@pytest.mark.parametrize(
    "data",
    [b"x" * 16, b"l" + b"\xff" * 15, message(4, NGINX, "Y")[:24] + b"\xff" * 200, message(4, "/\xff", "Y")[:40] * 9],
)
def test_what_is_no_message_ends_the_connection(data: bytes) -> None:
    with pytest.raises(dbus.BusError):
        dbus.unpacked(data)


def test_names_of_units_are_escaped_as_systemd_does() -> None:
    assert [escaped(unit) for unit in ("nginx.service", "1a@b-c.timer", "é")] == [
        "nginx_2eservice",
        "_31a_40b_2dc_2etimer",
        "_c3_a9",
    ]
