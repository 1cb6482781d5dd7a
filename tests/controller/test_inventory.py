"""Inventory at the controller: kept once however many nodes have it, shown within reach, and nothing else taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.contract.inventory import Inventory, packed
from reconciler.core.access import Subject
from reconciler.core.problem import Refused
from tests.controller.house import ROOT, House, small
from tests.engine.repository import operator, role

ROLES = role("reader", "{verbs: [read], kinds: [Node], nodes: [web-1]}")
AT = "2026-01-0%dT00:00:00.000Z"


@pytest.fixture
def house() -> House:
    files = {"access/roles.yaml": ROLES, "access/operators.yaml": operator("alice", "reader")}
    house = House(small("web-1", "web-2", **files))
    house.join("web-1", "web-2")
    house.settle(3)
    return house


def collected(day: int = 1, value: str = "B3", name: str = "Custom:Rack") -> Inventory:
    return packed(name, "1.0", AT % day, [{"Location": value}])


def head(said: Inventory) -> Inventory:
    return replace(said, content=None)


def take(house: House, node: str, said: Inventory) -> str:
    answer = house.intake.inventoried(house.machines[node].id, said)
    assert (answer.type_name, answer.content_hash) == (said.type_name, said.content_hash)
    return "lacking" if answer.lacking else "refused" if answer.refused else "kept"


def shown(house: House, node: str, by: Subject = ROOT) -> dict[str, Any]:
    heads = house.service.inventory(by, node)
    types = [house.service.inventory_type(by, node, one["typeName"]) for one in heads]
    return {one["typeName"]: (one["captureTime"], one["content"]) for one in types}


def test_a_content_comes_once_and_then_only_its_time(house: House) -> None:
    assert shown(house, "web-1") == {}
    assert take(house, "web-1", head(collected())) == "lacking"
    assert shown(house, "web-1") == {}
    assert take(house, "web-1", collected()) == "kept"
    assert take(house, "web-1", head(collected(2))) == "kept"
    assert shown(house, "web-1") == {"Custom:Rack": (AT % 2, [{"Location": "B3"}])}
    assert take(house, "web-2", head(collected())) == "kept", "another node has it"
    assert take(house, "web-1", head(collected(3, "B4"))) == "lacking"
    assert take(house, "web-1", collected(3, "B4")) == "kept"
    assert shown(house, "web-1") == {"Custom:Rack": (AT % 3, [{"Location": "B4"}])}
    assert shown(house, "web-2") == {"Custom:Rack": (AT % 1, [{"Location": "B3"}])}


def test_a_node_cannot_name_what_is_no_inventory(house: House) -> None:
    body = house.service.node(ROOT, "web-1")["assignments"][0]
    digest = next(row.body_digest for row in house.disk.assignments() if row.uid == body["uid"])
    assert take(house, "web-1", Inventory("Custom:Rack", "1.0", AT % 1, digest)) == "lacking"


@pytest.mark.parametrize("wrong", [
    {"type_name": "Rack"}, {"type_name": "Custom:a/../b"}, {"schema_version": "x"}, {"capture_time": "yesterday"},
    {"content_hash": "sha256:0"}, {"content_hash": "sha256:" + "0" * 64}, {"content": "eA=="}, {"content": "?"},
])  # fmt: skip
def test_what_is_not_taken(house: House, wrong: dict[str, str]) -> None:
    with pytest.raises(Refused):
        house.intake.inventoried(house.machines["web-1"].id, replace(collected(), **wrong))
    assert shown(house, "web-1") == {}


def test_so_many_types_and_no_more(house: House) -> None:
    for number in range(40):
        take(house, "web-1", collected(name=f"Custom:T{number}"))
    with pytest.raises(Refused, match="40 types"):
        take(house, "web-1", collected(name="Custom:T40"))
    assert take(house, "web-1", collected(2, name="Custom:T7")) == "kept"


def test_who_may_read_a_node_may_read_what_it_collected(house: House) -> None:
    take(house, "web-1", collected())
    assert shown(house, "web-1", Subject("alice"))
    with pytest.raises(Refused):
        house.service.inventory(Subject("alice"), "web-2")
    with pytest.raises(Refused):
        house.service.inventory_type(Subject("alice"), "web-2", "Custom:Rack")
    with pytest.raises(Refused, match="there is no inventory Custom:None"):
        house.service.inventory_type(ROOT, "web-1", "Custom:None")


def test_a_retired_node_leaves_none(house: House) -> None:
    take(house, "web-1", collected())
    digest = collected().content_hash
    house.service.retire(ROOT, "web-1")
    assert not house.disk.is_inventory(digest)
    house.disk.collect()
    assert house.disk.body(digest) is None
