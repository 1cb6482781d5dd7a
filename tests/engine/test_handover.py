"""Who has to wait because another association has not let go yet."""

from __future__ import annotations

from reconciler.core.effect import Assign, Withdraw
from reconciler.engine.handover import Obstacle, waiting

ONE, TWO = "Association/one", "Association/two"
IN_THE_WAY = Obstacle(ONE, TWO, "path:/etc/a", 0b1100)


def assign(uid: str, nodes: int) -> Assign:
    return Assign(uid, nodes, b"{}", "sha256:0", "c0")


def test_it_waits_where_the_other_does_not_move() -> None:
    assert waiting([assign(ONE, 0b0110), assign(TWO, 0b1000)], [IN_THE_WAY]) == [
        Obstacle(ONE, TWO, "path:/etc/a", 0b0100)
    ]


def test_it_does_not_where_the_other_is_assigned_or_withdrawn_at_once() -> None:
    assert waiting([assign(ONE, 0b1100), assign(TWO, 0b1000), Withdraw(TWO, 0b0100)], [IN_THE_WAY]) == []


def test_what_leaves_other_nodes_waits_all_the_same() -> None:
    assert waiting([assign(ONE, 0b1100), Withdraw(ONE, 0b0011)], [IN_THE_WAY]) == [IN_THE_WAY]


def test_who_waits_is_in_the_way_of_others() -> None:
    behind = Obstacle("Association/three", ONE, "path:/etc/c", 0b0100)
    effects = [assign("Association/three", 0b0100), assign(ONE, 0b0100)]
    assert waiting(effects, [behind, IN_THE_WAY]) == [Obstacle(ONE, TWO, "path:/etc/a", 0b0100), behind]
