"""Regular expressions that documents hold."""

from __future__ import annotations

import functools
import re
import warnings


@functools.lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str]:
    """Raises `re.error`, `RecursionError`, `OverflowError`. What may mean something else some day is taken as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(pattern)
