"""One leader per state, and a fence for one that slept."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from reconciler.core.problem import Refused
from reconciler.core.records import Changes
from tests.adapters.store.disks import BORN

if TYPE_CHECKING:
    from tests.adapters.store.disks import Disk

CHANGE = Changes(settings={"revision": "x"})


def test_without_the_lease_nothing_is_written(disk: Disk) -> None:
    store = disk.open()
    for act in (lambda: store.commit(CHANGE), lambda: store.declare_restored(1), store.collect):
        with pytest.raises(Refused, match="without its lease"):
            act()
    assert store.settings() == {}
    store.close()


def test_a_second_daemon_is_refused_by_name(disk: Disk) -> None:
    one, two = disk.open(), disk.open()
    one.renew_lease("pid 41 on host alpha", BORN, 60)
    with pytest.raises(Refused, match=r"pid 41 on host alpha until 2023-11-14T22:14:20\.000Z"):
        two.renew_lease("pid 42 on host beta", BORN + 59_999, 60)
    with pytest.raises(Refused):
        two.commit(CHANGE)
    one.commit(CHANGE)
    one.close()
    two.close()


def test_one_that_slept_is_fenced_off_for_good(disk: Disk) -> None:
    one, two = disk.open(), disk.open()
    one.renew_lease("alpha", BORN, 60)
    two.renew_lease("beta", BORN + 60_000, 60)
    for _ in range(2):
        with pytest.raises(Refused, match="taken by beta"):
            one.commit(CHANGE)
        with pytest.raises(Refused, match="taken by beta"):
            one.renew_lease("alpha", BORN + 600_000, 60)
    two.commit(CHANGE)
    one.close()
    two.commit(CHANGE)
    two.close()


def test_an_expired_lease_that_nobody_took_still_writes(disk: Disk) -> None:
    store = disk.open()
    store.renew_lease("alpha", BORN, 1)
    store.renew_lease("alpha", BORN + 900_000, 1)
    store.commit(CHANGE)
    assert store.settings() == {"revision": "x"}
    store.close()


def test_a_renewed_lease_lasts_from_then(disk: Disk) -> None:
    one, two = disk.open(), disk.open()
    one.renew_lease("alpha", BORN, 60)
    one.renew_lease("alpha", BORN + 50_000, 60)
    with pytest.raises(Refused):
        two.renew_lease("beta", BORN + 70_000, 60)
    one.close()
    two.close()


def test_a_closed_store_lets_the_next_in_at_once(disk: Disk) -> None:
    one = disk.open()
    one.renew_lease("alpha", BORN, 3600)
    one.close()
    two = disk.open()
    two.renew_lease("beta", BORN + 1, 60)
    two.commit(CHANGE)
    two.close()


def test_the_lease_of_a_dead_holder_can_be_seized(disk: Disk) -> None:
    one, two = disk.open(), disk.open()
    one.renew_lease("alpha", BORN, 3600)
    two.renew_lease("beta", BORN + 1, 60, seize=True)
    two.commit(CHANGE)
    with pytest.raises(Refused, match="taken by beta"):
        one.commit(CHANGE)
    one.close()
    two.close()


def test_of_many_at_once_one_gets_it(disk: Disk) -> None:
    stores = [disk.open() for _ in range(6)]
    start, won = threading.Barrier(len(stores)), []

    def take(number: int) -> None:
        start.wait(10)
        try:
            stores[number].renew_lease(f"daemon {number}", BORN, 60)
        except Refused:
            return
        won.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(won) == 1
    for store in stores:
        store.close()
