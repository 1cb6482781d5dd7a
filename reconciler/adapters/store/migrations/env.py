"""Alembic's environment: migrations run on the connection, and in the transaction, that the store hands in.

A change of the schema is a change of `schema.py` and a new file in `versions/`, numbered on; a test compares the two.
"""

from __future__ import annotations

from alembic import context

from reconciler.adapters.store import schema

context.configure(connection=context.config.attributes["connection"], target_metadata=schema.metadata)
with context.begin_transaction():
    context.run_migrations()
