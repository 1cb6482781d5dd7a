"""Whatever happens to it, the store in memory reads as the one on SQLite does, refusals included."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.contract.canonical import digest
from agent.contract.wire import STATUSES
from reconciler.adapters.store import MemoryStore, open_store
from reconciler.core.problem import Problem
from reconciler.core.records import (
    COMPLIANCES,
    AssignmentRow,
    AuditRow,
    Changes,
    EffectRow,
    Given,
    LeaveRow,
    NodeRow,
    PermitRow,
    ReleaseRow,
    StateRow,
    TokenRow,
    Withdrawn,
)
from tests.adapters.store.disks import BORN

if TYPE_CHECKING:
    from reconciler.core.ports import Store

IDS = ("mi-1", "mi-2", "mi-3", "mi-4")
UIDS = ("Association/a", "Association/b")
BODIES = {digest(data): data for data in (b"one", b"two", b"three")}

ids = st.sampled_from(IDS)
uids = st.sampled_from(UIDS)
digests = st.sampled_from(sorted(BODIES))
small = st.integers(0, 5)
generations = st.integers(1, 3)
labels = st.dictionaries(st.sampled_from(["Env", "Role"]), st.text(max_size=3), max_size=2)
nodes = st.builds(
    NodeRow,
    id=ids,
    name=st.sampled_from(["web", "db", *IDS]),
    sign_key=st.just("key"),
    seal_key=st.just("seal"),
    labels=labels,
    enrolled_at=small,
    serial=small,
    last_seen=st.none() | small,
    facts=st.sampled_from(["{}", '{"a":1}']),
    unsettled=st.booleans(),
)
released = {(uid, generation): sorted(BODIES)[generation % 3] for uid in UIDS for generation in (1, 2, 3)}


@st.composite
def releases(draw: st.DrawFn) -> ReleaseRow:
    uid, generation = draw(uids), draw(generations)
    right = st.just(released[uid, generation])
    body_digest = draw(right if draw(st.booleans()) else right | digests)
    return ReleaseRow(uid, generation, body_digest, "c", 1, draw(st.text(max_size=2)), draw(small))


@st.composite
def givens(draw: st.DrawFn) -> Given:
    uid, generation = draw(uids), draw(generations)
    return Given(uid, generation, released[uid, generation], tuple(draw(st.lists(ids, max_size=4))), draw(small))


reports = st.builds(
    AssignmentRow,
    node_id=ids,
    uid=uids,
    generation=generations,
    body_digest=st.just(""),
    given_at=small,
    status=st.sampled_from(STATUSES),
    compliance=st.sampled_from(COMPLIANCES),
    drifted=st.booleans(),
    seq=small,
)
states = st.builds(
    StateRow,
    node_id=ids,
    uid=uids,
    compliance=st.sampled_from(COMPLIANCES),
    status=st.sampled_from(STATUSES),
    reason=st.text(max_size=2),
    since=small,
    commit=st.just("c"),
    generation=generations,
)
leaves = st.builds(
    LeaveRow, uid=uids, permit=st.sampled_from(["none", "required"]), splay=small, heals=st.none() | small
)
permits = st.builds(
    PermitRow,
    node_id=ids,
    uid=uids,
    generation=generations,
    run_instant=st.sampled_from(["", "2026-01-01T00:00:00.000Z"]),
    granted_at=small,
    expires_at=small,
    status=st.sampled_from(["", "Success", "Failed"]),
)
tokens = st.builds(
    TokenRow,
    id=st.sampled_from(["t1", "t2"]),
    secret_digest=st.just("s"),
    created_at=small,
    expires_at=small,
    created_by=st.just("alice"),
    labels=labels,
    used_at=st.none() | small,
    used_key=st.sampled_from(["", "k1", "k2"]),
)
effects = st.builds(
    EffectRow,
    id=st.sampled_from(["e1", "e2", "e3"]),
    kind=st.just("Notify"),
    payload=st.just("{}"),
    cause_id=st.just("c"),
    subject=st.just("s"),
    created_at=small,
    attempts=small,
    outcome=st.sampled_from(["", "", "done"]),
)
audits = st.builds(
    AuditRow, at=small, subject=st.just("s"), verb=st.just("v"), object=st.text(max_size=2), outcome=st.just("ok")
)


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


changes = st.builds(
    Changes,
    at=small,
    nodes=some(nodes),
    releases=some(releases()),
    bodies=st.dictionaries(digests, st.none(), max_size=2).map(lambda named: {name: BODIES[name] for name in named}),
    given=some(givens()),
    withdrawn=some(st.builds(Withdrawn, uid=uids, node_ids=some(ids))),
    contexts=st.dictionaries(ids, digests, max_size=2),
    unsettled=st.dictionaries(ids, st.booleans(), max_size=2),
    restated=some(ids),
    reported=some(reports),
    held=some(st.tuples(ids, uids, digests)),
    states=some(states),
    states_gone=some(st.tuples(ids, uids)),
    retired=st.sampled_from([(), (), (), ("mi-4",)]),
    seen=st.dictionaries(ids, small, max_size=2),
    leaves=some(leaves),
    permits=some(permits),
    tokens=some(tokens),
    effects=some(effects),
    audit=some(audits),
    settings=st.dictionaries(st.sampled_from(["revision", "x"]), st.text(max_size=2), max_size=2),
)
BEGINNING = Changes(
    nodes=tuple(NodeRow(id_, id_, "key", "seal", {}, 0) for id_ in IDS),
    releases=tuple(ReleaseRow(uid, generation, body, "c", 1) for (uid, generation), body in released.items()),
)


def reads(store: Store) -> list[Any]:
    position = {id_: bit for bit, id_ in enumerate(IDS)}
    return [
        store.nodes(),
        [store.node(id_) for id_ in IDS],
        list(store.assignments()),
        [store.assignments_of(id_) for id_ in IDS],
        [store.assignment(id_, uid) for id_ in IDS for uid in UIDS],
        store.columns(position),
        store.states(),
        store.states(node_ids=IDS[:2], since=2),
        store.state(IDS[0], UIDS[0]),
        store.releases(),
        [store.release(uid, generation) for uid in UIDS for generation in (1, 2, 3)],
        [store.body(name) for name in BODIES],
        [store.token(name) for name in ("t1", "t2")],
        store.pending_effects(),
        store.audit(),
        store.audit(limit=2, before=3),
        store.settings(),
        store.leaves(),
        [store.leaves_of(id_) for id_ in IDS],
        store.permits(),
    ]


def outcome(store: Store, change: Changes) -> str:
    try:
        store.commit(change)
    except Problem as problem:
        return type(problem).__name__
    return "kept"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('stores')}/state.db"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sequence=st.lists(changes, min_size=1, max_size=6), peopled=st.booleans())
def test_a_sequence_of_changes_reads_the_same(url: str, sequence: list[Changes], peopled: bool) -> None:
    fleet = secrets.token_hex(8)  # a fleet of its own in one database: it sees nothing of the last one's
    memory, sqlite = MemoryStore(fleet, BORN), open_store(url, fleet, BORN)
    for store in (memory, sqlite):
        store.renew_lease("this test", BORN, 60)
    for change in [BEGINNING, *sequence] if peopled else sequence:
        assert outcome(memory, change) == outcome(sqlite, change)
        assert reads(memory) == reads(sqlite)
    assert memory.collect() == sqlite.collect()
    assert reads(memory) == reads(sqlite)
    for store in (memory, sqlite):
        store.close()


def test_a_sequence_that_is_refused_half_way_leaves_both_as_they_were() -> None:
    """Guards the property test itself: its changes are not all refused, and not all kept."""
    store = MemoryStore("fleet-1", BORN)
    store.renew_lease("this test", BORN, 60)
    assert outcome(store, BEGINNING) == "kept"
    assert outcome(store, replace(BEGINNING, releases=(ReleaseRow(UIDS[0], 1, sorted(BODIES)[0], "c", 1),))) == "Defect"
