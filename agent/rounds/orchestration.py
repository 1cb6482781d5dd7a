"""Directories of runs: what a run of an association downloads lies in one of its own until the next one downloads."""

from __future__ import annotations

import os
import posixpath

from agent.host.port import Host
from agent.state.journal import RunKey
from agent.steps import downloads

_IN_SANDBOX = "/var/lib/opsctl/orchestration"
_DOWNLOADS = "downloads"


def base(state: str, host: Host) -> str:
    """Below which runs have their directories, as the host knows it: a sandbox has them in the sandbox."""
    return _IN_SANDBOX if host.sandbox else os.path.join(os.path.abspath(state), "orchestration")


def of_job(place: str) -> str:
    """For the downloads of a job that has `place` to itself."""
    return posixpath.join(place, _DOWNLOADS)


def of_run(base_: str, uid: str, generation: int, run_instant: str) -> str:
    """For the downloads of one run of an association; empty where runs have no directories."""
    if not base_:
        return ""
    one = RunKey(uid, generation, run_instant, "", 1).execution
    return posixpath.join(base_, RunKey(uid, 0, "", "", 1).execution, one, _DOWNLOADS)


def forget_earlier(host: Host, run: str) -> None:
    """Remove what earlier runs of the same association downloaded, where this one has downloaded something."""
    if not run or host.lstat(run) is None:
        return
    mine = posixpath.dirname(run)
    runs = posixpath.dirname(mine)
    for name in host.listdir(runs):
        if name != posixpath.basename(mine):
            downloads.remove(host, posixpath.join(runs, name))
