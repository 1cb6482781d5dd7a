"""Inventory over a connection: announced by digest, sent where it is lacking; on disk, and there after a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.contract.inventory import Inventoried, Inventory, packed
from agent.link.inventory import InventoryTalk
from agent.state.inventory import Inventories

AT = "2026-01-0%dT00:00:00.000Z"


def collected(name: str = "Custom:Rack", day: int = 1, value: str = "B3") -> Inventory:
    return packed(name, "1.0", AT % day, [{"Location": value}])


class Talk:
    """A connection whose other end is the test."""

    def __init__(self, state: Path) -> None:
        self.kept = Inventories(str(state))
        self._said: list[str] = []
        self.talk = InventoryTalk(self.kept, self._said.append)

    def said(self) -> list[tuple[Any, ...]]:
        """(type, day, whether the content came with it) of each frame since the last time."""
        self.talk.send()
        found = [json.loads(text) for text in self._said]
        self._said.clear()
        return [(one["typeName"], int(one["captureTime"][9]), "content" in one) for one in found]


def test_each_type_is_announced_once_and_sent_where_it_is_lacking(tmp_path: Path) -> None:
    here, woken = Talk(tmp_path), []
    assert here.said() == []
    here.kept.changed = lambda: woken.append(True)
    here.kept.collected([collected(), collected("Custom:Owner")])
    assert woken == [True]
    assert here.said() == [("Custom:Owner", 1, False), ("Custom:Rack", 1, False)]
    here.talk.answered(Inventoried("Custom:Rack", collected().content_hash, lacking=True))
    here.talk.answered(Inventoried("Custom:Owner", collected().content_hash))
    assert here.said() == [("Custom:Rack", 1, True)]
    here.kept.collected([collected(day=2)])
    assert here.said() == [("Custom:Rack", 2, False)]


def test_an_answer_on_what_was_collected_before_is_late(tmp_path: Path) -> None:
    here = Talk(tmp_path)
    here.kept.collected([collected()])
    here.said()
    here.kept.collected([collected(value="B4")])
    here.said()
    here.talk.answered(Inventoried("Custom:Rack", collected().content_hash, lacking=True))
    here.talk.answered(Inventoried("Custom:None", collected().content_hash, lacking=True))
    here.talk.answered(Inventoried("Custom:Rack", collected(value="B4").content_hash, refused=True))
    assert here.said() == []


def test_it_is_there_after_a_restart_and_damage_costs_that_type_alone(tmp_path: Path) -> None:
    Talk(tmp_path).kept.collected([collected(), collected("Custom:Owner")])
    (tmp_path / "inventory" / "Custom:Owner").write_text("{")
    again = Talk(tmp_path)
    assert again.said() == [("Custom:Rack", 1, False)]
    assert again.kept.read("Custom:Rack") == collected()
    assert again.kept.read("Custom:Owner") is None
