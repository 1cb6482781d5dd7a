"""`Bus`, in memory and for real: a wake of anyone, at any time, is harmless."""

from __future__ import annotations

import pytest

from reconciler.adapters.gateway import Gateway, Identity, MemoryBus
from reconciler.adapters.signer import KeySigner, verify
from reconciler.core.ports import Bus
from tests.adapters.gateway.intake import FLEET, MemoryIntake


@pytest.fixture(params=["memory", "gateway"])
def bus(request: pytest.FixtureRequest) -> Bus:
    if request.param == "memory":
        return MemoryBus()
    return Gateway(MemoryIntake(), Identity(FLEET, KeySigner(), lambda: (), b""), verify)


def test_waking_nodes_that_nobody_holds_is_nothing(bus: Bus) -> None:
    bus.wake([])
    bus.wake(iter(["mi-1", "mi-2"]))


def test_the_memory_bus_remembers_who_was_woken() -> None:
    bus = MemoryBus()
    bus.wake(iter(["mi-1", "mi-2"]))
    bus.wake(["mi-1"])
    assert bus.woken == [("mi-1", "mi-2"), ("mi-1",)]
