"""One way to set a scene, for each module with files of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.e2e.scene import Scene
from tests.fleet.fixtures import node_rootfs

__all__ = ["Set", "node_rootfs", "set_scene"]

Set = Callable[..., Scene]


@pytest.fixture(scope="module")
def set_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Set]:
    """Scenes that live as long as the module's tests; each starts with these files (None: with the example)."""
    with ExitStack() as stack:

        def set_one(files: dict[str, str] | None, **server: Any) -> Scene:
            short = tmp_path_factory.mktemp("e")  # a socket's path has 107 bytes at most
            return stack.enter_context(Scene(short, files, server or None))

        yield set_one
