"""Conflicts, against comparing every claim of every association with every other."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from agent.contract.claims import Claim, meet
from reconciler.capabilities.nodes.association import Compiled
from reconciler.core.manifest import read_one
from reconciler.core.problem import Place
from reconciler.documents.compile import Placed
from reconciler.engine.conflicts import conflicts

if TYPE_CHECKING:
    from reconciler.core.nodeset import NodeSet

STEPS = read_one(b"- one\n- two\n", "documents/x.yaml").places


def compiled(uid: str, claims: list[Claim]) -> Compiled:
    placed = tuple(Placed(claim, "step", STEPS, (1,)) for claim in claims)
    return Compiled(uid, b"", "", placed, "Document/x", {}, frozenset(), Place(f"{uid}.yaml", 1, 1))


def test_a_conflict_names_both_sides_and_the_nodes() -> None:
    motd = Claim("path", "/etc/motd")
    made = {uid: compiled(uid, [motd, Claim("unit", uid)]) for uid in ("b", "a", "c")}
    (found,) = conflicts(made, {"a": 0b0110, "b": 0b1100, "c": 0b0001})
    assert found.owned == "path:/etc/motd"
    assert (found.one.uid, found.other.uid, found.nodes) == ("a", "b", 0b0100)
    assert found.one.place == Place("documents/x.yaml", 2, 3)
    assert found.other.declared == Place("b.yaml", 1, 1)


def test_parts_meet_the_same_part_and_the_whole() -> None:
    def part(name: str) -> Claim:
        return Claim("path", "/etc/hosts", name, exclusive=False)

    made = {"a": compiled("a", [part("one")]), "b": compiled("b", [part("two")]), "c": compiled("c", [part("two")])}
    everywhere = dict.fromkeys("abcd", 0b1)
    assert [(each.owned, each.one.uid, each.other.uid) for each in conflicts(made, everywhere)] == [
        ("path:/etc/hosts#two", "b", "c")
    ]
    made["d"] = compiled("d", [Claim("path", "/etc/hosts")])
    assert [(each.owned, each.one.uid, each.other.uid) for each in conflicts(made, everywhere)] == [
        ("path:/etc/hosts#two", "b", "c"),
        ("path:/etc/hosts", "a", "d"),
        ("path:/etc/hosts", "b", "d"),
    ]


def test_many_that_claim_one_thing_are_each_named_once() -> None:
    made = {f"a{number:04}": compiled(f"a{number:04}", [Claim("path", "/etc/motd")]) for number in range(1000)}
    found = conflicts(made, dict.fromkeys(made, (1 << 1000) - 1))
    assert len(found) == 999
    assert {each.other.uid for each in found} == set(made) - {"a0000"}


CLAIMS = st.sampled_from(
    [
        Claim("path", "/a"),
        Claim("path", "/b"),
        Claim("path", "/a", "x", exclusive=False),
        Claim("path", "/a", "y", exclusive=False),
        Claim("unit", "/a"),
    ]
)


@given(st.lists(st.tuples(st.lists(CLAIMS, max_size=3), st.integers(0, 0b11111)), max_size=6))
def test_every_contested_claim_is_named(associations: list[tuple[list[Claim], NodeSet]]) -> None:
    made = {str(number): compiled(str(number), claims) for number, (claims, _) in enumerate(associations)}
    targets = {str(number): nodes for number, (_, nodes) in enumerate(associations)}
    expected: dict[str, NodeSet] = {}
    for one, other in combinations(made, 2):
        if any(meet(a.claim, b.claim) for a in made[one].claims for b in made[other].claims):
            for uid in (one, other):
                expected[uid] = expected.get(uid, 0) | targets[one] & targets[other]
    found: dict[str, NodeSet] = {}
    for conflict in conflicts(made, targets):
        assert conflict.nodes
        assert conflict.one.uid < conflict.other.uid
        assert not conflict.nodes & ~(targets[conflict.one.uid] & targets[conflict.other.uid])
        for side in (conflict.one, conflict.other):
            found[side.uid] = found.get(side.uid, 0) | conflict.nodes
    assert found == {uid: nodes for uid, nodes in expected.items() if nodes}
