"""Validate: everything wrong or doubtful about a working tree at once, before it is a commit.

Beyond what loading says: conflicts and targets as far as declared nodes show them, documents that nobody uses yet, and
files that look like ours but stand where nothing is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.capabilities.registry import KINDS, SUFFIXES
from reconciler.core.nodeset import EMPTY
from reconciler.core.ports import EXECUTABLE, PLAIN, Commit, Entry
from reconciler.core.problem import Finding, Invalid, Place, nearest
from reconciler.core.resource import API_VERSION
from reconciler.documents.compile import unused_findings
from reconciler.documents.custom.manifest import KIND
from reconciler.engine.conflicts import conflicts
from reconciler.engine.contexts import declared
from reconciler.engine.drafts import is_read
from reconciler.engine.history import settle
from reconciler.engine.load import assemble, below_access, outside_access, revisions
from reconciler.engine.sources import Sources, Workings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from reconciler.core.nodes import Nodes
    from reconciler.core.nodeset import NodeSet
    from reconciler.core.select import Target
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.conflicts import Conflict
    from reconciler.engine.drafts import Draft
    from reconciler.engine.revision import Revision

_HERE = "worktree"
_NAMES_SHOWN = 5


def validate(
    files: Mapping[str, bytes],
    others: Iterable[Entry] = (),
    *,
    executable: Collection[str] = (),
    links: Mapping[str, bytes] | None = None,
) -> tuple[Finding, ...]:
    """Findings on the files of a working tree (path from its root -> bytes), by place; errors and warnings.

    `others` are what else stands in the tree: links, and files too large to be read. `executable` are those of `files`
    that may be run, and `links` say by blob id where links lead.
    """
    view = _OneTree(files, others, executable, links or {})
    workings = Workings()
    main = settle([_HERE], revisions(view, workings, outside_access), None)
    access = settle([_HERE], revisions(view, workings, below_access), None)
    catalog = assemble(main, access, None)
    sources = Sources(view, view.tree(_HERE), workings)
    nodes = declared(catalog)
    targets = {uid: catalog.resolver(nodes)(found.spec.targets) for uid, found in catalog.associations.items()}
    found = [
        *(finding for condition in catalog.conditions for finding in condition.findings),
        *catalog.warnings,
        *(_conflict(conflict, nodes) for conflict in conflicts(catalog.compiled, targets)),
        *_matching_nothing(main.head, catalog, nodes, targets),
        *_of_unused_documents(main.head, catalog, sources),
        *_of_steps(main.head, sources),
        *_astray(files),
    ]
    return tuple(sorted(set(found), key=lambda finding: (finding.place, finding.severity, finding.message)))


class _OneTree:
    """A view with one commit, whose blobs go by their path."""

    def __init__(
        self,
        files: Mapping[str, bytes],
        others: Iterable[Entry],
        executable: Collection[str],
        links: Mapping[str, bytes],
    ) -> None:
        self._files = {**files, **links}
        modes = dict.fromkeys(executable, EXECUTABLE)
        self._tree = {path: Entry(path, path, modes.get(path, PLAIN), len(data)) for path, data in files.items()}
        self._tree |= {entry.path: entry for entry in others}

    def tree(self, oid: str) -> Mapping[str, Entry]:  # noqa: ARG002  # the port's shape
        return self._tree

    def touching(self, oid: str, folder: str, after: str | None = None) -> None:
        """A working tree has no past."""
        del oid, folder, after

    def blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        return {oid: self._files[oid] for oid in oids}

    def first_parents(self, oid: str, limit: int) -> Iterator[Commit]:  # noqa: ARG002  # the port's shape
        return iter([Commit(oid, (), "", 0, "")])


def _conflict(conflict: Conflict, nodes: Nodes) -> Finding:
    one, other = conflict.one, conflict.other
    message = f"{conflict.owned} is claimed by {one.uid} and {other.uid} on {_named(conflict.nodes, nodes)}"
    related = [place for place in (other.place, one.declared, other.declared) if place != one.place]
    return Finding(message, one.place, "one owner for each thing on a node", related=tuple(dict.fromkeys(related)))


def _named(chosen: NodeSet, nodes: Nodes) -> str:
    names = nodes.names(chosen)
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def _matching_nothing(
    revision: Revision, catalog: Catalog, nodes: Nodes, targets: Mapping[str, NodeSet]
) -> Iterator[Finding]:
    resolve = catalog.resolver(nodes)
    for draft in revision.drafts("Association"):
        if draft.uid not in targets:
            continue
        empty = [at for at, target in enumerate(draft.spec.targets) if not resolve([target])]
        for position in empty:
            target = draft.spec.targets[position]
            yield _nothing(draft, ("spec", "targets", position), f"`{target}` matches", _nearest(target, nodes))
        if not empty and targets[draft.uid] == EMPTY:
            yield _nothing(draft, ("spec", "targets"), "the targets together match", "")


def _nothing(draft: Draft, loc: tuple[str | int, ...], what: str, near: str) -> Finding:
    return Finding(f"{what} none of the declared nodes", draft.places.of(loc), nearest=near, severity="warning")


def _nearest(target: Target, nodes: Nodes) -> str:
    """A target of that key, with a value that nodes have, close to one that no node has."""
    if target.key.startswith("tag:"):
        known = [value for key, value in nodes.by_label if key == target.key[4:]]
    elif target.key == "tag-key":
        known = list(nodes.by_key)
    elif target.key in ("name", "InstanceIds"):
        known = list(nodes.by_name)
    else:
        return ""
    return next((found for value in target.values if (found := nearest(value, known))), "")


def _of_unused_documents(revision: Revision, catalog: Catalog, sources: Sources) -> Iterator[Finding]:
    used = {compiled.document_uid for compiled in catalog.compiled.values()}
    for draft in revision.drafts("Document"):
        if draft.uid not in used:
            yield from unused_findings(draft.spec, sources)


def _of_steps(revision: Revision, sources: Sources) -> Iterator[Finding]:
    """What is wrong with the folders of steps, whoever uses them."""
    for draft in revision.drafts(KIND):
        try:
            sources.custom(draft.name)
        except Invalid as invalid:
            yield from invalid.findings


def _astray(files: Mapping[str, bytes]) -> Iterator[Finding]:
    for path, data in files.items():
        if path.endswith(SUFFIXES) and not is_read(path) and _RESOURCE.search(data):
            message = "this looks like a resource, but nothing is read here"
            yield Finding(message, Place(path), _HOMES, severity="warning")


_RESOURCE = re.compile(rf"^apiVersion:\s*['\"]?{re.escape(API_VERSION)}".encode(), re.MULTILINE)
_HOMES = ", ".join(f"{kind.name} in {kind.place}" for kind in KINDS.values())
