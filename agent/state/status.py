"""What `status` shows, written by the agent as it changes: read without the agent, and while the server is away.

status/link.json      the connection: state, server, since when, and why
status/results.json   uid -> what the last look at it came to, as far as it differs from the one before
"""

from __future__ import annotations

import json
import os
import threading
from typing import Any, Dict, Optional

from agent import durable


class StatusFile:
    """One JSON object on disk, replaced when it changes. Lost at a power cut without harm."""

    def __init__(self, state: str, name: str) -> None:
        directory = os.path.join(state, "status")
        durable.make_directory(directory)
        self._path = os.path.join(directory, name)
        self._mutex = threading.Lock()
        self._value: Optional[Dict[str, Any]] = read(state, name)

    def last(self) -> Dict[str, Any]:
        """What is shown, by this agent or the one before."""
        return dict(self._value or {})

    def write(self, value: Dict[str, Any]) -> None:
        """Show `value` from now on. A disk that is full costs the status, not the agent."""
        with self._mutex:
            if value == self._value:
                return
            self._value = value
            try:
                durable.replace(self._path, json.dumps(value, sort_keys=True).encode(), durable=False)
            except OSError:
                self._value = None


def read(state: str, name: str) -> Dict[str, Any]:
    """What was written last; empty where nothing was, or where it cannot be read."""
    try:
        value = json.loads(durable.read(os.path.join(state, "status", name)) or b"{}")
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
