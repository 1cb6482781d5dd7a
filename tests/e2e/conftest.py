"""One way to set a scene, for each module with files of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.scene import Scene

Set = Callable[[Mapping[str, str] | None], Scene]


@pytest.fixture(scope="module")
def set_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Set]:
    """Scenes that live as long as the module's tests; each starts with these files (None: with the example)."""
    with ExitStack() as stack:
        yield lambda files: stack.enter_context(Scene(_short(tmp_path_factory), files))


def _short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose name leaves room for a socket's, which may have 107 bytes."""
    return tmp_path_factory.mktemp("e", numbered=True)
