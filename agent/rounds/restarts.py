"""Which services of a body are to be restarted or reloaded, because a step that they name changed.

It is the ledger that remembers, from before the change until after the restart: a crash in between costs a restart too
many at worst, never one too few. Times are not compared, for clocks step and a package has no time; nor is what was
last loaded fingerprinted, for a look would then have to read what other steps have read already.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, Set, Tuple

from agent.contract.wire import Body, BodyStep
from agent.rounds.ledger import Ledger
from agent.rounds.look import Look

_WORDS = ("restartOn", "reloadOn")


class Restarts:
    """The waiting steps of one body, in one run."""

    def __init__(self, body: Body, ledger: Ledger) -> None:
        self._uid, self._ledger = body.uid, ledger
        self._waiting: Dict[str, FrozenSet[str]] = {}
        self._fresh: Set[Tuple[str, str]] = set()
        self.add(body.steps)

    def add(self, steps: Iterable[BodyStep]) -> None:
        """The body has these steps, too."""
        self._waiting.update((step.name, _named(step)) for step in steps if _named(step))

    def changed(self, step: BodyStep, looks: Iterable[Look]) -> FrozenSet[str]:
        """The steps that changed, or in a dry run would, since this one was last restarted for them."""
        named = self._waiting.get(step.name)
        if not named:
            return frozenset()
        now = {look.step.name for look in looks if look.changes and not look.problem and not look.skipped}
        return named & (now | set(self._ledger.owed(self._uid, step.name)))

    def before(self, look: Look) -> None:
        """The step is about to change; durable with the ledger's next `save`."""
        for name, named in self._waiting.items():
            if look.step.name in named and self._ledger.owe(self._uid, name, look.step.name):
                self._fresh.add((name, look.step.name))

    def after(self, look: Look) -> None:
        """The step was looked at again: where nothing of it changed, nobody restarts for it."""
        if look.problem and _told(look.left) == _told(look.changes):
            for name in self._waiting:
                if (name, look.step.name) in self._fresh:
                    self._ledger.settle(self._uid, name, look.step.name)

    def settle(self, step: BodyStep) -> None:
        """The step is as it should be, after everything that it names."""
        if step.name in self._waiting:
            self._ledger.settle(self._uid, step.name)

    def forget_others(self) -> None:
        """Drops what the body no longer asks for."""
        self._ledger.settle_all_but(self._uid, self._waiting)


def _named(step: BodyStep) -> FrozenSet[str]:
    lists = [step.inputs.get(word) for word in _WORDS]
    return frozenset(name for names in lists if isinstance(names, list) for name in names if isinstance(name, str))


def _told(changes: Iterable[Tuple[object, ...]]) -> Set[Tuple[object, ...]]:
    """Changes as people see them, without what only `apply` reads."""
    return {change[:3] for change in changes}
