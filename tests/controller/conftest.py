"""Fixtures: remotes of both sorts and SSH keys, as the Git adapter's own tests have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.adapters.git.conftest import make_key, real, remote

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.adapters.git.remotes import Key

__all__ = ["make_key", "real", "remote"]


@pytest.fixture
def key(make_key: Callable[[str], Key]) -> Key:  # how pytest hands over what another fixture made
    return make_key("listed")


@pytest.fixture
def other_key(make_key: Callable[[str], Key]) -> Key:
    return make_key("other")
