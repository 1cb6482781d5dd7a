"""A disk and the store on it, once per kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.adapters.store import disks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reconciler.core.ports import Store


@pytest.fixture(params=disks.DISKS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> disks.Disk:
    return disks.disk(request.param, tmp_path)


@pytest.fixture
def store(disk: disks.Disk) -> Iterator[Store]:
    """An empty store that holds its lease."""
    store = disk.open()
    store.renew_lease("this test", disks.BORN, 60)
    yield store
    store.close()
