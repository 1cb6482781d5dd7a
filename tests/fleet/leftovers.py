"""Removing what fleets left whose owner died before it could clean up."""

from __future__ import annotations

from pathlib import Path

from tests.fleet.ground import Ground, Tenure
from tests.fleet.network import bridges
from tests.fleet.rootfs import CACHE, remove_drafts


def sweep(directory: Path = CACHE) -> list[str]:
    """Remove every dead fleet and unfinished build, and name what was removed. Living and kept ones are left alone.

    Fleets of this directory are found by their records; those of other directories by their bridge, whose alias is the
    record's path.
    """
    removed = [f"fleet {ground.number} of {ground.fleets}" for ground in _known(directory) if _raze_if_dead(ground)]
    return removed + remove_drafts(directory)


def _known(directory: Path) -> list[Ground]:
    fleets = directory / "fleets"
    recorded = {(fleets, int(record.stem)) for record in fleets.glob("*.json")}
    bridged = {(Path(alias).parent, number) for number, alias in bridges().items() if alias}
    return [Ground(*known) for known in sorted(recorded | bridged)]


def _raze_if_dead(ground: Ground) -> bool:
    ground.fleets.mkdir(parents=True, exist_ok=True)  # someone may have removed the clone under its nodes
    tenure = Tenure.reopen(ground)
    if tenure is None:
        return False
    if ground.recorded().get("kept"):
        tenure.release()
        return False
    tenure.raze()
    return True
