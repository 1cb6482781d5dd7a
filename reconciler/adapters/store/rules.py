"""What both stores hold to, whatever the engine decided: what they refuse, and whose serial grows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agent.contract.canonical import digest, instant
from reconciler.core.ports import ONE_LEADER
from reconciler.core.problem import Defect, Refused

if TYPE_CHECKING:
    from reconciler.core.records import Changes, Given, ReleaseRow, TokenRow


def touched(changes: Changes) -> list[str]:
    """Nodes whose assignment set these changes alter: each once, sorted."""
    ids: set[str] = {*changes.contexts, *changes.restated, *changes.retired}
    for given in changes.given:
        ids.update(given.node_ids)
    for withdrawn in changes.withdrawn:
        ids.update(withdrawn.node_ids)
    return sorted(ids)


def check_body(named: str, data: bytes) -> None:
    if digest(data) != named:
        raise Defect(f"a body was named {named}, but its digest is {digest(data)}")


def check_release(known: ReleaseRow | None, release: ReleaseRow) -> None:
    """A generation stands for one body, for ever: agents compare generations, not times."""
    if known is not None and known.body_digest != release.body_digest:
        raise Defect(f"generation {release.generation} of {release.uid} was released with another body already")


def check_given(released: ReleaseRow | None, given: Given) -> None:
    if released is None or released.body_digest != given.body_digest:
        raise Defect(f"generation {given.generation} of {given.uid} was given with a body that it is not released with")


def check_known(given: Given, known: int) -> None:
    """`known`: how many of the nodes it names there are."""
    if known != len(set(given.node_ids)):
        raise Defect(f"{given.uid} was given to a node that is not enrolled")


def check_token(known: TokenRow | None, token: TokenRow) -> None:
    """The last guard of single use, inside the transaction that enrols the node."""
    if known is not None and known.used_at is not None and known.used_key != token.used_key:
        raise Refused(
            "the join token was used already", "tokens are used once", "ask for a new one: opsctl token create"
        )


def not_held() -> Refused:
    return Refused("a change of the store without its lease", ONE_LEADER, "take the lease first")


def led_by(holder: str, until: int) -> Refused:
    return Refused(f"this state is led by {holder} until {instant(until)}", ONE_LEADER, "stop that daemon first")


def lost_to(holder: str) -> Refused:
    return Refused(f"the lease on this state was taken by {holder}", ONE_LEADER, "end this daemon; the other one leads")


def files_named_by(body: bytes) -> set[str]:
    """Digests of the files that a body's steps are given, which are kept as long as it is."""
    if b'"files":' not in body:
        return set()
    content = json.loads(body)
    return {file["digest"] for file in content.get("files", {}).values()}
