"""Who owns what among all that a node holds."""

from __future__ import annotations

from agent.rounds.claimants import claimants
from tests.agent.converging import body, step


def test_shared_parts_live_together_and_a_whole_excludes_them() -> None:
    one = body(step("ops:line", {"path": "/etc/hosts", "line": "a"}, name="a"), uid="Association/1")
    two = body(step("ops:line", {"path": "/etc/hosts", "line": "b"}, name="b"), uid="Association/2")
    same = body(step("ops:line", {"path": "/etc/hosts", "line": "b"}, name="c"), uid="Association/3")
    whole = body(step("ops:file", {"path": "/etc/hosts", "content": ""}, name="whole"), uid="Association/4")
    held = claimants([whole, same, two, one])
    assert held.claims == {"path:/etc/hosts#line:a", "path:/etc/hosts#line:b"}
    assert dict(held.refused) == {
        (
            "Association/3",
            "c",
        ): "path:/etc/hosts#line:b is already claimed by step b of Association/2; only one may own it",
        ("Association/4", "whole"): (
            "path:/etc/hosts#line:a is already claimed by step a of Association/1; only one may own it"
        ),
    }


def test_the_order_of_arrival_does_not_matter() -> None:
    bodies = [body(step("ops:user", {"name": "app"}), uid=f"Association/{n}") for n in range(4)]
    assert claimants(bodies) == claimants(reversed(bodies))
    assert set(claimants(bodies).refused) == {(f"Association/{n}", "it") for n in range(1, 4)}


def test_what_is_refused_owns_nothing_else() -> None:
    held = claimants(
        [
            body(step("ops:package", {"name": ["a"]}), uid="Association/1"),
            body(step("ops:package", {"name": ["a", "b"]}), uid="Association/2"),
            body(step("ops:package", {"name": ["b"]}), uid="Association/3"),
        ]
    )
    assert set(held.refused) == {("Association/2", "it")}
    assert held.claims == {"package:a", "package:b"}


def test_what_cannot_be_read_claims_nothing() -> None:
    held = claimants([body(step("ops:file", {"path": 7}), step("x:foo", {}), step("ops:script", {}, name="s"))])
    assert (dict(held.refused), set(held.claims)) == ({}, set())


def test_one_step_may_name_a_thing_twice() -> None:
    assert claimants([body(step("ops:package", {"name": ["a", "a"]}))]).refused == {}
