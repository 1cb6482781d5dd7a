"""nft, asked and told about one table, which is named by its family and its name."""

from __future__ import annotations

from typing import Optional, Tuple

from agent.host.port import Host, replace
from agent.steps import ruleset
from agent.steps.execution import ended_well, ending
from agent.steps.step import StepFailed

Table = Tuple[str, str]
_TIME = 60.0
_LISTING_AT_MOST = 16 * 1024 * 1024


def listing(host: Host, table: Table) -> Optional[str]:
    """How nft lists the table, without counts; None where it, or nft, is not there."""
    try:
        ran = host.run(["nft", "-s", "list", "table", *table], timeout=_TIME, keep=_LISTING_AT_MOST)
    except FileNotFoundError:
        return None
    if ran.rc and b"No such file or directory" not in ran.stderr:
        raise StepFailed("nft list table %s: %s" % (" ".join(table), ending(ran)), rc=ran.rc)
    return None if ran.rc else ran.stdout.decode("utf-8", "surrogateescape")


def load(host: Host, path: str, table: Table, mode: int) -> None:
    """Loads root's file of the table, and notes at its end how nft lists it then."""
    _run(host, "-f", path)
    listed = listing(host, table)
    if listed is None:
        raise StepFailed("nft loaded %s, and there is no table %s" % (path, " ".join(table)))
    content = ruleset.marked(host.read(path, _LISTING_AT_MOST).decode("utf-8"), listed)
    replace(host, path, content.encode("utf-8"), mode, 0, 0)


def delete(host: Host, table: Table) -> None:
    """Takes the table away, with all that is in it."""
    _run(host, "delete", "table", *table)


def _run(host: Host, *words: str) -> None:
    argv = ["nft", *words]
    ended_well(host.run(argv, timeout=_TIME), " ".join(argv), _TIME)
