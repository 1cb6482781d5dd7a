"""Enact: what effects that passed the gate make of World, and the one transaction that says the same to the store."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.contract.canonical import canonical, digest
from reconciler.core import indexing, nodeset
from reconciler.core.effect import Assign, Cause, Describe, Effect, Hold, Notify, Propose, Resume, Withdraw, effect_id
from reconciler.core.nodeset import EMPTY, NodeSet
from reconciler.core.records import AuditRow, Changes, EffectRow, Given, ReleaseRow, Withdrawn
from reconciler.core.world import Columns, Release, World
from reconciler.engine.contexts import context_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.engine.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Enacted:
    """World as it will be, the transaction, and the nodes whose assignment sets it changes."""

    world: World
    changes: Changes
    touched: NodeSet = EMPTY


@dataclass(slots=True)
class _Draft:
    """The transaction as it grows."""

    world: World
    cause: Cause
    releases: dict[str, Release] = field(default_factory=dict)
    columns: dict[str, Columns] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    given: list[Given] = field(default_factory=list)
    withdrawn: list[Withdrawn] = field(default_factory=list)
    contexts: dict[str, str] = field(default_factory=dict)
    gone: list[tuple[str, str]] = field(default_factory=list)
    effects: list[EffectRow] = field(default_factory=list)
    audit: list[AuditRow] = field(default_factory=list)
    touched: NodeSet = EMPTY

    def release(self, uid: str) -> Release | None:
        return self.releases.get(uid, self.world.releases.get(uid))

    def of(self, uid: str) -> Columns:
        return self.columns.get(uid, self.world.of(uid))

    def said(self, verb: str, uid: str, nodes: NodeSet, ref: str = "", detail: str = "") -> None:
        outcome = f"{nodeset.size(nodes)} nodes" if nodes else ""
        self.audit.append(AuditRow(self.cause.at, self.cause.subject, verb, uid, outcome, ref, detail))


def enact(world: World, effects: Iterable[Effect], catalog: Catalog, cause: Cause) -> Enacted:
    """One cause's effects, in order. Nothing is performed here: `execute` commits, wakes and works off the outbox."""
    draft = _Draft(world, cause)
    for ordinal, effect in enumerate(effects):
        if isinstance(effect, Describe):
            _describe(draft, effect, catalog)
        elif isinstance(effect, Assign):
            _assign(draft, effect)
        elif isinstance(effect, Withdraw):
            _withdraw(draft, effect)
        elif isinstance(effect, Hold):
            _hold(draft, effect, catalog, ordinal)
        elif isinstance(effect, Resume):
            _resume(draft, effect)
        else:
            _queue(draft, effect, "", ordinal)
    columns = {**world.columns, **draft.columns}
    after = replace(
        draft.world,
        sequence=world.sequence + 1,
        columns={uid: held for uid, held in columns.items() if held.given},
        releases={**world.releases, **draft.releases},
    )
    changes = Changes(
        at=cause.at,
        releases=tuple(
            ReleaseRow(
                uid,
                release.generation,
                release.body_digest,
                release.commit,
                cause.at,
                release.held_for,
                release.tolerated,
            )
            for uid, release in draft.releases.items()
        ),
        bodies=draft.bodies,
        given=tuple(draft.given),
        withdrawn=tuple(draft.withdrawn),
        contexts=draft.contexts,
        unsettled=dict.fromkeys(world.nodes.ids(after.unsettled & ~world.unsettled), True),
        states_gone=tuple(draft.gone),
        effects=tuple(draft.effects),
        audit=tuple(draft.audit),
    )
    return Enacted(after, changes, draft.touched)


def _assign(draft: _Draft, effect: Assign) -> None:
    before = draft.release(effect.uid)
    release = before
    if before is None or before.body_digest != effect.body_digest:
        generation = max(before.generation + 1 if before else 1, draft.world.generations_from)
        release = draft.releases[effect.uid] = Release(generation, effect.body_digest, effect.commit)
        draft.bodies[effect.body_digest] = effect.body
    assert release is not None
    draft.columns[effect.uid] = draft.of(effect.uid).assigned(effect.nodes, effect.body_digest)
    ids = tuple(draft.world.nodes.ids(effect.nodes))
    draft.given.append(Given(effect.uid, release.generation, effect.body_digest, ids, draft.cause.at))
    draft.touched |= effect.nodes
    draft.said("assign", effect.uid, effect.nodes, detail=f"generation {release.generation} at {effect.commit[:12]}")


