"""Fixtures of the git adapter's tests."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.adapters.git.remotes import AnyRemote, Key, MemoryRemote, RealRemote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealRemote]:
    """An empty bare repository."""
    remote = RealRemote(tmp_path)
    yield remote
    remote.close()


@pytest.fixture(params=["git", "memory"])
def remote(request: pytest.FixtureRequest) -> AnyRemote:
    """An empty remote of either sort: what passes here is the contract."""
    if request.param == "memory":
        return MemoryRemote()
    real: RealRemote = request.getfixturevalue("real")
    return real


@pytest.fixture(scope="session")
def make_key(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Key]:
    """Makes SSH keys by name, each once."""
    directory = tmp_path_factory.mktemp("keys")

    def make(name: str) -> Key:
        private = directory / name
        if not private.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(private)], check=True)
        return Key(private, private.with_suffix(".pub").read_text().strip())

    return make
