"""Subjects and what they may: verb x kind x node selector, default deny."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.core.nodeset import EMPTY, NodeSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reconciler.core.select import Target

VERBS = (
    *("read", "plan", "apply", "enroll", "retire", "explain", "run", "cancel", "start", "approve", "signal", "stop"),
    *("decrypt", "session", "forward", "terminate"),
)
NO_FILES = ("Audit", "Automation", "Command", "Content")
"""What verbs are granted on besides the kinds that files declare: the audit's rows, executions of runbooks, commands,
and documents that somebody brings along."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks: `root@socket`, `alice`, `reconciler`. `everything` is held by the local socket's owner.

    With `role` it may what that role grants, and nothing else.
    """

    name: str
    everything: bool = False
    role: str = ""


RECONCILER = Subject("reconciler", everything=True)
SOCKET, ASSOCIATION, ROLE = "@socket", "Association/", "Role/"


def acting(name: str, assumed: str = "") -> Subject:
    """Whom something goes on for that somebody of this name began; no operator's name has `@` or `/` in it.

    `assumed` is `Role/NAME` where it has the rights of that role alone; any other text says nothing.
    """
    if assumed.startswith(ROLE):
        return Subject(name, role=assumed.removeprefix(ROLE))
    return Subject(name, everything=name.endswith(SOCKET) or name.startswith(ASSOCIATION))


@dataclass(frozen=True, slots=True)
class Grant:
    """These verbs on these kinds (`*` is all) and, for verbs that touch nodes, on the nodes these targets select."""

    role: str
    verbs: frozenset[str]
    kinds: frozenset[str]
    nodes: tuple[Target, ...]
    parameters: tuple[str, ...] = ()
    """Levels of the hierarchy of parameters: each stands for itself and all that is below it."""

    def reads(self, name: str) -> bool:
        """Whether a parameter is among those that the grant is for."""
        return any(level in ("/", name) or name.startswith(level.rstrip("/") + "/") for level in self.parameters)

    def covers(self, verb: str, kind: str) -> bool:
        return ("*" in self.verbs or verb in self.verbs) and ("*" in self.kinds or kind in self.kinds)


def may(subject: Subject, verb: str, kind: str, grants: Iterable[Grant]) -> bool:
    """Whether the subject may do this to any node at all."""
    return subject.everything or any(grant.covers(verb, kind) for grant in grants)


def reach(
    subject: Subject,
    verb: str,
    kind: str,
    grants: Iterable[Grant],
    everyone: NodeSet,
    resolve: Callable[[tuple[Target, ...]], NodeSet],
) -> NodeSet:
    """The nodes on which the subject may do this."""
    if subject.everything:
        return everyone
    found = EMPTY
    for grant in grants:
        if grant.covers(verb, kind):
            found |= resolve(grant.nodes)
    return found
