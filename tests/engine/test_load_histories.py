"""Loading through histories that nobody thought of: from the catalog before, from nothing, and by plainly folding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.engine.load import load, outside_access, revisions
from reconciler.engine.revision import Good
from reconciler.engine.sources import Workings
from tests.engine.repository import DOCUMENT, FLEET, SOURCED, Told, association, comparable, group

if TYPE_CHECKING:
    from reconciler.engine.catalog import Catalog

NOT_YAML = "kind: ["
VARIANTS: dict[str, list[str | None]] = {
    "fleet.yaml": [FLEET, FLEET, FLEET, FLEET + "spec: {sync: never}\n", NOT_YAML],
    "documents/motd.yaml": [DOCUMENT, DOCUMENT.replace("hello", "bye"), DOCUMENT.replace("ops:file", "ops:fil"), None],
    "documents/page.yaml": [SOURCED, NOT_YAML],
    "files/index.html": ["one", "two", None],
    "groups/web.yaml": [group("web", "web1", "group:edge"), group("web", "web2"), group("web", "group:none"), None],
    "groups/edge.yaml": [group("edge", "edge1"), group("edge", "group:web"), NOT_YAML, None],
    "associations/one.yaml": [
        association("one", targets="group:web"),
        association("one", "page", prune="true"),
        association("one", prune="maybe"),
        NOT_YAML,
        None,
    ],
    "associations/two.yaml": [
        association("two", targets="group:edge") + "---\n" + association("one", "page"),
        association("two", targets="group:edge") + "---\nkind: Nothing\n",
        association("two", mode="Wrong") + "---\n" + association("three"),
        NOT_YAML,
        None,
    ],
}
EDITS = st.sampled_from([(path, content) for path, variants in VARIANTS.items() for content in variants])
COMMITS = st.lists(st.tuples(st.lists(EDITS, min_size=1, max_size=3), st.booleans()), min_size=1, max_size=8)
"""Edits of each commit, and whether a catalog is loaded there."""


def folded(told: Told, commits: list[str]) -> dict[str, str | None]:
    """The revision that each resource is in force at (None: at none), by going through all of history in order."""
    of = revisions(told.source, Workings(), outside_access)
    state: dict[str, tuple[str, str | None]] = {}
    for revision in map(of, commits):
        if not isinstance(revision.fleet(), Good):
            continue
        after: dict[str, tuple[str, str | None]] = {}
        for uid, known in revision.known.items():
            good = isinstance(revision.verdict(uid), Good)
            before = state[uid][1] if uid in state else None
            after[uid] = (known.place.path, revision.commit if good else before)
        for uid, (path, at) in state.items():
            if uid not in after and path in revision.unreadable:
                after[uid] = (path, at)
        state = after
    return {uid: at for uid, (_, at) in state.items()}


def in_force(catalog: Catalog) -> dict[str, str | None]:
    found: dict[str, str | None] = dict.fromkeys(catalog.unresolved)
    return found | {uid: resource.revision for uid, resource in catalog.resources.items() if "@" not in uid}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(COMMITS)
def test_every_way_of_loading_gives_the_same(story: list[tuple[list[tuple[str, str | None]], bool]]) -> None:
    told = Told()
    commits = [told.edit({path: variants[0] for path, variants in VARIANTS.items()})]
    catalog = load(told.source, commits[0])
    for edits, loaded in story:
        commits.append(told.edit(dict(edits)))
        if loaded:
            catalog = load(told.source, commits[-1], previous=catalog)
    last = load(told.source, commits[-1], previous=catalog)
    assert comparable(last) == comparable(load(told.source, commits[-1]))
    assert in_force(last) == folded(told, commits)
    assert all(name.partition("@")[0] in ("web", "edge") for name in last.names("Group"))
