"""Programs that a node may have or not."""

from __future__ import annotations

import posixpath
from typing import Sequence

from agent.host.port import ENVIRONMENT, Host
from agent.steps.step import StepFailed


def found(host: Host, what: str, names: Sequence[str], also: Sequence[str] = ()) -> str:
    """The path of the first of these programs that is there. Raises `StepFailed`, which says what is missing.

    Directories in `also` are looked in after those of the search path.
    """
    path = [*ENVIRONMENT["PATH"].split(":"), *also]
    for name in names:
        for directory in path:
            candidate = posixpath.join(directory, name)
            if host.lstat(candidate) is not None:
                return candidate
    raise StepFailed("Unsupported: needs %s: this node has no `%s`" % (what, "` or `".join(names)))
