"""What is to come on this node, told from its files alone: next looks, next runs, reports that wait. Takes no lock."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Optional

from agent import durable
from agent.clock import SystemClock
from agent.contract.canonical import instant
from agent.contract.codec import Malformed, from_wire
from agent.contract.record import NamedTuple
from agent.contract.wire import AssignmentSet, Body
from agent.rounds import agenda
from agent.rounds.look import is_run
from agent.state.journal import RunInstant
from agent.state.objects import path_of
from agent.state.recordlog import scan

_BODY_AT_MOST = 4 * 1024 * 1024
_JOURNAL_AT_MOST = 256 * 1024 * 1024


class Journalled(NamedTuple):
    """What the journal says: run instants by association, and how many reports wait for the server."""

    instants: Dict[str, RunInstant]
    pending: int


class Next(NamedTuple):
    """Instants, as text; None for never, or for not known."""

    look: Optional[str]
    run: Optional[str]


def journalled(state: str) -> Journalled:
    """A journal that another process may be writing to."""
    instants: Dict[str, RunInstant] = {}
    waiting: Dict[int, bool] = {}
    try:
        records = scan(durable.read(os.path.join(state, "journal"), _JOURNAL_AT_MOST) or b"").records
    except (OSError, ValueError):
        return Journalled({}, 0)
    for record in records:
        value: Dict[str, Any] = json.loads(record.payload)
        if value["kind"] == "instant":
            instants[value["uid"]] = RunInstant(*value["instant"])
        elif value["kind"] == "report":
            waiting[value["report"]["seq"]] = True
        elif value["kind"] == "ack":
            waiting = {seq: True for seq in waiting if seq > value["seq"]}
    return Journalled(instants, len(waiting))


def next_of(state: str, node_id: str, held: AssignmentSet, uid: str, known: Journalled) -> Next:
    """When an association is looked at next by an agent that runs, and when its schedule asks for a run next."""
    clock = SystemClock()
    look = clock.now() + int((agenda.next_look(node_id, uid, held.interval, clock.elapsed()) - clock.elapsed()) * 1000)
    body = _body(state, held.assignments[uid].body_digest)
    run = None
    if body is not None and any(is_run(step) for step in body.steps):
        run = agenda.next_instant(body.schedule, known.instants.get(uid))
    if run is not None:
        run += int(agenda.place(node_id, uid) * held.assignments[uid].splay * 1000)
    return Next(instant(look), None if run is None else instant(run))


def _body(state: str, digest: str) -> Optional[Body]:
    try:
        data = durable.read(path_of(os.path.join(state, "held", "objects"), digest), _BODY_AT_MOST)
        return None if data is None else from_wire(Body, json.loads(data))
    except (OSError, ValueError, Malformed):
        return None
