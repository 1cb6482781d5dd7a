"""Parameters through the controller: who may read which, what is opened for whom, what is written down of it."""

from __future__ import annotations

from typing import Any

import pytest

from agent.contract.canonical import instant
from reconciler.adapters.parameters import SopsUnseal
from reconciler.core.access import Subject
from reconciler.core.problem import Refused, Unavailable
from tests.adapters.sops.files import KEYS, made
from tests.controller.house import BORN, ROOT, House, small
from tests.engine.repository import operator, role

PLAIN = b"prod:\n  db:\n    password: hunter2\n    pin: 1234\ntest:\n  db:\n    password: letmein\n"
PATH = "parameters/all.sops.yaml"
ROLES = "---\n".join(
    (
        role("developer", "{verbs: [read], kinds: [Parameter], parameters: [/prod, /test/db/url]}"),
        role("keeper", "{verbs: [read, decrypt], kinds: [Parameter], parameters: [/test]}"),
        role("everything", '{verbs: ["*"], nodes: ["*"]}'),
    )
)
HOUR = 3_600_000
ALICE, BOB, CAROL = Subject("alice"), Subject("bob"), Subject("carol")


@pytest.fixture
def house() -> House:
    files = small(
        "web-1",
        **{
            "access/roles.yaml": ROLES,
            "access/operators.yaml": "---\n".join(
                (operator("alice", "developer"), operator("bob", "keeper"), operator("carol", "everything"))
            ),
            "parameters/all.yaml": "prod: {db: {url: p}}\nproduct: {x: y}\ntest: {db: {url: t}}\n",
            PATH: made(PLAIN, PATH).decode(),
        },
    )
    house = House(files, start=False)
    house.unseal = SopsUnseal(lambda: KEYS)
    house.start()
    house.settle(3)
    return house


def below(house: House, subject: Subject, path: str = "/", *, decrypt: bool = False) -> dict[str, str]:
    found = house.service.parameters.below(subject, path, recursive=True, decrypt=decrypt)
    return {view["Name"]: view["Value"] if not view["Value"].startswith("ENC[") else "sealed" for view in found}


def one(house: House, subject: Subject, name: str, *, decrypt: bool = False) -> Any:
    return house.service.parameters.one(subject, name, decrypt=decrypt)["Value"]


def test_only_what_is_granted_is_seen(house: House) -> None:
    assert below(house, ALICE) == {
        "/prod/db/password": "sealed",
        "/prod/db/pin": "sealed",
        "/prod/db/url": "p",
        "/test/db/url": "t",
    }
    assert below(house, BOB, "/test") == {"/test/db/password": "sealed", "/test/db/url": "t"}
    assert below(house, CAROL) == {}
    assert len(below(house, ROOT)) == 6
    for subject, name in ((ALICE, "/product/x"), (BOB, "/prod/db/url"), (CAROL, "/prod/db/url")):
        with pytest.raises(Refused, match=f"{subject.name} may not read Parameter {name}"):
            one(house, subject, name)
    with pytest.raises(Refused, match="nobody may not read"):
        below(house, Subject("nobody"))


def test_what_is_not_there_and_what_is_not_yours_look_alike(house: House) -> None:
    with pytest.raises(Refused, match="may not read Parameter /product/none"):
        one(house, ALICE, "/product/none")
    with pytest.raises(Refused, match="did you mean /prod/db/url"):
        one(house, ALICE, "/prod/db/ulr")


def test_a_secret_is_opened_for_who_may_and_that_is_written_down(house: House) -> None:
    assert one(house, BOB, "/test/db/password").startswith("ENC[")
    assert house.audit("decrypt") == []
    assert one(house, BOB, "/test/db/password", decrypt=True) == "letmein"
    assert below(house, BOB, "/test", decrypt=True)["/test/db/password"] == "letmein"
    assert house.audit("decrypt") == [("bob", "Parameter /test/db/password", "done")] * 2
    with pytest.raises(Refused, match="may not decrypt Parameter /prod/db/password"):
        one(house, ALICE, "/prod/db/password", decrypt=True)
    with pytest.raises(Refused, match="may not decrypt"):
        below(house, ALICE, "/prod", decrypt=True)
    with pytest.raises(Refused, match="may not decrypt"):
        house.service.parameters.history(ALICE, "/prod/db/password", decrypt=True)
    assert house.audit("decrypt")[0] == ("alice", "Parameter /prod/db/password", "refused")
    assert below(house, ROOT, "/prod", decrypt=True)["/prod/db/pin"] == "1234"


def test_what_cannot_be_written_down_is_not_given(house: House) -> None:
    def full(_: object) -> None:
        raise Unavailable("the store", "it is full")

    house.disk.before = full
    with pytest.raises(Unavailable):
        one(house, BOB, "/test/db/password", decrypt=True)
    assert one(house, BOB, "/test/db/url", decrypt=True) == "t"


def test_versions_go_on_with_commits(house: House) -> None:
    house.push({PATH: made(PLAIN.replace(b"letmein", b"another"), PATH).decode()})
    house.service.sync(ROOT)
    house.settle(3)
    found = house.service.parameters.history(BOB, "/test/db/password", decrypt=True)
    assert [(view["Version"], view["Value"]) for view in found] == [(1, "letmein"), (2, "another")]
    assert one(house, BOB, "/test/db/password:1", decrypt=True) == "letmein"
    assert [row[1] for row in house.audit("decrypt")] == [
        "Parameter /test/db/password:1",
        "Parameter /test/db/password",
    ]


def test_without_keys_nothing_opens(house: House) -> None:
    house.crash()
    house.unseal = SopsUnseal(lambda: type(KEYS)())
    house.start()
    with pytest.raises(Refused, match="none of the keys here opens"):
        one(house, ROOT, "/test/db/password", decrypt=True)


def test_policies_are_told_of_once_and_stand_as_conditions(house: House) -> None:
    ends = instant(house.timer.now_ms() + 3 * HOUR)
    told = (
        "apiVersion: ops/v1\nkind: Parameter\nmetadata: {name: url}\nspec:\n  name: /prod/db/url\n  tier: Advanced\n"
        f"  policies:\n  - {{type: Expiration, attributes: {{timestamp: '{ends}'}}}}\n"
        "  - {type: ExpirationNotification, attributes: {before: 2, unit: Hours}}\n"
        "  - {type: NoChangeNotification, attributes: {after: 4, unit: Hours}}\n"
    )
    house.push({"parameters/said.yaml": told})
    house.service.sync(ROOT)

    def after(hours: float) -> list[str]:
        house.timer.set_clock(hours * 3600)
        house.timer.advance(61)
        return [found["reason"] for found in house.service.conditions(ROOT) if found["uid"] == "Parameter/url"]

    assert after(0.5) == []
    assert after(1) == ["ExpiresSoon"]
    assert after(2) == ["Expired"]
    assert after(1) == ["Expired", "NotChanged"]
    house.crash()
    house.start()
    assert after(1) == ["Expired", "NotChanged"]
    subjects = [told.subject for told in house.notifier.told if "/prod/db/url" in told.subject]
    assert subjects == [
        f"/prod/db/url expires at {ends}",
        f"/prod/db/url expired at {ends}",
        f"/prod/db/url has had the same value since {instant(BORN // 1000 * 1000)}",
    ]
    house.push({"parameters/all.yaml": "prod: {db: {url: new}}\n", "parameters/said.yaml": None})
    house.service.sync(ROOT)
    assert after(0.1) == []
