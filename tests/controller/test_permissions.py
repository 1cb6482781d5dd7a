"""Who may do what: nothing that no grant allows, and every refusal is written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconciler.core.access import Subject
from reconciler.core.problem import Refused
from tests.controller.house import MANUAL, ROOT, House, small
from tests.engine.repository import association, node, operator, role

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = "Association/base"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
WEB = '"tag:Role=web"'
ROLES = "---\n".join(
    (
        role("reader", '{verbs: [read], nodes: ["*"]}'),
        role("planner", '{verbs: [plan], nodes: ["*"]}'),
        role("applier", '{verbs: [apply], nodes: ["*"]}'),
        role("explainer", '{verbs: [explain], nodes: ["*"]}'),
        role("enroller", '{verbs: [enroll], nodes: ["*"]}'),
        role("retirer", '{verbs: [retire], nodes: ["*"]}'),
        role("web-team", f"{{verbs: ['*'], nodes: [{WEB}]}}"),
        role("fleet-only", "{verbs: [read], kinds: [Fleet]}"),
    )
)
OPERATORS = "---\n".join(
    (
        *(operator(name, name) for name in ("reader", "planner", "applier", "explainer", "enroller", "retirer")),
        operator("web-team", "web-team"),
        operator("fleet-only", "fleet-only"),
        operator("nobody"),
        operator("mary", "reader", key=KEY),
    )
)


@pytest.fixture
def house() -> House:
    files = small(
        **{
            "nodes/web-1.yaml": node("web-1", "{Role: web}"),
            "nodes/web-2.yaml": node("web-2", "{Role: web}"),
            "nodes/db-1.yaml": node("db-1", "{Role: db}"),
            "nodes/db-2.yaml": node("db-2", "{Role: db}"),
            "access/roles.yaml": ROLES,
            "access/operators.yaml": OPERATORS,
        }
    )
    house = House(files)
    house.join("web-1", "db-1")
    house.settle(2)
    return house


METHODS: dict[str, tuple[str, Callable[[House, Subject], Any]]] = {
    "status": ("read", lambda house, who: house.service.status(who)),
    "nodes": ("read", lambda house, who: house.service.nodes(who)),
    "node": ("read", lambda house, who: house.service.node(who, "web-1")),
    "conditions": ("read", lambda house, who: house.service.conditions(who)),
    "audit": ("read", lambda house, who: house.service.audit(who, 10)),
    "apply_status": ("read", lambda house, who: house.service.apply_status(who, house.apply()["apply"])),
    "plan": ("plan", lambda house, who: house.service.plan(who, None, None)),
    "apply": ("apply", lambda house, who: house.service.apply(who, None, None, 0)),
    "sync": ("apply", lambda house, who: house.service.sync(who)),
    "explain": ("explain", lambda house, who: house.service.explain(who, "web-1", None)),
    "create_token": ("enroll", lambda house, who: house.service.create_token(who, "new", {}, 60)),
    "retire": ("retire", lambda house, who: house.service.retire(who, "web-1")),
}
HOLDERS = {
    "read": "reader",
    "plan": "planner",
    "apply": "applier",
    "explain": "explainer",
    "enroll": "enroller",
    "retire": "retirer",
}


@pytest.mark.parametrize("method", METHODS)
def test_each_method_asks_for_its_verb_and_no_other(house: House, method: str) -> None:
    verb, ask = METHODS[method]
    for name, holder in HOLDERS.items():
        if name != verb:
            with pytest.raises(Refused, match=f"{holder} may not {verb} "):
                ask(house, Subject(holder))
    for nobody in ("nobody", "who-is-not-there"):
        with pytest.raises(Refused, match="may not"):
            ask(house, Subject(nobody))
    ask(house, Subject(HOLDERS[verb]))


@pytest.mark.parametrize("method", METHODS)
def test_before_anything_is_in_force_only_the_owner_may(method: str) -> None:
    house = House(small("web-1", fleet=MANUAL, **{"access/roles.yaml": ROLES, "access/operators.yaml": OPERATORS}))
    verb, ask = METHODS[method]
    if method != "apply_status":
        with pytest.raises(Refused, match="may not"):
            ask(house, Subject(HOLDERS[verb]))


@pytest.mark.parametrize("method", [name for name in METHODS if name != "apply_status"])
def test_a_refusal_is_written_down(house: House, method: str) -> None:
    verb, ask = METHODS[method]
    with pytest.raises(Refused):
        ask(house, Subject("nobody"))
    assert house.audit(verb)[0][0::2] == ("nobody", "refused")


def test_a_kind_is_part_of_a_grant(house: House) -> None:
    assert house.service.status(Subject("fleet-only"))["nodes"] == 2
    with pytest.raises(Refused, match="may not read Node"):
        house.service.nodes(Subject("fleet-only"))
    with pytest.raises(Refused, match="may not read Audit"):
        house.service.audit(Subject("fleet-only"), 1)


class TestReach:
    """The web team may do everything, to its own nodes."""

    TEAM = Subject("web-team")

    def test_it_sees_its_own(self, house: House) -> None:
        rows = [(row["name"], row["state"]) for row in house.service.nodes(self.TEAM)]
        assert rows == [("web-1", "Online"), ("web-2", "NotEnrolled")]
        everything = [row["name"] for row in house.service.nodes(ROOT)]
        assert everything == ["db-1", "db-2", "web-1", "web-2"]

    def test_others_are_not_known_to_it_nor_are_their_names(self, house: House) -> None:
        service, team = house.service, self.TEAM
        asked: list[Callable[[], Any]] = [
            lambda: service.node(team, "db-1"),
            lambda: service.node(team, house["db-1"].id),
            lambda: service.explain(team, "db-1", None),
            lambda: service.explain(team, "db-2", None),
            lambda: service.retire(team, "db-1"),
        ]
        for ask in asked:
            with pytest.raises(Refused, match=r"no node named .* is known to you"):
                ask()
        with pytest.raises(Refused, match=r"did you mean web-1\?"):
            house.service.node(self.TEAM, "web-3")
        with pytest.raises(Refused) as caught:
            house.service.node(self.TEAM, "db-3")
        assert "db-1" not in str(caught.value)

    def test_it_explains_its_own_enrolled_or_not(self, house: House) -> None:
        assert house.service.explain(self.TEAM, "web-1", "/etc/motd")["reasons"]
        (reason,) = house.service.explain(self.TEAM, "web-2", "/etc/motd")["reasons"]
        assert reason["waits"] == ("enrolment: the node is declared and not enrolled",)

    def test_a_plan_shows_it_no_others(self, house: House) -> None:
        head = house.status()["head"]
        other = association("base", parameters="{text: [other]}", maxConcurrency='"1"', maxErrors='"100%"')
        feature = house.remote.commit("feature", {"associations/base.yaml": other.encode()}, base=head)
        view = house.service.plan(self.TEAM, feature, None)
        (change,) = view["changes"]
        assert list(change["nodes"].values()) == ["web-1"]
        assert (view["summary"]["nodes"], view["summary"]["assign"], view["notEnrolled"]) == (1, 1, [])
        whole = house.service.plan(ROOT, feature, None)
        assert whole["summary"]["assign"] == 2
        assert whole["notEnrolled"] == ["db-2", "web-2"]
        assert "db-1" not in str(view)
        assert "db-1" in str(whole)

    def test_it_may_not_apply_for_a_revision_moves_all(self, house: House) -> None:
        with pytest.raises(Refused, match=r"may apply to some nodes only, and a revision moves all.*merging"):
            house.apply(by=self.TEAM)
        assert house.audit("apply")[0] == ("web-team", "the head", "refused")

    def test_it_retires_its_own(self, house: House) -> None:
        assert house.service.retire(self.TEAM, "web-1")["state"] == "Retired"
        assert house.audit("retire")[0] == ("web-team", "web-1", "retired")

    def test_it_enrols_only_what_will_be_its_own(self, house: House) -> None:
        create = house.service.create_token
        assert create(self.TEAM, None, {"Role": "web"}, 60)["token"]
        assert create(self.TEAM, "web-2", {}, 60)["token"], "Git says that this one is a web server"
        assert create(self.TEAM, "web-2", {"Role": "db"}, 60)["token"], "where Git's word counts more than the token's"
        for node_name, labels in ((None, {}), (None, {"Role": "db"}), ("db-2", {}), ("db-2", {"Role": "web"})):
            with pytest.raises(Refused, match="web-team may not enroll"):
                create(self.TEAM, node_name, labels, 60)


def test_an_operator_is_known_by_any_form_of_the_key(house: House) -> None:
    assert house.service.operator_of(KEY) == "mary"
    assert house.service.operator_of(f"{KEY} a comment") == "mary"
    assert house.service.operator_of(KEY[:-1] + "B") is None


def test_what_was_done_is_written_down_with_its_outcome(house: House) -> None:
    house.apply(by=Subject("applier"))
    house.service.create_token(Subject("enroller"), "new", {"Env": "prod"}, 60)
    house.service.retire(Subject("retirer"), "db-1")
    head = house.status()["head"]
    assert house.audit("apply")[0] == ("applier", head, "started")
    assert house.audit("enroll")[0] == ("enroller", "new", "token created")
    assert house.audit("retire")[0] == ("retirer", "db-1", "retired")
    row = house.service.audit(Subject("reader"), 1)[0]
    assert row["subject"] == "retirer"
    assert row["at"].endswith("Z")
