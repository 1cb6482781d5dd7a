"""The store: truth that outlives the process, as tables.

Belongs here: the schema, its migrations, the rows' way in and out, and the in-memory store that behaves the same.
Does not belong here: decisions. What a report changes or who gets what is the engine's; the store keeps it whole.
Only `dialect` knows one database from another.
"""

from reconciler.adapters.store.memory import MemoryState, MemoryStore
from reconciler.adapters.store.sql import SqlStore, fleets, open_store

__all__ = ["MemoryState", "MemoryStore", "SqlStore", "fleets", "open_store"]
