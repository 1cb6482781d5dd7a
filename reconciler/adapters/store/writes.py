"""One `Changes` as statements of one transaction, in an order in which each finds what it refers to.

Rules of single fields (what a change of an existing row leaves alone) stand at `Changes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from reconciler.adapters.store import queries
from reconciler.adapters.store.rows import values
from reconciler.adapters.store.rules import check_body, check_given, check_known, check_release, check_token, touched
from reconciler.core.records import ReleaseRow, TokenRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sqlalchemy import Connection, Executable, Select

    from reconciler.adapters.store.statements import Statements
    from reconciler.core.records import Changes

_T = TypeVar("_T")
NODES_AT_ONCE = 500
"""Ids in one statement: far below any database's limit on parameters."""


class Writer:
    """Writes into one transaction, which the caller opened and ends."""

    def __init__(self, connection: Connection, statements: Statements, fleet_id: str) -> None:
        self._connection, self._statements, self._fleet_id = connection, statements, fleet_id

    def write(self, changes: Changes) -> None:
        self._bodies(changes)
        self._tokens(changes)
        self._nodes(changes)
        self._releases(changes)
        self._assignments(changes)
        self._leave(changes)
        self._states(changes)
        self._inventory(changes)
        self._lives(changes)
        self._runs(changes)
        self._outbox(changes)

    def _bodies(self, changes: Changes) -> None:
        for digest, data in changes.bodies.items():
            check_body(digest, data)
        self._each(self._statements.body, ({"digest": name, "data": data} for name, data in changes.bodies.items()))

    def _tokens(self, changes: Changes) -> None:
        for token in changes.tokens:
            check_token(self._one(TokenRow, queries.TOKEN, of_id=token.id), token)
        self._each(self._statements.token, map(values, changes.tokens))

    def _nodes(self, changes: Changes) -> None:
        self._each(self._statements.node, map(values, changes.nodes))
        of_nodes = ({"of_node": id_, "context_digest": digest} for id_, digest in changes.contexts.items())
        self._each(self._statements.context, of_nodes)
        unsettled = ({"of_node": id_, "unsettled": so} for id_, so in changes.unsettled.items())
        self._each(self._statements.unsettled, unsettled)
        self._each(self._statements.seen, ({"of_node": id_, "last_seen": at} for id_, at in changes.seen.items()))

    def _releases(self, changes: Changes) -> None:
        for release in changes.releases:
            check_release(self._release(release.uid, release.generation), release)
        self._each(self._statements.release, map(values, changes.releases))

    def _assignments(self, changes: Changes) -> None:
        for withdrawn in changes.withdrawn:
            self._at_once(self._statements.withdraw, withdrawn.node_ids, of_uid=withdrawn.uid)
            self._at_once(self._statements.permits_gone, withdrawn.node_ids, of_uid=withdrawn.uid)
        for given in changes.given:
            check_given(self._release(given.uid, given.generation), given)
            check_known(given, self._known(given.node_ids))
            self._at_once(
                self._statements.give,
                given.node_ids,
                of_uid=given.uid,
                of_generation=given.generation,
                of_at=given.at,
            )
        held = ({"of_node": id_, "of_uid": uid, "of_body": digest} for id_, uid, digest in changes.held)
        self._each(self._statements.held, held)
        reported = (
            {
                "of_node": row.node_id,
                "of_uid": row.uid,
                "of_generation": row.generation,
                "status": row.status,
                "compliance": row.compliance,
                "drifted": row.drifted,
                "seq": row.seq,
            }
            for row in changes.reported
        )
        self._each(self._statements.reported, reported)

    def _leave(self, changes: Changes) -> None:
        self._each(self._statements.leave, map(values, changes.leaves))
        rows = map(values, changes.permits)
        self._each(self._statements.permit, ({**row, "of_node": row.pop("node_id")} for row in rows))

    def _states(self, changes: Changes) -> None:
        gone = ({"of_node": node_id, "of_uid": uid} for node_id, uid in changes.states_gone)
        self._each(self._statements.state_gone, gone)
        rows = map(values, changes.states)
        self._each(self._statements.state, ({**row, "of_node": row.pop("node_id")} for row in rows))

    def _inventory(self, changes: Changes) -> None:
        rows = map(values, changes.inventory)
        self._each(self._statements.inventory, ({**row, "of_node": row.pop("node_id")} for row in rows))

    def _lives(self, changes: Changes) -> None:
        """Retirement, and the serial of every node whose set changed."""
        self._at_once(self._statements.retire, changes.retired, of_at=changes.at)
        for statement in self._statements.retired_gone:
            self._at_once(statement, changes.retired)
        self._at_once(self._statements.serial, touched(changes))

    def _runs(self, changes: Changes) -> None:
        self._each(self._statements.command, map(values, changes.commands))
        self._each(self._statements.invocation, map(values, changes.invocations))
        self._each(self._statements.execution, map(values, changes.executions))
        self._each(self._statements.event, map(values, changes.events))

    def _outbox(self, changes: Changes) -> None:
        self._each(self._statements.effect, map(values, changes.effects))
        rows = map(values, changes.audit)
        self._each(self._statements.audit, ({name: row[name] for name in row if name != "number"} for row in rows))
        settings = ({"name": name, "value": value} for name, value in changes.settings.items())
        self._each(self._statements.setting, settings)

    def _each(self, statement: Executable, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run it once per row, in one call of the driver."""
        fleet = {"fleet_id": self._fleet_id, "of_fleet": self._fleet_id}
        listed = [{**fleet, **row} for row in rows]
        if listed:
            self._connection.execute(statement, listed)

    def _at_once(self, statement: Executable, node_ids: Iterable[str], **same: Any) -> None:
        """Run it for many nodes at a time, with the same values for all."""
        for some in chunks(node_ids):
            self._connection.execute(statement, {"of_fleet": self._fleet_id, "of_nodes": some, **same})

    def _known(self, node_ids: Iterable[str]) -> int:
        """How many of these ids are nodes."""
        return sum(self._one(int, queries.KNOWN, of_nodes=some) or 0 for some in chunks(node_ids))

    def _release(self, uid: str, generation: int) -> ReleaseRow | None:
        return self._one(ReleaseRow, queries.RELEASE, of_uid=uid, of_generation=generation)

    def _one(self, kind: Callable[..., _T], query: Select[Any], **parameters: Any) -> _T | None:
        row = self._connection.execute(query, {"of_fleet": self._fleet_id, **parameters}).one_or_none()
        return None if row is None else kind(*row)


def chunks(node_ids: Iterable[str]) -> Iterator[list[str]]:
    """The ids, each once and sorted, in lists that fit into a statement."""
    ids = sorted(set(node_ids))
    for start in range(0, len(ids), NODES_AT_ONCE):
        yield ids[start : start + NODES_AT_ONCE]
