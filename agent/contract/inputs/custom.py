"""What a step of the config repository's own takes: what its manifest says of how it is called, and what is wanted."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Dict, List

from agent.contract.codec import Wire
from agent.contract.record import dataclass

HOME = "steps/"
"""The folder of the repository that has a folder for each of them."""


@dataclass(frozen=True)
class CustomInputs(Wire):
    """`desired` is what the author of a document wrote, by the manifest's schema; all else is the manifest's.

    The files of `steps/NAME/` are the body's; of them `executable` are those that may be run, and `links` are symbolic
    links by their paths in that folder. `get`, `test` and `set` are a program, by its path in the folder, and its
    arguments; an empty one is not answered. Those named in `environment` find each desired property there, and not all
    on standard input. `key` is what of the node a step owns, `exits` what exit codes mean.
    """

    name: str
    desired: Dict[str, Any]
    get: List[str]
    test: List[str]
    set_: List[str]
    platforms: List[str]
    timeout_seconds: int
    version: str = ""
    key: str = ""
    executable: List[str] = field(default_factory=list)
    links: Dict[str, str] = field(default_factory=dict)
    environment: List[str] = field(default_factory=list)
    exits: Dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Where in the repository it lies, with its slash."""
        return "%s%s/" % (HOME, self.name)
