"""What the controller knows, all of it changed on the loop only and read from anywhere.

The parts are frozen values: whoever takes `world` or `catalog` has a snapshot that no later change touches.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.contract.canonical import milliseconds

if TYPE_CHECKING:
    from reconciler.controller.progress import Apply
    from reconciler.core.condition import Condition
    from reconciler.core.records import LeaveRow
    from reconciler.core.world import World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.gate import Gated
    from reconciler.engine.plan import Plan

TOPICS = ("fetch", "access", "store", "compliance")
"""What can be wrong with the server's surroundings, in the order in which people are told."""


Pair = tuple[str, str]
"""A node's id and an association's uid."""


@dataclass(slots=True)
class NodeLife:
    """What is known of a node only while the process runs. Instants are Unix milliseconds.

    `ahead` is the (incarnation, serial) that the node holds and this store never gave it: it stays untouched.
    `checked_at` is when the node had looked at everything, by its own clock, `looked_at` the same by the server's.
    `removed_seq` numbers the last report of a removal, which no row remembers. `visited`: the server goes to it, and
    between two visits it is as much online as it was at the last, which says `reached`. `greeted_at` is when its last
    hello was, in seconds of the controller's clock.
    """

    connected: bool = False
    connected_at: int = 0
    last_seen: int | None = None
    checked_at: str = ""
    looked_at: int = 0
    features: tuple[str, ...] = ()
    ahead: tuple[int, int] | None = None
    removed_seq: int = -1
    visited: bool = False
    reached: bool = False
    greeted_at: float = 0.0


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """A hold on the whole fleet, as the store keeps it. One without `until` lifts those before it.

    `lasting` (Unix milliseconds) is when the last of all holds so far ends by itself.
    """

    number: int
    reason: str
    until: str
    lasting: int

    def of(self, at: int) -> tuple[str, str] | None:
        """(reason, until) while it holds anything."""
        return (self.reason, self.until) if self.until and milliseconds(self.until) > at else None


@dataclass(slots=True)
class State:
    """`catalog` is the one in force, None until a first commit was accepted; `head` is the newest fetched commit.

    `interval` is how often agents look, in seconds, `leaves` what they may do alone, until the `horizon` (Unix
    milliseconds), and `hold` the newest one put on all of them, as the store has them; `head_sync` is the head's
    word on who moves revisions. `dirty`: something may have to be done that the last round did not know of;
    `hurry`: there may be something new to fetch. `news` are the pairs whose state changed or went (without a uid: a
    node that has to be looked at) since compliance was last gathered. `failing` are associations whose body failed
    on a node that had never reported on it, since the last round. `calling` are the names of
    nodes that are being visited or are about to be; `unreached` says, by name, why a visit came to nothing.
    """

    world: World
    interval: int
    catalog: Catalog | None = None
    head: str | None = None
    head_sync: str | None = None
    fetched_at: int | None = None
    problems: dict[str, str] = field(default_factory=dict)
    plan: Plan | None = None
    gated: Gated | None = None
    dirty: bool = True
    hurry: bool = False
    lives: dict[str, NodeLife] = field(default_factory=dict)
    news: set[Pair] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    leaves: dict[str, LeaveRow] = field(default_factory=dict)
    horizon: int = 0
    hold: HoldRecord | None = None
    calling: frozenset[str] = frozenset()
    unreached: dict[str, str] = field(default_factory=dict)
    parameters_due: tuple[Condition, ...] = ()
    applies: OrderedDict[str, Apply] = field(default_factory=OrderedDict)

    def life(self, node_id: str) -> NodeLife:
        return self.lives.setdefault(node_id, NodeLife())

    def note(self, topic: str, problem: str = "") -> bool:
        """Have people told of a problem, or that there is none; whether that is news."""
        before = self.problems.get(topic, "")
        self.problems = {**self.problems, topic: problem}
        return before != problem

    @property
    def sync(self) -> str | None:
        """`auto` where commits come into force by themselves: both what is in force and the head have to say so."""
        said = {self.head_sync, self.catalog.fleet.sync if self.catalog is not None else None} - {None}
        return "manual" if "manual" in said else next(iter(said), None)

    @property
    def told(self) -> list[str]:
        """The problems there are. Compliance is written to where is fetched from: if that is down, it is said once."""
        problems = self.problems
        hidden = "compliance" if problems.get("fetch") else ""
        return [problems[topic] for topic in TOPICS if problems.get(topic) and topic != hidden]

    @property
    def waits(self) -> bool:
        """Whether something waits that a node's coming, going or word may set free."""
        return self.gated is not None and any(verdict.wait for verdict in self.gated.verdicts)
