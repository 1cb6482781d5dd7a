"""`once --offline` and `once --dry-run` where the last pass found nothing to do and everything it read is still so.

Such a pass needs the reads and nothing else, so this imports little; anything unusual takes the ordinary way.
"""

from __future__ import annotations

import fcntl
import os
from typing import Dict, List, Optional

import agent
from agent import standing
from agent.host.local import LocalHost

_VALUES = ("--state", "--root")
_FLAGS = ("--offline", "--dry-run", "--scripts")


def taken(arguments: List[str]) -> bool:
    """Whether that was all there was to do."""
    given = _read(arguments[1:]) if arguments[:1] == ["once"] else None
    if given is None or not ("--offline" in given or "--dry-run" in given):
        return False
    root = os.path.abspath(given.get("--root", "/"))
    state = os.path.abspath(given.get("--state") or os.path.join(root, agent.DEFAULT_STATE.lstrip("/")))
    return _nobody_works_on(state) and standing.stands(LocalHost(root), state, root, agent.__version__)


def _read(words: List[str]) -> Optional[Dict[str, str]]:
    """The options; None where they are not plain enough to be read here."""
    given: Dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in _VALUES:
            given[name] = value if equals else next(rest, "")
        elif word in _FLAGS:
            given[word] = ""
        else:
            return None
    return given


def _nobody_works_on(state: str) -> bool:
    try:
        file = os.open(os.path.join(state, "lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(file)
