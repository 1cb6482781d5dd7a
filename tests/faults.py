"""How often a fault is tried, and from which seed: once or a few times in every run, often with OPSCTL_FAULTS=full."""

from __future__ import annotations

import os
import secrets

FULL = os.environ.get("OPSCTL_FAULTS") == "full"


def count(*, few: int, full: int) -> int:
    return full if FULL else few


def seed() -> int:
    """OPSCTL_SEED where it is set, to see again what was seen; else another one every time."""
    given = os.environ.get("OPSCTL_SEED")
    return int(given) if given else secrets.randbits(32)
