"""`once --offline` and `once --dry-run`, started with what they need and no more.

Where the last pass found nothing to do and everything it read is still so, that is the reads and nothing else.
"""

from __future__ import annotations

import fcntl
import gc
import os
from typing import Dict, List, Optional

import agent
from agent.contract.record import NamedTuple
from agent.host.local import LocalHost
from agent.rounds import standing

_VALUES = ("--state", "--root")
_OBJECTS = 50_000
"""What a pass may make before cycles are looked for: what it imports stays, and holds none that could go."""
_FLAGS = ("--offline", "--dry-run", "--scripts")


class _Asked(NamedTuple):
    state: str
    root: str
    dry: bool
    runs_scripts: bool


def run(arguments: List[str]) -> Optional[int]:
    """The exit code of a pass without a server; None for anything else, which is not begun."""
    asked = _asked(arguments)
    if asked is None:
        return None
    if _stands(asked):
        return 0
    gc.set_threshold(_OBJECTS)
    from agent import log, offline
    from agent.state import identity
    from agent.state.lock import StateInUse

    try:
        return (offline.dry_run if asked.dry else offline.offline)(asked.state, asked.root, asked.runs_scripts)
    except (identity.NotEnrolled, identity.StateDamaged, StateInUse, OSError) as error:
        log.log(log.ERROR, "%s", error)
        return 1


def taken(arguments: List[str]) -> bool:
    """Whether the reads alone are all there is to do."""
    asked = _asked(arguments)
    return asked is not None and _stands(asked)


def _stands(asked: _Asked) -> bool:
    host = LocalHost(asked.root)
    return _nobody_works_on(asked.state) and standing.stands(host, asked.state, asked.root, agent.__version__)


def _asked(arguments: List[str]) -> Optional[_Asked]:
    given = _read(arguments[1:]) if arguments[:1] == ["once"] else None
    if given is None or not ("--offline" in given or "--dry-run" in given):
        return None
    root = os.path.abspath(given.get("--root", "/"))
    state = os.path.abspath(given.get("--state") or os.path.join(root, agent.DEFAULT_STATE.lstrip("/")))
    return _Asked(state, root, "--dry-run" in given, "--scripts" in given)


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
