"""The oldest Python that the agent runs on, where this machine has it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

VERSION = "3.8"


def oldest_python() -> str:
    """The interpreter's path; skips the test where there is none."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    installed = sorted(versions.glob(f"{VERSION}*/bin/python3"))  # first, for a shim on PATH may lead nowhere
    found = str(installed[-1]) if installed else shutil.which(f"python{VERSION}")
    if not found:
        pytest.skip(f"there is no Python {VERSION} on this machine")
    return found
