"""Who commits in tests: git told by its environment alone, whatever is set up on this machine."""

from __future__ import annotations

import os

ISOLATED = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
"""No configuration but the repository's own."""


def committer(name: str, mail: str) -> dict[str, str]:
    """git's variables for somebody."""
    who = {"NAME": name, "EMAIL": mail}
    return {**ISOLATED, **{f"GIT_{role}_{what}": who[what] for role in ("AUTHOR", "COMMITTER") for what in who}}


MARY = committer("Mary", "mary@harbour-books.example")
