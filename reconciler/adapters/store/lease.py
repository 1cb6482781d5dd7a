"""The fenced lease: a counter that grows whenever the lease changes hands, compared in every transaction that writes.

A holder that slept through the end of its lease may still believe in it; its next commit finds another number and
changes nothing. Having lost the lease once, a store object stays without: what its process believes is out of date.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.adapters.store import queries, schema
from reconciler.adapters.store.rules import led_by, lost_to, not_held

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Lease:
    """This process's side of the lease of one fleet. Called inside a transaction that writes."""

    def __init__(self, fleet_id: str) -> None:
        self._fleet_id = fleet_id
        self._fence: int | None = None

    def check(self, connection: Connection) -> None:
        """`Refused` unless the lease is still ours."""
        if self._fence is None:
            raise not_held()
        holder, fence, _ = self._row(connection)
        if fence != self._fence:
            raise lost_to(holder)

    def renew(self, connection: Connection, holder: str, at: int, seconds: int, *, seize: bool) -> None:
        last_holder, fence, expires_at = self._row(connection)
        if self._fence is None:
            if expires_at > at and not seize:
                raise led_by(last_holder, expires_at)
            fence += 1
        elif fence != self._fence:
            raise lost_to(last_holder)
        mine = {"holder": holder, "fence": fence, "expires_at": at + seconds * 1000}
        connection.execute(schema.leases.update().where(schema.leases.c.fleet_id == self._fleet_id).values(mine))
        self._fence = fence

    def release(self, connection: Connection) -> None:
        table = schema.leases
        if self._fence is not None:
            ours = (table.c.fleet_id == self._fleet_id, table.c.fence == self._fence)
            connection.execute(table.update().where(*ours).values(expires_at=0))
        self._fence = None

    def _row(self, connection: Connection) -> tuple[str, int, int]:
        row = connection.execute(queries.LEASE, {"of_fleet": self._fleet_id}).one()
        return row.holder, row.fence, row.expires_at
