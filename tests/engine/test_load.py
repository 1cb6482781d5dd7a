"""Loading: last good per resource with its closure, through histories told commit by commit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from reconciler.core.problem import Place
from reconciler.core.select import Target
from reconciler.engine.load import load
from tests.engine.repository import (
    DOCUMENT,
    FLEET,
    SOURCED,
    Told,
    association,
    comparable,
    group,
    node,
    operator,
    role,
)

if TYPE_CHECKING:
    from reconciler.engine.catalog import Catalog

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPwm6KJkLE+dZEykhvFtuMyLD46exbtlDFLDvj5zZDnh"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJIm6KJkLE+dZEykhvFtuMyLD46exbtlDFLDvj5zZDnh"
NOT_YAML = "kind: ["


@pytest.fixture
def told() -> Told:
    return Told()


def start(told: Told, **more: str | None) -> str:
    files = {"fleet": FLEET, "documents__motd": DOCUMENT, "associations__base": association("base"), **more}
    commit = told.commit(**files)
    told.load(commit)
    return commit


def said(catalog: Catalog) -> dict[str, tuple[str, str]]:
    assert len({condition.uid for condition in catalog.conditions}) == len(catalog.conditions)
    return {condition.uid: (condition.reason, condition.message) for condition in catalog.conditions}


def text_of(catalog: Catalog, uid: str) -> str:
    inputs: dict[str, str] = json.loads(catalog.compiled[uid].body)["steps"][0]["inputs"]
    return inputs["content"]


def test_a_valid_commit_is_in_force_as_it_is(told: Told) -> None:
    commit = start(told, nodes__web1=node("web1", "{Env: prod}"), groups__web=group("web", "web1"))
    catalog = told.catalog
    assert catalog is not None
    assert not catalog.conditions
    assert not catalog.unresolved
    assert set(catalog.resources) == {"Fleet/acme", "Document/motd", "Association/base", "Node/web1", "Group/web"}
    assert {resource.revision for resource in catalog.resources.values()} == {commit}
    assert catalog.resources["Association/base"].place == Place("associations/base.yaml", 1, 1)
    assert catalog.names("Node") == ["web1"]
    compiled = catalog.compiled["Association/base"]
    assert compiled.closure == {"associations/base.yaml", "documents/motd.yaml"}
    assert json.loads(compiled.body)["uid"] == "Association/base"


def test_a_wrong_association_stays_and_others_move_on(told: Told) -> None:
    first = start(told, associations__other=association("other"))
    told.commit(associations__base=association("base", prun="true"))
    last = told.commit(associations__other=association("other", prune="true"))
    catalog = told.load(last)
    assert catalog.resources["Association/base"].revision == first
    assert catalog.resources["Association/other"].revision == last
    assert catalog.resources["Association/other"].spec.prune
    reason, message = said(catalog)["Association/base"]
    assert (reason, message) == ("Invalid", f"stays at {first[:12]}: unknown field `spec.prun`")
    assert said(catalog).keys() == {"Association/base"}


def test_a_mended_association_moves_on(told: Told) -> None:
    start(told)
    told.load(told.commit(associations__base=association("base", mode="Wrong")))
    last = told.commit(associations__base=association("base", mode="AuditOnly"))
    catalog = told.load(last)
    assert catalog.resources["Association/base"].revision == last
    assert not catalog.conditions


def test_the_newest_good_revision_is_found_between_two_loads(told: Told) -> None:
    start(told)
    good = told.commit(associations__base=association("base", mode="AuditOnly"))
    told.commit(associations__base=association("base", mode="Wrong"))
    last = told.commit(associations__base=association("base", mode="Worse"))
    catalog = told.load(last)
    assert catalog.resources["Association/base"].revision == good
    assert catalog.resources["Association/base"].spec.mode == "AuditOnly"


def test_an_association_stays_with_its_document(told: Told) -> None:
    """The association moves in the same commit that breaks its document: neither is in force."""
    first = start(told)
    last = told.commit(
        documents__motd=DOCUMENT.replace("ops:file", "ops:fil"),
        associations__base=association("base", parameters="{text: bye}"),
    )
    catalog = told.load(last)
    assert catalog.resources["Association/base"].revision == first
    assert text_of(catalog, "Association/base") == "hello"
    assert said(catalog) == {
        "Association/base": ("DocumentInvalid", f"stays at {first[:12]}: Document/motd is not valid"),
        "Document/motd": ("Invalid", f"stays at {first[:12]}: there is no action `ops:fil`"),
    }
    (finding,) = [finding for condition in catalog.conditions for finding in condition.findings]
    assert str(finding.place) == "documents/motd.yaml:6:11"


def test_each_finding_stands_in_one_condition(told: Told) -> None:
    """Fifty associations that lack one file tell of it once."""
    start(told, **{f"associations__a{n}": association(f"a{n}", "page") for n in range(50)}, documents__page=SOURCED)
    assert told.catalog is not None
    findings = [finding for condition in told.catalog.conditions for finding in condition.findings]
    assert [finding.message for finding in findings] == ["there is no file `files/index.html`"]
    assert len(told.catalog.conditions) == 50
    assert told.catalog.unresolved == {f"Association/a{n}" for n in range(50)}


def test_an_association_stays_with_its_source_files(told: Told) -> None:
    start(told)
    with_file = told.edit(
        {
            "documents/page.yaml": SOURCED,
            "files/index.html": "one",
            "associations/page.yaml": association("page", "page"),
        }
    )
    told.load(with_file)
    gone = told.edit({"files/index.html": None})
    catalog = told.load(gone)
    assert catalog.resources["Association/page"].revision == with_file
    assert catalog.compiled["Association/page"].files["files/index.html"].ref.size == 3
    assert said(catalog).keys() == {"Association/page"}
    changed = told.edit({"files/index.html": "three"})
    catalog = told.load(changed)
    assert catalog.resources["Association/page"].revision == changed
    assert catalog.compiled["Association/page"].files["files/index.html"].ref.size == 5


def test_a_broken_template_holds_what_renders_it(told: Told) -> None:
    start(told)
    templated = SOURCED.replace("index.html}", "index.html, template: true}")
    good = told.edit(
        {
            "documents/page.yaml": templated,
            "files/index.html": "{{ labels.role }}",
            "associations/page.yaml": association("page", "page"),
        }
    )
    told.load(good)
    catalog = told.load(told.edit({"files/index.html": "one\n{{ labels.role }\n"}))
    assert catalog.resources["Association/page"].revision == good
    (condition,) = catalog.conditions
    assert [str(finding.place) for finding in condition.findings] == ["files/index.html:2:1"]


def test_a_file_that_does_not_parse_is_no_deletion(told: Told) -> None:
    first = start(told)
    last = told.commit(associations__base=NOT_YAML)
    catalog = told.load(last)
    assert catalog.resources["Association/base"].revision == first
    assert said(catalog) == {
        "associations/base.yaml": ("Unreadable", "cannot be read: a value is missing"),
        "Association/base": ("Unreadable", f"stays at {first[:12]}: associations/base.yaml cannot be read"),
    }
    assert not catalog.blind


def test_a_link_or_a_wrong_kind_is_no_deletion_either(told: Told) -> None:
    first = start(told)
    catalog = told.load(told.commit(associations__base=association("base").replace("Association", "Asociation")))
    assert catalog.resources["Association/base"].revision == first
    assert said(catalog)["associations/base.yaml"][1] == "cannot be read: there is no kind `Asociation`"


def test_a_deletion_is_one(told: Told) -> None:
    start(told, associations__other=association("other"))
    catalog = told.load(told.commit(associations__other=None))
    assert "Association/other" not in catalog.resources
    assert not catalog.withheld("Association/other")


def test_while_a_new_file_cannot_be_read_nothing_counts_as_deleted(told: Told) -> None:
    """`other` may have moved into the file that nobody can read."""
    start(told, associations__other=association("other"))
    catalog = told.load(told.commit(associations__other=None, associations__moved=NOT_YAML))
    assert "Association/other" not in catalog.resources
    assert catalog.withheld("Association/other")
    catalog = told.load(told.commit(associations__moved=association("moved")))
    assert not catalog.withheld("Association/other")


def test_of_a_file_with_several_only_the_wrong_one_stays(told: Told) -> None:
    both = association("one") + "---\n" + association("two")
    first = start(told, associations__both=both)
    wrong = association("one", prune="true") + "---\n" + association("two", prune="yes")
    catalog = told.load(last := told.commit(associations__both=wrong))
    assert catalog.resources["Association/one"].revision == last
    assert catalog.resources["Association/two"].revision == first


def test_of_a_file_with_several_those_that_lost_their_name_stay(told: Told) -> None:
    both = association("one") + "---\n" + association("two")
    first = start(told, associations__both=both)
    nameless = association("one", prune="true") + "---\nkind: Association\n"
    catalog = told.load(last := told.commit(associations__both=nameless))
    assert catalog.resources["Association/one"].revision == last
    assert catalog.resources["Association/two"].revision == first


def test_what_was_never_valid_is_not_in_force_and_not_deleted(told: Told) -> None:
    start(told)
    catalog = told.load(told.commit(associations__new=association("new", document="none")))
    assert "Association/new" not in catalog.resources
    assert catalog.withheld("Association/new")
    assert said(catalog)["Association/new"] == ("Invalid", "not in force: there is no document `none`")


def test_a_resource_deleted_and_made_again_wrongly_is_not_the_old_one(told: Told) -> None:
    start(told, associations__other=association("other"))
    told.load(told.commit(associations__other=None))
    catalog = told.load(told.commit(associations__other=association("other", mode="Wrong")))
    assert "Association/other" not in catalog.resources


def test_duplicate_names_are_wrong_at_both_places(told: Told) -> None:
    first = start(told)
    catalog = told.load(told.commit(associations__copy=association("base", prune="true")))
    assert catalog.resources["Association/base"].revision == first
    (condition,) = catalog.conditions
    places = [(str(finding.place), str(finding.related[0])) for finding in condition.findings]
    assert places == [
        ("associations/base.yaml:1:1", "associations/copy.yaml:1:1"),
        ("associations/copy.yaml:1:1", "associations/base.yaml:1:1"),
    ]


def test_a_renamed_association_keeps_its_identity(told: Told) -> None:
    start(told)
    before = told.catalog
    assert before is not None
    renamed = association("newer").replace("{name: newer}", "{name: newer, renamedFrom: base}")
    catalog = told.load(told.commit(associations__base=None, associations__newer=renamed))
    assert catalog.resources["Association/base"].name == "newer"
    assert catalog.compiled["Association/base"].body == before.compiled["Association/base"].body
    assert "Association/newer" not in catalog.resources


def test_a_renamed_association_beside_its_old_self_is_wrong(told: Told) -> None:
    first = start(told)
    renamed = association("newer").replace("{name: newer}", "{name: newer, renamedFrom: base}")
    catalog = told.load(told.commit(associations__newer=renamed))
    assert catalog.resources["Association/base"].revision == first


# --- groups --------------------------------------------------------------------------------------------------------


def targets_of(catalog: Catalog, uid: str) -> tuple[Target, ...]:
    targets: tuple[Target, ...] = catalog.resources[uid].spec.targets
    return targets


def with_groups(told: Told) -> str:
    return start(
        told,
        groups__web=group("web", "web1", "group:edge"),
        groups__edge=group("edge", "edge1"),
        associations__site=association("site", targets="group:web"),
    )


def test_an_invalid_group_holds_everything_that_uses_it(told: Told) -> None:
    first = with_groups(told)
    last = told.commit(
        groups__edge=group("edge", "edge1").replace("members", "membres"),
        associations__site=association("site", targets="group:web", prune="true"),
    )
    catalog = told.load(last)
    assert catalog.resources["Association/base"].revision == last
    for uid in ("Group/edge", "Group/web", "Association/site"):
        assert catalog.resources[uid].revision == first
    assert {uid: reason for uid, (reason, _) in said(catalog).items()} == {
        "Group/edge": "Invalid",
        "Group/web": "GroupInvalid",
        "Association/site": "GroupInvalid",
    }


def test_a_held_association_keeps_the_group_as_it_knew_it(told: Told) -> None:
    first = with_groups(told)
    catalog = told.load(
        told.commit(
            groups__edge=group("edge", "edge2"),
            associations__site=association("site", targets="group:web", mode="Wrong"),
        )
    )
    web, edge = f"web@{first[:12]}", f"edge@{first[:12]}"
    assert targets_of(catalog, "Association/site") == (Target("group", (web,)),)
    assert catalog.resources[f"Group/{web}"].spec.members == ("web1", f"group:{edge}")
    assert catalog.resources[f"Group/{edge}"].spec.members == ("edge1",)
    assert catalog.resources["Group/web"].spec.members == ("web1", "group:edge")
    assert catalog.resources["Group/edge"].spec.members == ("edge2",)
    mended = told.load(told.commit(associations__site=association("site", targets="group:web")))
    assert targets_of(mended, "Association/site") == (Target("group", ("web",)),)
    assert not any("@" in uid for uid in mended.resources)


def test_a_held_association_shares_a_group_that_is_the_same(told: Told) -> None:
    with_groups(told)
    catalog = told.load(told.commit(associations__site=association("site", targets="group:web", mode="Wrong")))
    assert targets_of(catalog, "Association/site") == (Target("group", ("web",)),)
    assert not any("@" in uid for uid in catalog.resources)


def test_a_group_that_is_still_used_cannot_be_deleted(told: Told) -> None:
    first = with_groups(told)
    catalog = told.load(told.commit(groups__web=None))
    assert "Group/web" not in catalog.resources
    assert catalog.resources["Association/site"].revision == first
    assert targets_of(catalog, "Association/site") == (Target("group", (f"web@{first[:12]}",)),)
    assert said(catalog)["Association/site"][1].endswith("there is no Group `web`")


def test_a_circle_of_groups_is_named_whole(told: Told) -> None:
    first = with_groups(told)
    catalog = told.load(told.commit(groups__edge=group("edge", "group:web"), groups__self=group("self", "group:self")))
    findings = sorted(finding.message for condition in catalog.conditions for finding in condition.findings)
    circle = "groups go round in a circle: edge -> web -> edge"
    assert findings == [circle, circle, "groups go round in a circle: self -> self"]
    assert catalog.resources["Association/site"].revision == first


@pytest.mark.parametrize("upwards", [False, True])
def test_groups_are_not_nested_without_end(told: Told, upwards: bool) -> None:
    count = 3000
    names = [f"g{n:04}" for n in range(count)]
    order = list(reversed(names)) if upwards else names
    chain = [
        group(name, f"group:{below}" if below else "web1") for name, below in zip(order, [*order[1:], ""], strict=True)
    ]
    commit = told.edit({"fleet.yaml": FLEET, "groups/all.yaml": "---\n".join(chain)})
    catalog = told.load(commit)
    assert len(catalog.names("Group")) == 32
    assert any("nested too deeply" in condition.message for condition in catalog.conditions)


# --- the fleet -----------------------------------------------------------------------------------------------------


def test_an_invalid_fleet_holds_everything(told: Told) -> None:
    first = start(told)
    told.load(told.commit(fleet=FLEET + "spec: {sync: never}\n"))
    last = told.commit(associations__base=association("base", prune="true"), associations__new=association("new"))
    catalog = told.load(last)
    assert catalog.commit == last
    assert {resource.revision for resource in catalog.resources.values()} == {first}
    assert "Association/new" not in catalog.compiled
    assert said(catalog)["Fleet"] == ("HoldsEverything", "nothing moves: `spec.sync` is `never`")
    mended = told.load(told.commit(fleet=FLEET + "spec: {sync: manual}\n"))
    assert "Association/new" in mended.compiled
    assert mended.fleet.sync == "manual"


@pytest.mark.parametrize("wrong", [None, NOT_YAML, FLEET + "---\n" + FLEET.replace("acme", "other")])
def test_a_fleet_that_is_missing_unreadable_or_double_holds_everything(told: Told, wrong: str | None) -> None:
    first = start(told)
    catalog = told.load(told.commit(fleet=wrong, associations__base=None))
    assert catalog.resources["Association/base"].revision == first
    assert catalog.resources["Fleet/acme"].revision == first
    assert said(catalog)["Fleet"][0] == "HoldsEverything"


def test_without_a_valid_fleet_ever_nothing_is_in_force(told: Told) -> None:
    catalog = told.load(told.commit(associations__base=association("base"), documents__motd=DOCUMENT))
    assert not catalog.resources
    assert catalog.withheld("Association/base")
    (finding,) = [finding for condition in catalog.conditions for finding in condition.findings]
    assert finding.place == Place("fleet.yaml")


# --- access --------------------------------------------------------------------------------------------------------


def test_access_is_read_at_its_own_commit(told: Told) -> None:
    trusted = start(
        told, access__operators=operator("alice", "admin", key=KEY), access__roles=role("admin", "{verbs: ['*']}")
    )
    last = told.commit(access__operators=operator("mallory", "admin", key=KEY), associations__new=association("new"))
    catalog = told.load(last, access=trusted)
    assert list(catalog.operators) == ["alice"]
    assert "Association/new" in catalog.compiled
    assert (catalog.commit, catalog.access_commit) == (last, trusted)
    assert list(told.load(last, access=last).operators) == ["mallory"]


def test_a_wrong_role_stays_as_it_was(told: Told) -> None:
    start(told, access__roles=role("admin", "{verbs: [read]}"), access__operators=operator("alice", "admin", key=KEY))
    catalog = told.load(told.commit(access__roles=role("admin", "{verbs: [raed]}")))
    (grant,) = catalog.grants_of("alice")
    assert grant.verbs == {"read"}


def test_a_role_that_is_gone_grants_nothing(told: Told) -> None:
    """Here staying as it was would leave rights with somebody who was to lose them."""
    start(told, access__roles=role("admin", "{verbs: [read]}"), access__operators=operator("alice", "admin", key=KEY))
    catalog = told.load(told.commit(access__roles=role("reader", "{verbs: [read]}")))
    assert catalog.grants_of("alice") == []
    assert catalog.grants_of("nobody") == []
    (condition,) = catalog.conditions
    assert (condition.uid, condition.reason) == ("Operator/alice", "UnknownReference")
    assert str(condition.findings[0]).startswith("access/operators.yaml:4:")


def test_grants_that_lead_nowhere_are_told(told: Told) -> None:
    start(told, access__roles=role("admin", "{verbs: [read], kinds: [Asociation], nodes: ['group:none']}"))
    assert told.catalog is not None
    messages = [finding.message for finding in told.catalog.conditions[0].findings]
    assert messages == ["there is no kind `Asociation`", "there is no Group `none`"]


def test_a_key_belongs_to_one_operator(told: Told) -> None:
    both = operator("alice", key=KEY) + "---\n" + operator("bob", key=f"{KEY} bob@laptop")
    start(told, access__operators=operator("alice", key=KEY) + "---\n" + operator("bob", key=OTHER_KEY))
    catalog = told.load(told.commit(access__operators=both))
    assert list(catalog.operators["bob"].keys) == [OTHER_KEY]
    assert said(catalog).keys() == {"Operator/alice", "Operator/bob"}


# --- history -------------------------------------------------------------------------------------------------------


def test_history_is_searched_within_bounds(told: Told) -> None:
    start(told)
    for number in range(6):
        last = told.commit(associations__base=association("base", mode=f"Wrong{number}"))
    afresh = load(told.source, last, look_back=3)
    assert "Association/base" not in afresh.resources
    assert afresh.withheld("Association/base")
    known = load(told.source, last, previous=told.catalog, look_back=3)
    assert "Association/base" in known.resources


def test_another_commit_can_be_loaded_from_any_catalog(told: Told) -> None:
    """As a plan of an unmerged branch is, or of an older commit."""
    first = start(told)
    told.load(told.commit(associations__base=association("base", mode="Wrong")))
    branch = told.repository.commit("topic", {"associations/topic.yaml": association("topic").encode()}, base=first)
    from_main = load(told.source, branch, previous=told.catalog)
    assert comparable(from_main) == comparable(load(told.source, branch))


def test_merged_commits_are_not_looked_into(told: Told) -> None:
    first = start(told)
    wrong = told.commit(associations__base=association("base", mode="Wrong"))
    side = told.repository.commit(
        "topic", {"associations/base.yaml": association("base", mode="AuditOnly").encode()}, base=first
    )
    merge = told.repository.commit("main", {"files/x": b""}, base=wrong, merged=(side,))
    assert told.load(merge).resources["Association/base"].revision == first


def test_what_a_change_reaches(told: Told) -> None:
    with_groups(told)
    assert told.catalog is not None
    depends = told.catalog.depends
    assert depends["Document/motd"] == {"Association/base", "Association/site"}
    assert depends["Group/edge"] == depends["Group/web"] == {"Association/site"}
    assert depends["associations/base.yaml"] == {"Association/base"}


class Counting:
    """A view that counts the blobs it hands out."""

    def __init__(self, told: Told) -> None:
        self._source = told.source
        self.blobs_read = 0
        self.tree, self.first_parents = self._source.tree, self._source.first_parents
        self.touching = self._source.touching

    def blobs(self, oids: object) -> dict[str, bytes]:
        found = self._source.blobs(oids)  # type: ignore[arg-type]  # whatever loading hands over
        self.blobs_read += len(found)
        return found


def test_a_load_reads_what_changed(told: Told) -> None:
    view = Counting(told)
    catalog = load(view, start(told, **{f"nodes__n{n}": node(f"n{n}") for n in range(50)}))
    assert view.blobs_read == 53
    view.blobs_read = 0
    commit = told.commit(nodes__n7=node("n7", "{Env: prod}"))
    catalog = load(view, commit, previous=catalog)
    assert view.blobs_read == 1
    view.blobs_read = 0
    load(view, told.commit(associations__base=NOT_YAML), previous=catalog)
    assert view.blobs_read == 1
