"""The fleet that planning is measured on: seeded, built of what loading would leave in memory, never read from files.

Documents are YAML as people write it; associations and groups are typed specs. Where a figure is per node or per pair,
`Size` says how many there are.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.contract.canonical import digest
from agent.contract.wire import FileRef
from reconciler.capabilities.apps.group import GroupSpec
from reconciler.capabilities.nodes.association import AssociationSpec, Compiled, compiled
from reconciler.capabilities.nodes.fleet import FleetSpec
from reconciler.capabilities.nodes.node import NodeSpec
from reconciler.core import nodeset
from reconciler.core.indexing import index
from reconciler.core.nodes import NodeEntry
from reconciler.core.nodeset import NodeSet
from reconciler.core.problem import Place
from reconciler.core.resource import Metadata, Resource
from reconciler.core.resource import uid as uid_of
from reconciler.core.select import Target
from reconciler.core.world import Columns, Release, World
from reconciler.documents import document
from reconciler.documents.compile import SourceFile, compile_document
from reconciler.engine import contexts
from reconciler.engine.catalog import Catalog
from reconciler.engine.plan import resolve_targets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.documents.document import Document
    from reconciler.documents.templates import Flaw

ENVS = ("prod", "stage", "test", "dev")
SITES = tuple(f"site-{number}" for number in range(10))
ROLES = tuple(f"role-{number:02d}" for number in range(25))
DOCUMENTS = 20
GROUPS = 40
REMOVED = 3
CONFLICTS = 5
BEFORE, AFTER = "a" * 40, "b" * 40


@dataclass(frozen=True, slots=True)
class Size:
    """How large the fleet is and how much of it is not as it should be."""

    nodes: int = 100_000
    associations: int = 1_000
    stale: int = 20_000
    """(node, association) pairs that were given an earlier body."""
    failed: int = 10_000
    """Pairs that said they failed."""
    offline: int = 5_000
    relabelled: int = 200
    """Nodes with a label that Git has changed since."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What a plan is made of. `kept` are bodies and contexts by digest, `files` the repository's by digest."""

    catalog: Catalog
    world: World
    kept: Mapping[str, bytes]
    files: Files


_DOCUMENT = """\
schemaVersion: "2.2"
description: What every {name} needs.
parameters:
  instance: {{type: String}}
  site: {{type: String}}
  release: {{type: String}}
mainSteps:
  - name: package
    action: ops:package
    inputs: {{name: ["{name}-{{{{ instance }}}}"]}}
  - name: settings
    action: ops:file
    inputs:
      path: /etc/{name}/{{{{ instance }}}}/settings.conf
      mode: "0644"
      content: |
        # managed by opsctl{says}
        instance = {{{{ instance }}}}
        release = {{{{ release }}}}
        listen = 127.0.0.1
        workers = 4
  - name: site
    action: ops:file
    inputs: {{path: "/etc/{name}/{{{{ site }}}}/site.conf", source: files/{name}.conf{template}}}
  - name: service
    action: ops:service
    inputs: {{name: "{name}@{{{{ instance }}}}", state: started, enabled: true}}
"""
_CONFLICTING = (25, 45, 65, 85, 105)
"""Associations that come to write a file of the one before them, on the same nodes."""
_TEMPLATED = 4
"""Documents whose file is a template over the node's labels."""


class Files:
    """The repository's files: one per document, by path for compiling and by digest for reading."""

    def __init__(self) -> None:
        self._refs: dict[str, SourceFile] = {}
        self._bytes: dict[str, bytes] = {}
        for number in range(DOCUMENTS):
            site = "{{ labels.Site }}" if number < _TEMPLATED else "everywhere"
            data = f"# {number}\nsite = {site}\nenv = plain\n".encode()
            reference = FileRef(digest(data), len(data))
            self._refs[f"files/document-{number}.conf"] = SourceFile(reference, hashlib.sha256(data).hexdigest()[:40])
            self._bytes[reference.digest] = data

    def source(self, path: str) -> SourceFile | None:
        return self._refs.get(path)

    def template_flaws(self, path: str) -> Sequence[Flaw]:
        return ()

    def nearest(self, path: str) -> str:
        return ""

    def document(self, name: str) -> None:
        return None

    def nearest_document(self, name: str) -> str:
        return ""

    def custom(self, name: str) -> None:
        return None

    def nearest_custom(self, name: str) -> str:
        return ""

    def __call__(self, digest_: str) -> bytes | None:
        return self._bytes.get(digest_)


