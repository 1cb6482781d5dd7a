"""What one enrolled node is and holds, as the parts of the agent share it."""

from __future__ import annotations

from agent.clock import Clock
from agent.contract.record import NamedTuple
from agent.crypto import Signer
from agent.log import ERROR, log
from agent.state import identity
from agent.state.assignments import Assignments
from agent.state.contact import Contact
from agent.state.identity import Identity
from agent.state.inventory import Inventories
from agent.state.jobs import Jobs
from agent.state.journal import Journal
from agent.state.leave import Leave
from agent.state.questions import Questions


class Node(NamedTuple):
    """One node on its state directory."""

    identity: Identity
    signer: Signer
    assignments: Assignments
    journal: Journal
    contact: Contact
    clock: Clock
    leave: Leave
    jobs: Jobs
    inventory: Inventories
    questions: Questions


def open_node(state: str, clock: Clock, boot_id: str) -> Node:
    """The node of a state directory, its journal open.

    Raises `identity.NotEnrolled`, `identity.StateDamaged`, `lock.StateInUse`.
    """
    found, keys = identity.load(state), identity.load_keys(state)
    journal = Journal(state)
    if journal.damaged:
        log(ERROR, "the journal was damaged (%d bytes); the rest was kept", journal.damaged)
    contact = Contact(state, clock, boot_id)
    leave = Leave(state, found, contact, clock)
    assignments, jobs = Assignments(state, found), Jobs(state, found, clock.elapsed)
    assignments.also = jobs.bodies
    inventory, questions = Inventories(state), Questions(found, jobs.place)
    return Node(found, keys.signer(), assignments, journal, contact, clock, leave, jobs, inventory, questions)
