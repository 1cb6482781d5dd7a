"""World's columns, against what the rows say one by one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from agent.contract.wire import STATUSES
from reconciler.core import nodeset
from reconciler.core.records import COMPLIANCES, Changes
from reconciler.core.world import Columns
from tests.adapters.store.rows import BODY, DIGEST, OTHER_BODY, OTHER_DIGEST, UID, given, node, release, said

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.core.ports import Store


def one_by_one(store: Store, position: Mapping[str, int]) -> dict[str, Columns]:
    """The slow way."""
    found: dict[str, Columns] = {}
    for row in store.assignments():
        if row.node_id not in position:
            continue
        bit = 1 << position[row.node_id]
        columns = found.setdefault(row.uid, Columns({}))
        on = {**columns.given, row.body_digest: columns.on(row.body_digest) | bit}
        sets = (columns.held, columns.reported, columns.converged, columns.failed, columns.drifted)
        flags = (row.held, row.reported, row.converged, row.failed, row.drifted)
        found[row.uid] = Columns(on, *(nodes | bit if flag else nodes for nodes, flag in zip(sets, flags, strict=True)))
    return found


def test_every_word_a_row_can_say(store: Store) -> None:
    words = [(status, compliance, drifted) for status in STATUSES for compliance in COMPLIANCES for drifted in (0, 1)]
    ids = [f"mi-{at:03}" for at in range(2 * len(words) + 2)]
    store.commit(
        Changes(
            nodes=tuple(node(id_) for id_ in ids),
            bodies={DIGEST: BODY, OTHER_DIGEST: OTHER_BODY},
            releases=(release(1), release(2, OTHER_DIGEST), release(3, DIGEST)),
            given=(given(ids[::3], 1), given(ids[1::3], 2, OTHER_DIGEST), given(ids[2::3], 3)),
        )
    )
    generation = {row.node_id: row.generation for row in store.assignments()}
    store.commit(
        Changes(
            reported=tuple(
                said(id_, 1, status, compliance, drifted=bool(drifted), generation=generation[id_])
                for id_, (status, compliance, drifted) in zip(ids, words * 2, strict=False)
            ),
            held=((ids[-1], UID, DIGEST), (ids[-1], UID, OTHER_DIGEST)),
        )
    )
    position = {id_: 3 * at + 1 for at, id_ in enumerate(reversed(ids))}
    columns = store.columns(position)
    assert columns == one_by_one(store, position)
    assert nodeset.size(columns[UID].anywhere) == len(ids)
    assert nodeset.size(columns[UID].failed) == 2 * 3 * 6
    assert set(columns[UID].given) == {DIGEST, OTHER_DIGEST}


def test_nodes_that_world_does_not_have_are_left_out(store: Store) -> None:
    other = release(uid="Association/other")
    store.commit(
        Changes(
            nodes=(node("mi-1"), node("mi-2")),
            releases=(release(), other),
            given=(given(["mi-1", "mi-2"]), given(["mi-2"], uid=other.uid)),
        )
    )
    assert store.columns({"mi-1": 5, "mi-9": 6}) == {UID: Columns({DIGEST: 1 << 5})}
    assert store.columns({}) == {}


@pytest.mark.parametrize("seed", range(4))
def test_positions_in_any_order_and_with_gaps(store: Store, seed: int) -> None:
    draw = random.Random(seed)
    ids = [f"mi-{at:03}" for at in range(60)]
    store.commit(
        Changes(
            nodes=tuple(node(id_) for id_ in ids),
            releases=(release(1), release(2, OTHER_DIGEST)),
            given=(given(draw.sample(ids, 40)), given(draw.sample(ids, 20), 2, OTHER_DIGEST)),
        )
    )
    left = [id_ for id_ in ids if draw.random() < 0.8]
    for order in (left, left[::-1], draw.sample(left, len(left))):
        position = {id_: bit * 2 + 1 if seed % 2 else bit for bit, id_ in enumerate(order)}
        assert store.columns(position) == one_by_one(store, position)