def _withdraw(draft: _Draft, effect: Withdraw) -> None:
    draft.columns[effect.uid] = draft.of(effect.uid).withdrawn(effect.nodes)
    if effect.uid in draft.world.permits:
        left = draft.world.permits[effect.uid].without(effect.nodes)
        draft.world = replace(draft.world, permits={**draft.world.permits, effect.uid: left})
    ids = tuple(draft.world.nodes.ids(effect.nodes))
    draft.withdrawn.append(Withdrawn(effect.uid, ids))
    draft.gone.extend((node_id, effect.uid) for node_id in ids)
    draft.touched |= effect.nodes
    draft.said("withdraw", effect.uid, effect.nodes)


def _describe(draft: _Draft, effect: Describe, catalog: Catalog) -> None:
    moved = []
    for bit in nodeset.positions(effect.nodes):
        entry = draft.world.nodes.entries[bit]
        if entry is None:
            continue
        data = context_of(entry, catalog)
        draft.bodies[digest(data)] = data
        draft.contexts[entry.id] = digest(data)
        moved.append(replace(entry, context_digest=digest(data), desired_context=digest(data)))
    draft.world = replace(
        draft.world,
        nodes=indexing.relabelled(draft.world.nodes, moved),
        unsettled=draft.world.unsettled | effect.nodes & draft.world.holding,
    )
    draft.touched |= effect.nodes
    draft.said("describe", "", effect.nodes)


def _hold(draft: _Draft, effect: Hold, catalog: Catalog, ordinal: int) -> None:
    """Stop a release, tell people, and offer them the way back."""
    release = draft.release(effect.uid)
    if release is None or release.body_digest != effect.body_digest:
        return
    draft.releases[effect.uid] = replace(release, held_for=effect.reason)
    subject = f"{effect.uid} is held: {effect.reason}"
    _queue(draft, Notify(subject, f"Commit {release.commit} goes no further.", "error"), effect.uid, ordinal)
    compiled = catalog.compiled.get(effect.uid)
    if compiled is not None and release.generation > 1:
        title = f"Revert {effect.uid} to what ran before {release.commit[:12]}"
        paths = tuple(sorted(compiled.closure))
        _queue(draft, Propose(effect.uid, title, release.generation, paths), effect.uid, ordinal)
    draft.said("hold", effect.uid, EMPTY, detail=effect.reason)


def _resume(draft: _Draft, effect: Resume) -> None:
    """Let a release go on. The nodes that failed so far were looked at: only further ones count as errors."""
    release = draft.release(effect.uid)
    if release is not None and release.body_digest == effect.body_digest and release.held_for:
        columns = draft.of(effect.uid)
        failed = nodeset.size(columns.failed & columns.on(effect.body_digest))
        draft.releases[effect.uid] = replace(release, held_for="", tolerated=failed)
        draft.said("resume", effect.uid, EMPTY, detail=f"was held: {release.held_for}")


def _queue(draft: _Draft, effect: Effect, uid: str, ordinal: int) -> None:
    """Put an effect in the outbox under the id that ports are idempotent on."""
    kind = type(effect).__name__
    payload: dict[str, object] = {}
    if isinstance(effect, Notify):
        payload = {"subject": effect.subject, "text": effect.text, "severity": effect.severity}
    elif isinstance(effect, Propose):
        payload = {
            "uid": effect.uid,
            "title": effect.title,
            "generation": effect.generation,
            "paths": list(effect.paths),
        }
    release = draft.release(uid)
    generation = release.generation if release else 0
    known = effect_id(draft.world.fleet_id, f"{uid}#{kind}", generation, draft.cause.id, ordinal)
    draft.effects.append(
        EffectRow(known, kind, canonical(payload).decode(), draft.cause.id, draft.cause.subject, draft.cause.at)
    )
