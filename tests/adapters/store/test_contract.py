"""What every store keeps and refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from agent.contract.canonical import canonical, digest
from reconciler.core.commands import CommandRow, InvocationRow
from reconciler.core.executions import EventRow, ExecutionRow
from reconciler.core.problem import Defect, Refused
from reconciler.core.records import AssignmentRow, AuditRow, Changes, InventoryRow, LeaveRow, PermitRow, Withdrawn
from tests.adapters.store import disks
from tests.adapters.store.rows import (
    BODY,
    DIGEST,
    OTHER_DIGEST,
    UID,
    effect,
    given,
    node,
    peopled,
    release,
    said,
    state,
    token,
)

if TYPE_CHECKING:
    from reconciler.core.ports import Store


def row_of(store: Store, node_id: str) -> AssignmentRow:
    (row,) = store.assignments_of(node_id)
    return row


def serial_of(store: Store, node_id: str) -> int:
    row = store.node(node_id)
    assert row is not None
    return row.serial


class TestNodes:
    def test_a_new_node_is_kept_as_it_is(self, store: Store) -> None:
        row = node("mi-1", labels={"Env": "prod", "Ä": ""}, facts='{"a":1}', serial=3, context_digest=DIGEST)
        store.commit(Changes(nodes=(row,)))
        assert store.node("mi-1") == row
        assert store.node("mi-2") is None

    def test_nodes_come_in_the_order_of_enrolment(self, store: Store) -> None:
        store.commit(Changes(nodes=(node("mi-2"), node("mi-1"))))
        store.commit(Changes(nodes=(node("mi-0"), node("mi-2", "renamed"))))
        assert [row.id for row in store.nodes()] == ["mi-2", "mi-1", "mi-0"]

    def test_what_a_known_node_says_leaves_what_the_store_counts(self, store: Store) -> None:
        store.commit(peopled("mi-1"))
        store.commit(Changes(contexts={"mi-1": DIGEST}, seen={"mi-1": 50}))
        store.commit(Changes(nodes=(node("mi-1", enrolled_at=99, agent_version="2.0", facts='{"b":2}', last_seen=40),)))
        row = store.node("mi-1")
        assert row is not None
        assert (row.agent_version, row.facts) == ("2.0", '{"b":2}')
        assert (row.enrolled_at, row.serial, row.context_digest, row.last_seen) == (5, 2, DIGEST, 50)

    def test_last_seen_only_grows(self, store: Store) -> None:
        store.commit(Changes(nodes=(node("mi-1"),)))
        seen = []
        for at in (20, 10, 30):
            store.commit(Changes(seen={"mi-1": at, "mi-unknown": at}))
            seen.append(store.nodes()[0].last_seen)
        assert seen == [20, 20, 30]

    def test_two_live_nodes_never_share_a_name(self, store: Store) -> None:
        store.commit(Changes(nodes=(node("mi-1", "web"),)))
        with pytest.raises(Defect):
            store.commit(Changes(nodes=(node("mi-2", "web"),)))
        store.commit(Changes(at=70, retired=("mi-1",)))
        store.commit(Changes(nodes=(node("mi-2", "web"),)))
        assert [row.retired_at for row in store.nodes()] == [70, None]

    def test_whether_a_node_has_settled_is_said_apart_from_what_it_says(self, store: Store) -> None:
        store.commit(Changes(nodes=(node("mi-1"), node("mi-2", unsettled=True))))
        store.commit(Changes(unsettled={"mi-1": True, "mi-2": False, "mi-unknown": True}))
        store.commit(Changes(nodes=(node("mi-1"),)))
        assert [row.unsettled for row in store.nodes()] == [True, False]
        assert [row.serial for row in store.nodes()] == [0, 0]

    def test_what_is_stated_anew_counts(self, store: Store) -> None:
        store.commit(Changes(nodes=(node("mi-1"), node("mi-2"))))
        store.commit(Changes(restated=("mi-1", "mi-unknown"), contexts={"mi-1": DIGEST}))
        assert [row.serial for row in store.nodes()] == [1, 0]

    def test_retirement_takes_assignments_and_states_and_counts(self, store: Store) -> None:
        store.commit(peopled("mi-1", "mi-2"))
        store.commit(Changes(states=(state("mi-1"), state("mi-2"))))
        store.commit(Changes(at=70, retired=("mi-1",)))
        store.commit(Changes(at=80, retired=("mi-1",)))
        row = store.node("mi-1")
        assert row is not None
        assert (row.retired_at, row.serial) == (70, 3)
        assert store.assignments_of("mi-1") == []
        assert [row.node_id for row in store.states()] == ["mi-2"]
        assert [row.node_id for row in store.assignments()] == ["mi-2"]


class TestAssignments:
    def test_one_pair(self, store: Store) -> None:
        store.commit(peopled("mi-1", "mi-2"))
        assert store.assignment("mi-2", UID) == AssignmentRow("mi-2", UID, 1, DIGEST, 9)
        assert store.assignment("mi-2", "Association/other") is None
        assert store.assignment("mi-unknown", UID) is None

    def test_given_nodes_have_heard_nothing_yet(self, store: Store) -> None:
        store.commit(peopled("mi-1", "mi-2"))
        assert row_of(store, "mi-1") == AssignmentRow("mi-1", UID, 1, DIGEST, 9)
        assert [row.node_id for row in store.assignments()] == ["mi-1", "mi-2"]
        assert [serial_of(store, id_) for id_ in ("mi-1", "mi-2")] == [1, 1]

    def test_a_serial_grows_once_whatever_changes_together(self, store: Store) -> None:
        store.commit(peopled("mi-1", "mi-2", "mi-3"))
        other = release(uid="Association/other")
        store.commit(
            Changes(
                releases=(other,),
                given=(given(["mi-1"], 2, OTHER_DIGEST), given(["mi-1"], uid=other.uid)),
                withdrawn=(Withdrawn(UID, ("mi-2",)),),
                contexts={"mi-1": DIGEST, "mi-2": DIGEST},
            )
        )
        assert [serial_of(store, id_) for id_ in ("mi-1", "mi-2", "mi-3")] == [2, 2, 1]

    def test_a_new_generation_forgets_what_was_said_of_the_last(self, store: Store) -> None:
        store.commit(peopled("mi-1"))
        store.commit(Changes(reported=(said("mi-1", 4),)))
        store.commit(Changes(given=(given(["mi-1"], 2, OTHER_DIGEST, at=30),)))
        assert row_of(store, "mi-1") == AssignmentRow("mi-1", UID, 2, OTHER_DIGEST, 30, seq=4)

    def test_giving_what_a_node_has_keeps_its_word(self, store: Store) -> None:
        store.commit(peopled("mi-1"))
        store.commit(Changes(reported=(said("mi-1", 4),)))
        before = row_of(store, "mi-1")
        store.commit(Changes(given=(given(["mi-1"], at=30),)))
        assert row_of(store, "mi-1") == before
        assert serial_of(store, "mi-1") == 2

    def test_withdrawn_is_gone_and_given_anew_starts_anew(self, store: Store) -> None:
        store.commit(peopled("mi-1"))
        store.commit(Changes(reported=(said("mi-1", 4),)))
        store.commit(Changes(withdrawn=(Withdrawn(UID, ("mi-1", "mi-unknown")),)))
        assert store.assignments_of("mi-1") == []
        store.commit(Changes(given=(given(["mi-1"]),)))
        assert row_of(store, "mi-1") == AssignmentRow("mi-1", UID, 1, DIGEST, 9)

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(Changes(given=(given(["mi-unknown"]),)), id="unknown node"),
            pytest.param(Changes(given=(given(["mi-1"], 3),)), id="generation not released"),
            pytest.param(Changes(given=(given(["mi-1"], 1, OTHER_DIGEST),)), id="another body"),
            pytest.param(Changes(releases=(release(1, OTHER_DIGEST),)), id="a generation changes its body"),
            pytest.param(Changes(bodies={OTHER_DIGEST: BODY}), id="a body under another digest"),
            pytest.param(Changes(states=(state("mi-unknown"),)), id="state of an unknown node"),
            pytest.param(Changes(reported=(said("mi-1", 1, "Splendid"),)), id="unknown status"),
        ],
    )
    def test_what_cannot_be_is_a_defect_and_changes_nothing(self, store: Store, change: Changes) -> None:
        store.commit(peopled("mi-1"))
        beside = Changes(settings={"revision": "x"}, seen={"mi-1": 1}, bodies=change.bodies or {DIGEST: BODY})
        with pytest.raises(Defect):
            store.commit(replace(change, settings=beside.settings, seen=beside.seen, bodies=beside.bodies))
        assert store.settings() == {}
        assert store.nodes() == [replace(node("mi-1"), serial=1)]
        assert row_of(store, "mi-1") == AssignmentRow("mi-1", UID, 1, DIGEST, 9)
        assert store.release(UID, 1) == release(1)


class TestWords:
    def test_a_report_is_kept_and_means_held(self, store: Store) -> None:
        store.commit(peopled("mi-1"))
        store.commit(Changes(reported=(said("mi-1", 4, "Failed", "NON_COMPLIANT", drifted=True),)))
        row = row_of(store, "mi-1")
        assert (row.held, row.status, row.compliance, row.drifted, row.seq) == (
            True,
            "Failed",
            "NON_COMPLIANT",
            True,
            4,
        )
        assert (row.body_digest, row.given_at) == (DIGEST, 9)

    @pytest.mark.parametrize(
        "late",
        [
            pytest.param(said("mi-1", 3, "Failed"), id="older"),
            pytest.param(said("mi-1", 4, "Failed"), id="the same again"),
            pytest.param(said("mi-1", 9, "Failed", generation=2), id="a generation it was not given"),
            pytest.param(said("mi-2", 9, "Failed"), id="a node without it"),
            pytest.param(said("mi-unknown", 9, "Failed"), id="an unknown node"),
        ],
    )
    def test_an_older_word_is_history(self, store: Store, late: AssignmentRow) -> None:
        store.commit(peopled("mi-1"))
        store.commit(Changes(nodes=(node("mi-2"),), reported=(said("mi-1", 4),)))
        before = list(store.assignments())
        store.commit(Changes(reported=(late,)))
        assert list(store.assignments()) == before

    def test_a_word_on_the_generation_before_is_history(self, store: Store) -> None:
        store.commit(peopled("mi-1"))
        store.commit(Changes(given=(given(["mi-1"], 2, OTHER_DIGEST),)))
        store.commit(Changes(reported=(said("mi-1", 4, generation=1),)))
        assert not row_of(store, "mi-1").reported

    def test_of_several_words_at_once_the_newest_stays(self, store: Store) -> None:
        store.commit(peopled("mi-1"))
        store.commit(Changes(reported=(said("mi-1", 4, "Failed"), said("mi-1", 6), said("mi-1", 5, "TimedOut"))))
        assert (row_of(store, "mi-1").status, row_of(store, "mi-1").seq) == ("Success", 6)

    def test_held_counts_for_the_body_that_was_given(self, store: Store) -> None:
        store.commit(peopled("mi-1", "mi-2"))
        store.commit(Changes(held=(("mi-1", UID, DIGEST), ("mi-2", UID, OTHER_DIGEST), ("mi-3", UID, DIGEST))))
        assert [row.held for row in store.assignments()] == [True, False]


class TestStates:
    def test_states_are_replaced_and_go(self, store: Store) -> None:
        store.commit(peopled("mi-1", "mi-2"))
        store.commit(Changes(states=(state("mi-2"), state("mi-1"), state("mi-1", uid="Association/z"))))
        newer = replace(state("mi-1", "NON_COMPLIANT", 200), reason="DiskFull", findings='[{"claim":"path:/x"}]')
        store.commit(Changes(states=(newer,), states_gone=(("mi-2", UID), ("mi-9", UID))))
        assert store.states() == [newer, state("mi-1", uid="Association/z")]
        assert store.state("mi-1", UID) == newer
        assert store.state("mi-2", UID) is None

    def test_gone_and_back_in_one_transaction_is_back(self, store: Store) -> None:
        store.commit(peopled("mi-1"))
        store.commit(Changes(states_gone=(("mi-1", UID),), states=(state("mi-1"),)))
        assert store.states() == [state("mi-1")]

    def test_states_of_some_nodes_and_since(self, store: Store) -> None:
        ids = [f"mi-{number:04}" for number in range(1200)]
        store.commit(Changes(nodes=tuple(node(id_) for id_ in ids)))
        store.commit(Changes(states=tuple(state(id_, since=at) for at, id_ in enumerate(ids))))
        assert [row.node_id for row in store.states(since=1198)] == ids[1198:]
        assert [row.node_id for row in store.states(node_ids=iter(ids[::-1]), since=100)] == ids[100:]
        assert [row.node_id for row in store.states(node_ids=[ids[7], ids[3], ids[3]])] == [ids[3], ids[7]]
        assert store.states(node_ids=[]) == []


class TestBodiesAndReleases:
    def test_newest_releases_and_each(self, store: Store) -> None:
        other = release(uid="Association/aaa")
        store.commit(Changes(releases=(release(2, OTHER_DIGEST), release(1), other, release(10))))
        assert store.releases() == [other, release(10)]
        assert store.release(UID, 2) == release(2, OTHER_DIGEST)
        assert store.release(UID, 3) is None

    def test_a_release_may_be_held_later(self, store: Store) -> None:
        store.commit(Changes(releases=(release(1),)))
        store.commit(Changes(releases=(replace(release(1), held_for="too many failed", released_at=99, tolerated=3),)))
        assert store.release(UID, 1) == replace(release(1, held_for="too many failed"), tolerated=3)

    def test_bodies_by_digest(self, store: Store) -> None:
        store.commit(Changes(bodies={DIGEST: BODY}))
        store.commit(Changes(bodies={DIGEST: BODY}))
        assert store.body(DIGEST) == BODY
        assert store.body(OTHER_DIGEST) is None

    def test_bodies_that_nothing_names_are_collected(self, store: Store) -> None:
        bodies = {digest(data): data for data in (b"0", b"1", b"2", b"3", b"4", b"5")}
        assigned, between, newest, context, alone, _ = digests = list(bodies)
        store.commit(
            Changes(
                nodes=(node("mi-1"),),
                bodies=bodies,
                releases=tuple(release(at + 1, body) for at, body in enumerate(digests[:3])),
                given=(given(["mi-1"], 1, assigned),),
                contexts={"mi-1": context},
            )
        )
        assert store.collect() == 3
        assert [store.body(body) is not None for body in digests] == [True, False, True, True, False, False]
        assert store.collect() == 0
        assert {store.body(between), store.body(alone)} == {None}
        assert store.body(newest) == bodies[newest]

    def test_files_are_kept_as_long_as_a_body_names_them(self, store: Store) -> None:
        file, old_file = b"content", b"former content"
        body, old_body = (
            canonical({"files": {"files/a": {"digest": digest(data), "size": 7}}}) for data in (file, old_file)
        )
        bodies = {digest(data): data for data in (file, old_file, body, old_body)}
        releases = (release(1, digest(old_body)), release(2, digest(body)))
        store.commit(Changes(bodies=bodies, releases=releases))
        assert store.collect() == 2
        assert store.body(digest(file)) == file
        assert (store.body(digest(old_file)), store.body(digest(old_body))) == (None, None)


class TestLeave:
    def test_leaves_are_replaced_and_those_of_a_node_are_of_what_it_has(self, store: Store) -> None:
        store.commit(peopled("mi-1", "mi-2"))
        store.commit(Changes(leaves=(LeaveRow(UID, "required", 60, 10), LeaveRow("Association/other"))))
        store.commit(Changes(leaves=(LeaveRow(UID, "none", 30),), withdrawn=(Withdrawn(UID, ("mi-2",)),)))
        assert store.leaves() == [LeaveRow(UID, "none", 30, None), LeaveRow("Association/other", "none", 0, None)]
        assert store.leaves_of("mi-1") == [LeaveRow(UID, "none", 30)]
        assert store.leaves_of("mi-2") == []

    def test_a_node_has_one_permit_of_an_association(self, store: Store) -> None:
        store.commit(peopled("mi-1", "mi-2"))
        first, second = (PermitRow("mi-1", UID, 1, instant, 5, 9) for instant in ("", "2026-01-01T00:00:00.000Z"))
        store.commit(Changes(permits=(first, PermitRow("mi-2", UID, 1, "", 5, 9))))
        store.commit(Changes(permits=(second,)))
        store.commit(Changes(permits=(replace(second, status="Failed"),)))
        assert store.permits() == [replace(second, status="Failed"), PermitRow("mi-2", UID, 1, "", 5, 9)]

    def test_permits_go_with_the_association_and_with_the_node(self, store: Store) -> None:
        store.commit(peopled("mi-1", "mi-2", "mi-3"))
        store.commit(Changes(permits=tuple(PermitRow(f"mi-{number}", UID, 1, "", 5, 9) for number in (1, 2, 3))))
        store.commit(Changes(withdrawn=(Withdrawn(UID, ("mi-1",)),), retired=("mi-2",)))
        assert [row.node_id for row in store.permits()] == ["mi-3"]


class TestOutbox:
    def test_old_ones_are_forgotten_where_they_ended(self, store: Store) -> None:
        store.commit(Changes(effects=(effect("ended", outcome="done"), effect("waits"))))
        store.commit(Changes(audit=tuple(AuditRow(at, "alice", "apply", f"o{at}", "ok", "r", "d") for at in (5, 6))))
        assert store.collect(effects_before=3, audit_before=5) == 0
        assert store.collect(effects_before=4, audit_before=6) == 2
        assert store.pending_effects() == [effect("waits")]
        assert [row.object for row in store.audit()] == ["o6"]
        store.commit(Changes(audit=(AuditRow(7, "alice", "apply", "o7", "ok", "r", "d"),)))
        assert [(row.object, row.number) for row in store.audit()] == [("o7", 3), ("o6", 2)]

    def test_pending_until_an_outcome_in_order(self, store: Store) -> None:
        store.commit(Changes(effects=(effect("z"), effect("a"))))
        store.commit(Changes(effects=(effect("m"),)))
        assert store.pending_effects() == [effect("z"), effect("a"), effect("m")]
        store.commit(Changes(effects=(effect("a", attempts=1), effect("z", attempts=1, outcome="done"))))
        assert store.pending_effects() == [effect("a", attempts=1), effect("m")]

    def test_an_outcome_stays_when_the_cause_comes_again(self, store: Store) -> None:
        store.commit(Changes(effects=(effect("a", attempts=2, outcome="done"),)))
        store.commit(Changes(effects=(effect("a"),)))
        assert store.pending_effects() == []

    def test_audit_newest_first_and_in_pages(self, store: Store) -> None:
        rows = tuple(AuditRow(5, "alice", "apply", f"o{at}", "ok", "r", "d") for at in range(5))
        store.commit(Changes(audit=rows[:2]))
        store.commit(Changes(audit=rows[2:]))
        page = store.audit(limit=2)
        assert [row.object for row in page] == ["o4", "o3"]
        rest = store.audit(before=page[-1].number)
        assert [replace(row, number=0) for row in rest] == list(rows[2::-1])

    def test_settings(self, store: Store) -> None:
        store.commit(Changes(settings={"revision": "a", "accessRevision": "b"}))
        store.commit(Changes(settings={"revision": "c"}))
        assert store.settings() == {"revision": "c", "accessRevision": "b"}


class TestTokens:
    def test_a_token_is_kept(self, store: Store) -> None:
        row = token(node_name="web", labels={"Role": "web"})
        store.commit(Changes(tokens=(row,)))
        assert store.token("t1") == row
        assert store.token("t2") is None

    def test_a_token_is_used_once(self, store: Store) -> None:
        store.commit(Changes(tokens=(token(),)))
        used = token(used_at=5, used_key="key-1", node_id="mi-1")
        store.commit(Changes(tokens=(used,)))
        store.commit(Changes(tokens=(used,)))
        with pytest.raises(Refused, match="used already"):
            store.commit(Changes(nodes=(node("mi-2"),), tokens=(token(used_at=6, used_key="key-2", node_id="mi-2"),)))
        assert store.token("t1") == used
        assert store.nodes() == []


class TestDisk:
    def test_everything_outlives_the_object(self, disk: disks.Disk) -> None:
        store = disk.open()
        store.renew_lease("first", disks.BORN, 60)
        store.commit(peopled("mi-1"))
        store.commit(
            Changes(reported=(said("mi-1", 4),), states=(state("mi-1"),), tokens=(token(),), effects=(effect(),))
        )
        kept = (store.nodes(), list(store.assignments()), store.states(), store.releases(), store.pending_effects())
        store.close()
        again = disk.open(at=disks.BORN + 5)
        assert again.incarnation == disks.BORN
        assert kept == (
            again.nodes(),
            list(again.assignments()),
            again.states(),
            again.releases(),
            again.pending_effects(),
        )
        again.close()

    def test_fleets_do_not_see_each_other(self, disk: disks.Disk, store: Store) -> None:
        other = disk.open("fleet-2", disks.BORN + 1)
        other.renew_lease("the other fleet's", disks.BORN, 60)
        store.commit(peopled("mi-1"))
        other.commit(Changes(nodes=(node("mi-1", "another"),), audit=(AuditRow(1, "s", "v", "o", "ok"),)))
        assert other.incarnation == disks.BORN + 1
        assert [row.name for row in other.nodes()] == ["another"]
        assert (other.releases(), list(other.assignments()), other.body(DIGEST)) == ([], [], None)
        assert store.audit() == []
        other.close()

    def test_a_restored_store_has_a_new_incarnation(self, disk: disks.Disk, store: Store) -> None:
        assert store.declare_restored(disks.BORN + 10) == disks.BORN + 10
        assert store.declare_restored(disks.BORN) == disks.BORN + 11
        assert store.incarnation == disks.BORN + 11
        again = disk.open()
        assert again.incarnation == disks.BORN + 11
        again.close()


def command(id_: str = "c1", **more: Any) -> CommandRow:
    return CommandRow(id_, "x", DIGEST, "alice", 10, "*", 2, **more)


def invocation(job_id: str, node_name: str = "web-1", **more: Any) -> InvocationRow:
    return InvocationRow("c1", "mi-1", node_name, job_id, **more)


class TestCommands:
    def test_what_a_command_came_to_replaces_only_that(self, store: Store) -> None:
        store.commit(Changes(commands=(command(),), bodies={DIGEST: BODY}))
        over = command(status="Failed", details="Incomplete", finished_at=20, cancelled_by="bob")
        store.commit(Changes(commands=(replace(over, document="other", targets="none"),)))
        assert store.command("c1") == over
        assert store.command("c2") is None

    def test_the_newest_come_first_and_the_open_ones_oldest_first(self, store: Store) -> None:
        store.commit(Changes(commands=(command("c2"), command("c1"), command("c3", finished_at=5))))
        assert [row.id for row in store.commands(limit=2)] == ["c3", "c2"]
        assert [row.id for row in store.open_commands()] == ["c1", "c2"]

    def test_invocations_are_kept_by_job(self, store: Store) -> None:
        first, second = invocation("j1", "web-2"), invocation("j2", "web-1")
        store.commit(Changes(commands=(command(),), invocations=(first, second)))
        later = replace(first, status="Success", report='{"steps":[]}', accepted_at=5)
        store.commit(Changes(invocations=(later,)))
        assert store.invocations("c1") == [second, later]
        assert store.invocation("j1") == later
        assert store.invocation("j3") is None

    def test_an_invocation_of_no_command_is_refused(self, store: Store) -> None:
        with pytest.raises(Defect):
            store.commit(Changes(invocations=(invocation("j1"),)))

    def test_what_is_over_and_old_is_forgotten_with_its_body(self, store: Store) -> None:
        rows = (command(finished_at=20), command("c2"))
        store.commit(
            Changes(commands=rows, invocations=(invocation("j1"),), bodies={DIGEST: BODY, digest(b"{}"): b"{}"})
        )
        assert store.collect(commands_before=10) == 1
        assert store.body(DIGEST) == BODY
        assert store.collect(commands_before=11) == 1
        assert (store.command("c1"), store.invocation("j1")) == (None, None)
        assert store.command("c2") is not None


def execution(known: str = "x1", **values: Any) -> ExecutionRow:
    return ExecutionRow(
        **{"id": known, "document": "d", "source_digest": DIGEST, "subject": "alice", "started_at": 10, **values}
    )


class TestExecutions:
    def test_an_execution_is_kept_and_only_what_it_comes_to_changes(self, store: Store) -> None:
        store.commit(Changes(executions=(execution(),)))
        over = execution(status="Failed", reason="no", finished_at=5)
        store.commit(Changes(executions=(replace(over, document="other", parent="p"),)))
        assert (store.execution("x1"), store.execution("x2")) == (over, None)

    def test_lists(self, store: Store) -> None:
        rows = (execution("x2"), execution("x1"), execution("x3", finished_at=5, parent="x1", depth=1))
        store.commit(Changes(executions=rows))
        assert [row.id for row in store.executions(limit=2)] == ["x3", "x2"]
        assert [row.id for row in store.executions(parent="")] == ["x2", "x1"]
        assert [row.id for row in store.executions(parent="x1")] == ["x3"]
        assert [row.id for row in store.open_executions()] == ["x1", "x2"]

    def test_events_keep_their_order_and_none_comes_twice(self, store: Store) -> None:
        events = tuple(EventRow("x1", number, f'{{"n":{number}}}') for number in range(12))
        store.commit(Changes(executions=(execution(),), events=events[:1]))
        store.commit(Changes(events=events[1:]))
        with pytest.raises(Defect):
            store.commit(Changes(executions=(execution(finished_at=9),), events=(events[3],)))
        with pytest.raises(Defect):
            store.commit(Changes(events=(EventRow("x9", 0, "{}"),)))
        assert store.events("x1") == [row.event for row in events]
        assert (store.events("x9"), store.open_executions()) == ([], [execution()])

    def test_old_ones_are_forgotten_with_all_that_is_theirs(self, store: Store) -> None:
        rows = (execution("x1", finished_at=20), execution("x2"))
        events = (EventRow("x1", 0, "{}"), EventRow("x2", 0, "{}"))
        store.commit(Changes(executions=rows, events=events, bodies={DIGEST: BODY}))
        assert store.collect(commands_before=10) == 0
        assert store.collect(commands_before=11) == 1
        assert (store.execution("x1"), store.events("x1")) == (None, [])
        assert (store.events("x2"), store.body(DIGEST)) == (["{}"], BODY)
        store.commit(Changes(executions=(execution("x2", finished_at=20),)))
        assert store.collect(commands_before=11) == 2
        assert store.body(DIGEST) is None


class TestInventory:
    CONTENT = b'[{"Name":"bash"}]'

    def row(self, node_id: str = "a", type_name: str = "AWS:Application", at: int = 10) -> InventoryRow:
        return InventoryRow(node_id, type_name, "1.1", at, digest(self.CONTENT))

    def test_each_takes_the_place_of_the_one_before(self, store: Store) -> None:
        store.commit(peopled("a", "b"))
        rows = (self.row(type_name="Custom:Rack"), self.row(), self.row("b"))
        store.commit(Changes(inventory=rows, bodies={digest(self.CONTENT): self.CONTENT}))
        store.commit(Changes(inventory=(self.row(at=20),)))
        assert store.inventory("a") == [self.row(at=20), rows[0]]
        assert store.inventory("b") == [rows[2]]
        assert store.inventory("c") == []
        assert (store.is_inventory(digest(self.CONTENT)), store.is_inventory(DIGEST)) == (True, False)

    def test_a_content_is_kept_while_a_node_has_it(self, store: Store) -> None:
        store.commit(peopled("a", "b"))
        changes = Changes(inventory=(self.row(), self.row("b")), bodies={digest(self.CONTENT): self.CONTENT})
        store.commit(changes)
        store.commit(Changes(at=9, retired=("a",)))
        store.collect()
        assert (store.inventory("a"), store.body(digest(self.CONTENT))) == ([], self.CONTENT)
        store.commit(Changes(at=9, retired=("b",)))
        store.collect()
        assert store.body(digest(self.CONTENT)) is None

    def test_of_a_node_that_is_not_there_it_is_refused(self, store: Store) -> None:
        with pytest.raises(Defect):
            store.commit(Changes(inventory=(self.row("z"),)))
