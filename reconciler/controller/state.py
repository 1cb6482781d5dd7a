"""What the controller knows, all of it owned by the loop's thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.core.nodeset import NodeSet
    from reconciler.core.world import World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.gate import Gated
    from reconciler.engine.plan import Plan


@dataclass(slots=True)
class Apply:
    """One request to apply, followed until every node that is online has answered.

    `pairs` are the nodes per association and body that it set out to change.
    """

    id: str
    subject: str
    commit: str
    at: int
    pairs: dict[tuple[str, str], NodeSet]
    removals: int
    dropped: list[str] = field(default_factory=list)


@dataclass(slots=True)
class NodeLife:
    """What is known of a node only while the process runs."""

    connected_at: int | None = None
    last_seen: int | None = None
    checked_at: str = ""
    last_seq: int = -1


@dataclass(slots=True)
class State:
    """`catalog` is the one in force; None until a first commit was accepted. `head` is the newest fetched commit."""

    world: World
    catalog: Catalog | None = None
    head: str | None = None
    fetched_at: int | None = None
    fetch_problem: str = ""
    access_problem: str = ""
    plan: Plan | None = None
    gated: Gated | None = None
    dirty: bool = True
    lives: dict[str, NodeLife] = field(default_factory=dict)
    applies: dict[str, Apply] = field(default_factory=dict)
    state_changes: int = 0

    def life(self, node_id: str) -> NodeLife:
        return self.lives.setdefault(node_id, NodeLife())
