"""Join tokens, the identities that they buy, and how an identity ends."""

from __future__ import annotations

import pytest

from agent.contract.wire import VALID_FOR
from reconciler.core.problem import Refused
from tests.controller.house import ROOT, House, seen, small
from tests.engine.repository import DOCUMENT, association, group, node

BASE = "Association/base"


@pytest.fixture
def house() -> House:
    return House(small("web-1", "db-1"))


class TestTokens:
    def test_one_buys_an_identity(self, house: House) -> None:
        token = house.token("web-1")
        assert (token.servers, token.fleet_id, token.ca_digest) == (
            ["https://house:8443"],
            "fl-0123456789abcdef0",
            "sha256:ca",
        )
        enrolled = house.intake.enrol(house.enrolment(token, "whatever"), "10.0.0.1")
        assert enrolled.node_name == "web-1"
        assert enrolled.node_id.startswith("mi-")
        assert len(enrolled.node_id) == 20
        assert enrolled.incarnation == house.disk.incarnation
        assert house.intake.node_key(enrolled.node_id) == "ssh-ed25519 whatever"
        assert house.audit("enroll")[0] == (f"token:{token.token_id}", "web-1", enrolled.node_id)

    def test_its_secret_is_nowhere(self, house: House) -> None:
        token = house.token("web-1")
        kept = house.disk.token(token.token_id)
        assert token.secret not in str(kept)
        assert token.secret not in str(house.disk.audit())

    def test_a_lost_answer_is_given_again(self, house: House) -> None:
        token = house.token("web-1")
        request = house.enrolment(token, "web-1")
        assert house.intake.enrol(request, "a") == house.intake.enrol(request, "a")
        house.restart()
        assert house.intake.enrol(request, "a").node_name == "web-1"
        assert len(house.disk.nodes()) == 1

    def test_nobody_else_uses_it(self, house: House) -> None:
        token = house.token("web-1")
        house.intake.enrol(house.enrolment(token, "web-1"), "a")
        with pytest.raises(Refused, match="used already") as caught:
            house.intake.enrol(house.enrolment(token, "web-1", key="ssh-ed25519 thief"), "b")
        assert caught.value.rule == "used"
        assert house.audit("enroll")[0] == ("peer:b", "", "refused: the join token was used already")

    def test_nor_after_the_node_was_retired(self, house: House) -> None:
        token = house.token("web-1")
        request = house.enrolment(token, "web-1")
        house.intake.enrol(request, "a")
        house.service.retire(ROOT, "web-1")
        with pytest.raises(Refused, match="was retired") as caught:
            house.intake.enrol(request, "a")
        assert caught.value.rule == "used"

    def test_it_expires(self, house: House) -> None:
        token = house.token("web-1", ttl=60)
        house.timer.advance(60)
        with pytest.raises(Refused, match="expired at") as caught:
            house.intake.enrol(house.enrolment(token, "web-1"), "a")
        assert caught.value.rule == "expired"

    def test_it_cannot_be_guessed(self, house: House) -> None:
        token = house.token("web-1")
        for secret, token_id in (("guess", token.token_id), (token.secret, "jt-0000")):
            request = house.enrolment(
                type(token)(token.servers, token.fleet_id, token.ca_digest, token_id, secret), "x"
            )
            with pytest.raises(Refused, match="unknown token") as caught:
                house.intake.enrol(request, "a")
            assert caught.value.rule == "unknown"

    @pytest.mark.parametrize("ttl", [0, -1, 30 * 86400 + 1])
    def test_its_life_is_bounded(self, house: House, ttl: int) -> None:
        with pytest.raises(Refused, match="may live between 1 and"):
            house.token("web-1", ttl=ttl)


