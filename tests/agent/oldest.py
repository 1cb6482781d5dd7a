"""Pythons that the agent runs on, as far as this machine has them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
"""All that it promises, the oldest first."""


def python(version: str) -> str | None:
    """The path of an interpreter."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    installed = sorted(versions.glob(f"{version}.*/bin/python3"))  # first, for a shim on PATH may lead nowhere
    return str(installed[-1]) if installed else shutil.which(f"python{version}")


def oldest_python() -> str:
    """The interpreter's path; skips the test where the oldest promised is not there."""
    found = python(VERSIONS[0])
    if found is None:
        pytest.skip(f"there is no Python {VERSIONS[0]} on this machine")
    return found
