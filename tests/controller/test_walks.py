"""The two walks: a change on its way to a node, a truth on its way back."""

from __future__ import annotations

from tests.controller.house import ROOT, House, seen, small
from tests.engine.repository import DOCUMENT, association, node

BASE = "Association/base"


def test_a_commit_reaches_the_nodes_and_what_came_of_it_comes_back() -> None:
    house = House(small("web-1", "db-1"))
    web, db = house.join("web-1", "db-1")
    assert house.given(BASE) == {"web-1", "db-1"}
    assert web.given == db.given
    house.settle(2)
    assert {row["name"]: row["compliance"] for row in house.service.nodes(ROOT)} == {
        "web-1": "COMPLIANT",
        "db-1": "COMPLIANT",
    }
    commit = house.push({"documents/motd.yaml": DOCUMENT.replace("hello", "bye")})
    house.settle(70)
    assert house.status()["revision"] == commit
    assert web.given[BASE][0] == db.given[BASE][0] == 2
    assert house.world.releases[BASE].commit == commit
    assert seen(house.restart().world)["releases"][BASE].generation == 2


def test_a_node_is_given_what_its_labels_ask_for() -> None:
    house = House(
        small(
            **{
                "associations/base.yaml": association("base", targets='"tag:Env=prod"'),
                "nodes/web-1.yaml": node("web-1", "{Env: prod}"),
                "nodes/db-1.yaml": node("db-1", "{Env: stage}"),
            }
        )
    )
    house.join("web-1", "db-1")
    house.join("from-a-token", labels={"Env": "prod"})
    house.settle(3)
    assert house.given(BASE) == {"web-1", "from-a-token"}
    assert house["db-1"].given == {}
    assert house["db-1"].context, "who is given nothing still has its labels and vars"


def test_what_leaves_the_targets_is_taken_away_and_reported_for_the_last_time() -> None:
    labelled = {f"nodes/n-{number}.yaml": node(f"n-{number}", "{Env: prod}") for number in range(12)}
    house = House(
        small(**{"associations/base.yaml": association("base", targets='"tag:Env=prod"', maxConcurrency='"100%"')})
        | labelled
    )
    house.join(*(f"n-{number}" for number in range(12)))
    house.settle(3)
    assert len(house.given(BASE)) == 12
    house.push({"nodes/n-3.yaml": node("n-3", "{Env: stage}")})
    house.settle(70)
    assert house["n-3"].given == {}
    assert "n-3" not in house.given(BASE)
    assert [row[1:] for row in house.audit("removed")] == [(BASE, "Success")]
    assert house.disk.state(house["n-3"].id, BASE) is None


def test_an_interval_reaches_every_node_with_a_new_serial() -> None:
    house = House(small("web-1"))
    (web,) = house.join("web-1")
    before = web.position
    assert house.intake.desired(web.id).interval == 1800
    house.push(
        {"fleet.yaml": "apiVersion: ops/v1\nkind: Fleet\nmetadata: {name: acme}\nspec: {agent: {interval: 60}}\n"}
    )
    house.tick(70)
    assert web.position > before
    assert house.intake.desired(web.id).interval == 60
    house.forget_mirror()
    house.remote.down = "for good"
    house.restart()
    assert house.intake.desired(web.id).interval == 60, "and it is remembered while Git is away"


def test_bytes_are_for_nodes_that_were_given_them() -> None:
    house = House(
        small("web-1", "db-1")
        | {
            "files/index.html": "hello",
            "documents/page.yaml": 'schemaVersion: "2.2"\nmainSteps:\n- name: page\n  action: ops:file\n'
            "  inputs: {path: /srv/index.html, source: files/index.html}\n",
            "associations/page.yaml": association("page", "page", targets="web-1"),
        }
    )
    web, db = house.join("web-1", "db-1")
    house.settle(2)
    _, body = web.given["Association/page"]
    data = house.intake.content(web.id, body)
    assert data is not None
    assert b"files/index.html" in data
    import json

    file = json.loads(data)["files"]["files/index.html"]["digest"]
    assert house.intake.content(web.id, file) == b"hello"
    assert house.intake.content(db.id, body) is None
    assert house.intake.content(db.id, file) is None
    assert house.intake.content(db.id, web.context) is None
    assert house.intake.content("mi-nobody", file) is None