class TestNames:
    @pytest.mark.parametrize("name", ["../../README", "a/b", "", ".hidden", "x" * 129, "two words", "neue\nzeile"])
    def test_a_name_that_cannot_be(self, house: House, name: str) -> None:
        with pytest.raises(Refused, match="cannot be the name of a node"):
            house.intake.enrol(house.enrolment(house.token(), name), "a")
        if name:
            with pytest.raises(Refused, match="cannot be the name of a node"):
                house.token(name)

    def test_one_that_is_taken(self, house: House) -> None:
        house.join("web-1")
        with pytest.raises(Refused, match=r"web-1 is enrolled already.*opsctl node retire web-1 first"):
            house.enrol("web-1")

    def test_one_that_a_renamed_node_was_enrolled_under(self, house: House) -> None:
        house.join("web-1")
        renamed = node("web-9").replace("name: web-9", "name: web-9, renamedFrom: web-1")
        house.push({"nodes/web-1.yaml": None, "nodes/web-9.yaml": renamed})
        house.settle(70)
        assert house.world.nodes.entry("web-9") is not None
        with pytest.raises(Refused, match=r"named web-1 is enrolled already \(and called web-9 in Git\)"):
            house.enrol("web-1")

    def test_what_a_machine_calls_itself_gets_it_nothing_that_git_gives_by_name(self) -> None:
        """Its token says nothing of its name, so it could be anybody's."""
        house = House(
            small(
                "declared",
                **{
                    "associations/named.yaml": association("named", targets="targeted", maxConcurrency='"1"'),
                    "groups/few.yaml": group("few", "listed"),
                },
            )
        )
        for name in ("declared", "targeted", "listed"):
            with pytest.raises(Refused, match="a name that Git speaks of; its token must say so too"):
                house.intake.enrol(house.enrolment(house.token(), name), "a")
            house.intake.enrol(house.enrolment(house.token(name), name), "a")
        free = house.intake.enrol(house.enrolment(house.token(), "free"), "a")
        assert free.node_name == "free"

    def test_nor_another_nodes_id(self, house: House) -> None:
        (web,) = house.join("web-1")
        with pytest.raises(Refused, match="is enrolled already"):
            house.intake.enrol(house.enrolment(house.token(), web.id), "a")


class TestRetired:
    def test_it_is_emptied_and_no_word_of_it_counts(self, house: House) -> None:
        web, _ = house.join("web-1", "db-1")
        house.settle(2)
        house.service.retire(ROOT, "web-1")
        house.tick()
        assert web.retired
        assert web.given == {}
        web.send()
        web.say(BASE, generation=1)
        assert house.disk.states(node_ids=[web.id]) == []
        assert house.world.nodes.named("web-1") == 0
        assert [row["name"] for row in house.service.nodes(ROOT) if row["id"]] == ["db-1"]
        row = house.disk.node(web.id)
        assert row is not None
        assert row.retired_at == house.timer.now_ms() - 1000
        assert seen(house.restart().world)["nodes"].keys() == {house["db-1"].id}

    def test_who_was_away_hears_of_it_when_it_is_back(self, house: House) -> None:
        (web,) = house.join("web-1")
        web.disconnect()
        house.service.retire(ROOT, "web-1")
        house.restart()
        house.timer.set_clock(VALID_FOR - 60)
        assert house.intake.node_key(web.id) is not None
        web.connect()
        assert web.retired
        house.timer.set_clock(120)
        assert house.intake.node_key(web.id) is None, "longer than it would have acted on its last set"

    def test_its_name_is_free_for_another_machine(self, house: House) -> None:
        (old,) = house.join("web-1")
        house.settle(2)
        house.service.retire(ROOT, "web-1")
        house.tick()
        (new,) = house.join("web-1")
        assert new.id != old.id
        house.settle(2)
        assert new.given[BASE][0] == 1
        assert house.service.node(ROOT, "web-1")["id"] == new.id
        assert {row.node_id for row in house.disk.states()} == {new.id}
        assert house.intake.content(old.id, new.given[BASE][1]) is None

    def test_twice_is_refused(self, house: House) -> None:
        house.join("web-1")
        house.service.retire(ROOT, "web-1")
        with pytest.raises(Refused, match="no node named web-1"):
            house.service.retire(ROOT, "web-1")

    def test_a_wave_does_not_wait_for_it(self) -> None:
        names = ("a", "b", "c")
        base = association("base", maxConcurrency='"1"', maxErrors='"100%"')
        house = House(small(*names, **{"associations/base.yaml": base}))
        house.join(*names)
        house.settle(5)
        house.push({"documents/motd.yaml": DOCUMENT.replace("hello", "changed")})
        house.tick(61)
        (stuck,) = house.in_flight(BASE)
        house.service.retire(ROOT, stuck)
        house.tick()
        assert len(house.in_flight(BASE)) == 1
