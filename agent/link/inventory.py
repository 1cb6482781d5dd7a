"""Inventory over one connection: each type is announced by its digest, its content sent where the server lacks it."""

from __future__ import annotations

from typing import Callable, Dict, Set

from agent.contract import frames
from agent.contract.inventory import Inventoried, Inventory
from agent.log import ERROR, log
from agent.state.inventory import Inventories


class InventoryTalk:
    """`say` takes a control frame."""

    def __init__(self, inventories: Inventories, say: Callable[[str], None]) -> None:
        self._inventories, self._say = inventories, say
        self._told: Dict[str, Inventory] = {}
        self._unanswered: Set[str] = set()

    def send(self) -> None:
        """Announce what was collected since it was announced last."""
        for head in self._inventories.heads():
            if self._told.get(head.type_name) != head:
                self._told[head.type_name] = head
                self._unanswered.add(head.type_name)
                self._say(frames.control(head))

    def waits(self) -> bool:
        """Whether anything is not announced yet, or announced and not answered for good."""
        return bool(self._unanswered) or any(
            self._told.get(head.type_name) != head for head in self._inventories.heads()
        )

    def answered(self, answer: Inventoried) -> None:
        """Send what the server lacks. An answer about what was collected before that is late."""
        head = self._told.get(answer.type_name)
        if head is None or head.content_hash != answer.content_hash:
            return
        if not answer.lacking:
            self._unanswered.discard(answer.type_name)
        if answer.refused:
            log(ERROR, "the server does not take the inventory %s", answer.type_name)
        elif answer.lacking:
            whole = self._inventories.read(answer.type_name)
            if whole is not None and whole.content_hash == answer.content_hash:
                self._say(frames.control(whole))
