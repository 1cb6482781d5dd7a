"""Modules of the standard library that others import for what they hardly ever use, left out until it is used.

Nothing else of the agent may be imported before `spare` has been called for them.
"""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType
from typing import Any


class _Spared(ModuleType):
    """Stands for a module, and becomes it when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked for by the import system, of every module
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def spare(name: str) -> None:
    """Leave a module out, where it is not there already."""
    if name not in sys.modules:
        sys.modules[name] = _Spared(name)


def drop(*names: str) -> None:
    """Forget modules that have done their work, so that what is imported next takes their room."""
    for name in names:
        sys.modules.pop(name, None)
    gc.collect()
