"""Alembic's environment: migrations run on the connection, and in the transaction, that the store hands in.

A change of the schema is a change of `schema.py` and a new file in `versions/`, numbered on; a test compares the two.
A migration is history. It spells out what it does, repeats what others say, and is never changed once it was released:
words that it shared with them, or with `schema`, would one day say something else.
"""

from __future__ import annotations

from alembic import context

from reconciler.adapters.store import schema

context.configure(connection=context.config.attributes["connection"], target_metadata=schema.metadata)
with context.begin_transaction():
    context.run_migrations()
