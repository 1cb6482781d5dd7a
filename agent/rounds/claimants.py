"""Who owns what among all that a node holds: the second claimant of one thing is refused, by name.

The server finds such conflicts at plan time; this is the node's own guard. Which of two is the second does not depend
on when they came: associations stand in the order of their uid, steps in the order of their document.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Tuple

from agent.contract.claims import Claim, claims_of, meet
from agent.contract.codec import Malformed, from_wire
from agent.contract.inputs import action_of
from agent.contract.record import NamedTuple
from agent.contract.wire import Body, BodyStep


class Claimants(NamedTuple):
    """`refused` gives a reason by (uid, step name); `claims` are all that are held, as text."""

    refused: Mapping[Tuple[str, str], str]
    claims: FrozenSet[str]


class _Owner(NamedTuple):
    claim: Claim
    uid: str
    step: str


def claimants(bodies: Iterable[Body]) -> Claimants:
    """The owners of everything that these bodies claim."""
    refused: Dict[Tuple[str, str], str] = {}
    owners: Dict[str, List[_Owner]] = {}
    for body in sorted(bodies, key=lambda body: body.uid):
        for step in body.steps:
            claims = _claims(step)
            other = next((owner for claim in claims for owner in _met(claim, owners)), None)
            if other is not None:
                refused[body.uid, step.name] = _reason(other, body.uid)
                continue
            for claim in claims:
                owners.setdefault(claim.owned, []).append(_Owner(claim, body.uid, step.name))
    return Claimants(refused, frozenset(str(owner.claim) for held in owners.values() for owner in held))


def only(body: Body) -> Claimants:
    """The owners of what one body claims."""
    return claimants([body])


def inputs_of(step: BodyStep) -> Any:
    """The step's inputs as its action's type. Raises `Malformed`, or KeyError for an unknown action."""
    action = action_of(step.action)
    if action is None:
        raise KeyError(step.action)
    return from_wire(action.inputs, step.inputs, "inputs")


def _claims(step: BodyStep) -> List[Claim]:
    try:
        return list(dict.fromkeys(claims_of(step.action, inputs_of(step))))
    except (Malformed, KeyError):
        return []


def _met(claim: Claim, owners: Mapping[str, List[_Owner]]) -> Iterable[_Owner]:
    return (owner for owner in owners.get(claim.owned, ()) if meet(claim, owner.claim))


def _reason(other: _Owner, uid: str) -> str:
    where = "" if other.uid == uid else " of %s" % other.uid
    return "%s is already claimed by step %s%s; only one may own it" % (other.claim, other.step, where)
