"""Planning again: whatever happened since, a plan that remembers another one is the plan that remembers nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.contract.canonical import digest
from reconciler.adapters.renderer import MemoryRenderer
from reconciler.core import indexing, nodeset
from reconciler.core.effect import Assign, Describe, Withdraw
from reconciler.core.nodes import NodeEntry
from reconciler.core.nodeset import NodeSet
from reconciler.core.world import Columns, World
from reconciler.engine import contexts, gate, handover, plan, preview
from reconciler.engine.load import load
from tests.engine.repository import FLEET, Told, association, group, node

if TYPE_CHECKING:
    from reconciler.engine.catalog import Catalog

TEMPLATED = """\
schemaVersion: "2.2"
mainSteps:
- name: site
  action: ops:file
  inputs: {path: /etc/site, source: files/site, template: true, mode: "0644"}
- name: motd
  action: ops:file
  inputs: {path: /etc/motd, content: hello}
"""
PLAIN = """\
schemaVersion: "2.2"
parameters:
  text: {type: String, default: one}
mainSteps:
- name: note
  action: ops:file
  inputs: {path: "/etc/note", content: "a\\n{{ text }}\\nz"}
- name: tool
  action: ops:package
  inputs: {name: [tool]}
"""
NAMES = tuple(f"n{number}" for number in range(7))
VARIANTS: dict[str, list[str | None]] = {
    "fleet.yaml": [FLEET, FLEET + "spec: {maxRemovals: 100}\n"],
    "documents/site.yaml": [TEMPLATED, TEMPLATED.replace("hello", "bye"), TEMPLATED.replace("0644", "0600")],
    "documents/plain.yaml": [PLAIN, PLAIN.replace("[tool]", "[tool, kit]"), PLAIN.replace("/etc/note", "/etc/motd")],
    "files/site": ["{{ labels.Site }}\n", "{{ labels.Site }} {{ vars.rack }}\n", "everywhere\n", "{{ facts.os }}\n"],
    "groups/web.yaml": [group("web", "n0", "n1", "group:edge"), group("web", "n2")],
    "groups/edge.yaml": [group("edge", "n3", "n4"), group("edge", "n5")],
    "associations/one.yaml": [
        association("one", "site", maxConcurrency='"2"', maxErrors='"0"'),
        association("one", "site", "tag:Env=a", onRemove="Prune"),
        association("one", "plain", "group:web"),
        None,
    ],
    "associations/two.yaml": [
        association("two", "plain", "group:web"),
        association("two", "plain", "tag:Env=b", parameters="{text: two}"),
        association("two", "site", "tag-key:Site", maxConcurrency='"100%"'),
        association("two", "plain", "n1", prune="true"),
        None,
    ],
    **{
        f"nodes/{name}.yaml": [
            node(name, "{Env: a, Site: x}", "{rack: r1}"),
            node(name, "{Env: b, Site: x}", "{rack: r1}"),
            node(name, "{Env: b, Site: y}", "{rack: r2}"),
            node(name),
            None,
        ]
        for name in NAMES
    },
}
EDITS = st.sampled_from([(path, content) for path, variants in VARIANTS.items() for content in variants])
COMMITS = st.lists(EDITS, min_size=1, max_size=3)
NODES = st.sets(st.integers(0, len(NAMES) - 1))
DEEDS = st.one_of(
    st.tuples(st.just("commit"), COMMITS),
    st.tuples(st.sampled_from(["perform", "perform, all", "forget"]), NODES),
    st.tuples(st.sampled_from(["online", "fail", "converge", "enrol", "leave"]), NODES),
)


@dataclass(frozen=True)
class Seen:
    """What planning makes of one catalog and one World."""

    plan: plan.Plan
    gated: gate.Gated
    drawing: preview.Drawing


@dataclass
class Story:
    told: Told = field(default_factory=Told)
    world: World = field(default_factory=lambda: World("fleet", 1))
    kept: dict[str, bytes] = field(default_factory=dict)
    seen: Seen | None = None

    def __post_init__(self) -> None:
        self.commit([(path, variants[0]) for path, variants in VARIANTS.items()])

    def commit(self, edits: list[tuple[str, str | None]]) -> None:
        commit = self.told.edit(dict(edits))
        self.catalog: Catalog = load(self.told.source, commit, previous=self.told.catalog)
        self.told.catalog = self.catalog
        for content in VARIANTS["files/site"]:
            data = (content or "").encode()
            self.kept[digest(data)] = data

    def happen(self, deed: str, bits: set[int]) -> None:
        nodes = nodeset.of(bits) & self.world.nodes.everyone
        if deed.startswith("perform"):
            self.perform(nodes, everything=deed.endswith("all"))
        elif deed == "online":
            self.world = replace(self.world, online=nodes)
        elif deed == "enrol":
            known = self.world.nodes.by_name
            fresh = [NodeEntry(f"mi-{NAMES[bit]}", NAMES[bit], {}) for bit in bits if NAMES[bit] not in known]
            self.world = replace(self.world, nodes=indexing.relabelled(self.world.nodes, fresh))
        elif deed == "leave":
            self.leave(nodes)
        elif deed != "forget":
            self.say(nodes, failed=deed == "fail")

    def perform(self, nodes: NodeSet, *, everything: bool) -> None:
        """What the gate let through, or all of it, happens to some of the nodes."""
        assert self.seen is not None
        for effect in self.seen.plan.effects if everything else self.seen.gated.effects:
            if not isinstance(effect, Assign | Withdraw | Describe):
                continue
            there = effect.nodes & nodes
            if isinstance(effect, Describe):
                self.describe(there)
            elif isinstance(effect, Withdraw):
                self.columns(effect.uid, self.world.of(effect.uid).withdrawn(there))
            elif there:
                self.kept[effect.body_digest] = effect.body
                self.columns(effect.uid, self.world.of(effect.uid).assigned(there, effect.body_digest))

    def describe(self, nodes: NodeSet) -> None:
        assert self.seen is not None
        described = []
        for bit in nodeset.positions(nodes):
            entry = self.seen.plan.nodes.entries[bit]
            assert entry is not None
            self.kept[entry.desired_context] = contexts.context_of(entry, self.catalog)
            described.append(replace(entry, context_digest=entry.desired_context))
        self.world = replace(self.world, nodes=indexing.relabelled(self.seen.plan.nodes, described))

    def say(self, nodes: NodeSet, *, failed: bool) -> None:
        for uid, columns in self.world.columns.items():
            for bit in nodeset.positions(nodes & columns.anywhere):
                columns = columns.said(1 << bit, converged=not failed, failed=failed, drifted=not failed and bit == 3)
            self.columns(uid, columns)

    def leave(self, nodes: NodeSet) -> None:
        ids = self.world.nodes.ids(nodes)
        columns = {uid: held.withdrawn(nodes) for uid, held in self.world.columns.items()}
        online = nodeset.without(self.world.online, nodes)
        self.world = replace(self.world, nodes=indexing.without(self.world.nodes, ids), columns=columns, online=online)

    def columns(self, uid: str, columns: Columns) -> None:
        self.world = self.world.with_columns({uid: columns})

    def look(self, before: Seen | None) -> Seen:
        planned = plan.plan(self.catalog, self.world, before.plan if before else None)
        world = replace(self.world, nodes=planned.nodes)
        in_the_way = handover.obstacles(planned, self.catalog, world, lambda held: handover.owned_by(self.kept[held]))
        everyone = planned.nodes.everyone
        limits = gate.Limits(self.catalog.fleet.max_removals)
        gated = gate.gate(
            planned.effects,
            self.catalog,
            world,
            lambda _verb, _kind: everyone,
            limits,
            before.gated if before else None,
            in_the_way,
        )
        drawn = preview.draw(
            planned,
            gated,
            self.catalog,
            self.world,
            self.kept.get,
            self.kept.get,
            MemoryRenderer().for_plan(),
            live=True,
            previous=before.drawing if before else None,
        )
        return Seen(planned, gated, drawn)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(DEEDS, min_size=2, max_size=14))
def test_a_plan_that_remembers_is_the_plan_that_does_not(deeds: list[tuple[str, object]]) -> None:
    story = Story()
    story.happen("enrol", set(range(len(NAMES) - 1)))
    story.happen("online", set(range(len(NAMES) - 2)))
    for deed, what in [("forget", set[int]()), *deeds]:
        if isinstance(what, list):
            story.commit(what)
        elif isinstance(what, set):
            story.happen(deed, what)
        again, afresh = story.look(story.seen), story.look(None)
        assert again.plan.effects == afresh.plan.effects
        assert again.plan.targets == afresh.plan.targets
        assert again.plan.conflicts == afresh.plan.conflicts
        assert again.gated == afresh.gated
        assert again.drawing.json() == afresh.drawing.json()
        story.seen = again


def test_a_node_that_left_while_git_declares_it_is_not_enrolled() -> None:
    story = Story()
    story.happen("enrol", {0, 1})
    story.seen = story.look(None)
    story.world = replace(story.world, nodes=story.seen.plan.nodes)
    story.happen("leave", {0})
    assert story.look(story.seen).plan.not_enrolled == story.look(None).plan.not_enrolled == NAMES[:1] + NAMES[2:]


def test_the_story_has_something_to_tell() -> None:
    story = Story()
    story.happen("enrol", {0, 1, 2, 3})
    story.happen("online", {0, 1, 2})
    story.seen = story.look(None)
    story.happen("perform, all", {0, 1, 2, 3})
    story.commit([("nodes/n1.yaml", VARIANTS["nodes/n1.yaml"][2])])
    view = story.look(story.seen).drawing.view()
    described = [change for change in view["changes"] if change["action"] == "Describe"]
    assert [claim["claim"] for change in described for claim in change["claims"]] == [
        "labels:Env",
        "labels:Site",
        "vars:rack",
        "path:/etc/site",
    ]
    assert "-x\n+y\n" in described[0]["claims"][-1]["diff"]