def fleet(size: Size, seed: int = 1) -> Fleet:
    """A fleet between two commits: World is as the first left it, the catalog is the second's."""
    return _Builder(size, seed).fleet()


class _Builder:
    def __init__(self, size: Size, seed: int) -> None:
        self._size = size
        self._random = random.Random(seed)
        self._files = Files()
        self._documents = [_document(number) for number in range(DOCUMENTS)]
        self._groups = [_group(number) for number in range(GROUPS)]
        self._targets = [self._target(number) for number in range(size.associations + REMOVED)]
        for number in _CONFLICTING:
            self._targets[number] = self._targets[number - 1]
        labels = [_LABELS[number % len(_LABELS)] for number in range(size.nodes)]
        self._random.shuffle(labels)
        self._read: dict[str, tuple[Metadata, NodeSpec]] = {}
        self._labels = dict(zip((name_of(number) for number in range(size.nodes)), labels, strict=True))

    def fleet(self) -> Fleet:
        before = self._catalog(BEFORE, self._size.associations + REMOVED)
        entries = [_enrolled(entry) for entry in contexts.declared(before).entries if entry is not None]
        world = World("bench", 1, revision=BEFORE, nodes=contexts.joined(before, index(entries)))
        kept = {entry.context_digest: contexts.context_of(entry, before) for entry in entries}
        columns = self._columns(before, world, kept)
        releases = {uid: Release(2, held.body_digest, BEFORE) for uid, held in before.compiled.items()}
        online = world.nodes.everyone & ~self._some(world.nodes.everyone, self._size.offline)
        world = replace(world, columns=columns, releases=releases, online=online)
        for name in self._random.sample(list(self._labels), self._size.relabelled):
            labels = self._labels[name]
            others = [env for env in ENVS if env != labels["Env"]]
            self._labels[name] = {**labels, "Env": self._random.choice(others)}
        after = self._catalog(AFTER, self._size.associations, conflicts=CONFLICTS)
        return Fleet(after, world, kept, self._files)

    def _catalog(self, commit: str, associations: int, conflicts: int = 0) -> Catalog:
        resources = {"Fleet/bench": _resource("Fleet", "bench", FleetSpec(), commit)}
        for name, labels in self._labels.items():
            metadata, spec = self._read.get(name, _UNREAD)
            if metadata.labels != labels:
                metadata, spec = Metadata(name=name, labels=labels), NodeSpec(vars={"rack": name[-2:]})
                self._read[name] = metadata, spec
            resources[f"Node/{name}"] = _resource("Node", name, spec, commit, metadata)
        for found in self._documents:
            resources[found.uid] = _resource("Document", found.name, found, commit)
        for number, group in enumerate(self._groups):
            resources[f"Group/group-{number}"] = _resource("Group", f"group-{number}", group, commit)
        for number in range(associations):
            site = number - 1 if number in _CONFLICTING[:conflicts] else number
            name = f"association-{number:04d}"
            wanted = self._association(number, site)
            resources[f"Association/{name}"] = _resource("Association", name, wanted, commit)
        return indexed(compiling(Catalog(commit, commit, FleetSpec(), resources, {}), self._files))

    def _association(self, number: int, site: int, release: str = "2") -> AssociationSpec:
        return AssociationSpec(
            document=f"document-{number // 2 % DOCUMENTS}",
            parameters={"instance": [f"i{number}"], "site": [f"i{site}"], "release": [release]},
            targets=self._targets[number],
        )

    def _target(self, number: int) -> tuple[Target, ...]:
        pick, kind = self._random, number % 20
        if number < 4:
            return (Target("*", ()),)
        if kind < 8:
            return (Target("tag:Role", tuple(pick.sample(ROLES, 2))), Target("tag:Env", (pick.choice(ENVS),)))
        if kind < 12:
            return (Target("tag:Site", tuple(pick.sample(SITES, 1))), Target("tag:Env", (pick.choice(ENVS),)))
        if kind < 16:
            return (Target("group", (f"group-{pick.randrange(GROUPS)}",)), Target("tag:Env", (pick.choice(ENVS),)))
        return (Target("name", tuple(name_of(pick.randrange(self._size.nodes)) for _ in range(50))),)

    def _columns(self, catalog: Catalog, world: World, kept: dict[str, bytes]) -> dict[str, Columns]:
        """What nodes were given and said: all of it as `catalog` asks, but for the stale and the failed pairs."""
        targets = resolve_targets(catalog, world.nodes)
        pairs = sum(nodeset.size(nodes) for nodes in targets.values())
        columns = {}
        for number, (uid, nodes) in enumerate(targets.items()):
            share = nodeset.size(nodes)
            stale = self._some(nodes, -(-self._size.stale * share // pairs))
            failed = self._some(nodes, -(-self._size.failed * share // pairs))
            older = compile_one(uid, self._association(number, number, "1"), catalog, self._files)
            newer = catalog.compiled[uid]
            kept[older.body_digest], kept[newer.body_digest] = older.body, newer.body
            given = {newer.body_digest: nodes & ~stale, older.body_digest: stale}
            columns[uid] = Columns(given, nodes, nodes, nodes & ~failed, failed)
        return columns

    def _some(self, nodes: NodeSet, count: int) -> NodeSet:
        positions = list(nodeset.positions(nodes))
        return nodeset.of(self._random.sample(positions, min(count, len(positions))))


_LABELS = [{"Env": env, "Site": site, "Role": role} for env in ENVS for site in SITES for role in ROLES]
_UNREAD = (Metadata(name="unread"), NodeSpec())


def name_of(number: int) -> str:
    return f"node-{number:07d}"


def indexed(catalog: Catalog) -> Catalog:
    """The catalog as loading leaves it."""
    assert catalog.declared.names
    return catalog


def compiling(catalog: Catalog, files: Files) -> Catalog:
    """The catalog with every association compiled from its document."""
    found = {uid: compile_one(uid, resource.spec, catalog, files) for uid, resource in catalog.associations.items()}
    return replace(catalog, compiled=found)


def compile_one(uid: str, spec: AssociationSpec, catalog: Catalog, files: Files) -> Compiled:
    place = catalog.resources[uid].place
    steps = compile_document(catalog.documents[spec.document], spec.parameters, files, lambda _loc: place)
    return compiled(uid, spec, steps, place)


def document_text(name: str, says: str = "") -> str:
    """A document's YAML; `says` is something that its settings file says besides."""
    template = ", template: true" if int(name.rpartition("-")[2]) < _TEMPLATED else ""
    return _DOCUMENT.format(name=name, template=template, says=f", {says}" if says else "")


def _document(number: int) -> Document:
    name = f"document-{number}"
    return document.load(document_text(name).encode(), f"documents/{name}.yaml")


def _group(number: int) -> GroupSpec:
    """Every fourth group is made of the two before it."""
    if number % 4 == 3:
        return GroupSpec(members=(f"group:group-{number - 1}", f"group:group-{number - 2}"))
    return GroupSpec(targets=(Target("tag:Site", (SITES[number % 10],)), Target("tag:Role", ROLES[: 5 + number % 10])))


def _resource(kind: str, name: str, spec: object, commit: str, metadata: Metadata | None = None) -> Resource:
    metadata = metadata or Metadata(name=name)
    known = uid_of(kind, name)
    made_of = f"{known} {spec!r} {metadata.labels}" if kind != "Document" else known
    fingerprint = hashlib.sha256(made_of.encode()).hexdigest()
    return Resource(known, kind, name, metadata, spec, Place(f"{kind.lower()}s/{name}.yaml", 1, 1), commit, fingerprint)


def _enrolled(entry: NodeEntry) -> NodeEntry:
    """The node of that name, enrolled, with the context that it is to have."""
    known = "mi-" + hashlib.sha256(entry.name.encode()).hexdigest()[:17]
    return replace(entry, id=known, context_digest=entry.desired_context)
