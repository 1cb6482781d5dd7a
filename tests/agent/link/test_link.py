"""The link over real TLS and WebSocket, with servers that are right, wrong, slow, gone, or somebody else."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.contract import frames, sshsig, wire
from agent.contract.canonical import canonical, digest
from agent.contract.codec import to_wire
from agent.contract.reserved import RESERVED
from agent.enrolment import enroll
from agent.state import identity
from agent.state.assignments import Position
from tests.agent.gateway import FLEET, NODE, Connection, Gateway
from tests.agent.linked import HASTY, Linked
from tests.agent.pki import Authority, ControllerKey
from tests.agent.reports import report

MOTD = wire.Body("Association/motd", "motd", [wire.BodyStep("motd", "ops:file", 1, {"path": "/etc/motd"})])


@pytest.fixture
def linked(enrolled: str) -> Iterator[Linked]:
    with Linked(enrolled) as running:
        yield running


def connected(gateway: Gateway, linked: Linked) -> Connection:
    """The connection, once both sides hold it to be open."""
    gateway.wait(lambda: bool(gateway.hellos and gateway.connections), "a connection")
    linked.wait(lambda: linked.link.session is not None, "an open session")
    return gateway.connections[-1]


def held(gateway: Gateway, serial: int) -> wire.Held:
    gateway.wait(lambda: any(item.serial == serial for item in gateway.held), f"holding {serial}")
    return next(item for item in gateway.held if item.serial == serial)


# What goes well


def test_a_set_is_fetched_whole_and_held(gateway: Gateway, linked: Linked) -> None:
    source = os.urandom(3 * frames.INITIAL_CREDIT + 1234)
    empty = gateway.put(b"")
    body = dataclasses.replace(
        MOTD,
        files={
            "files/motd": wire.FileRef(gateway.put(source), len(source)),
            "files/empty": wire.FileRef(empty, 0),
        },
    )
    wanted = gateway.want(1, [body])
    assert held(gateway, 1) == wire.Held(1, 1, {body.uid: wanted.assignments[body.uid].body_digest})
    desired = linked.assignments.desired()
    assert desired is not None
    assert desired.position == Position(1, 1)
    assert linked.assignments.body(desired.assignments[body.uid].body_digest) == body
    assert linked.assignments.context(desired.context_digest).name == "web-1"
    assert linked.assignments.objects.read(digest(source)) == source
    assert linked.assignments.objects.read(empty) == b""
    assert gateway.credits >= 4
    assert linked.assigned == 1
    assert linked.status["state"] == "connected"


def test_many_small_files_come_a_few_at_a_time(gateway: Gateway, linked: Linked) -> None:
    contents = [b"file %d" % number for number in range(300)]
    files = {f"files/{at}": wire.FileRef(gateway.put(data), len(data)) for at, data in enumerate(contents)}
    gateway.want(1, [dataclasses.replace(MOTD, files=files)])
    held(gateway, 1)
    assert all(linked.assignments.objects.read(digest(data)) == data for data in contents)


def test_what_is_held_is_said_at_the_next_connection_and_nothing_is_fetched_twice(
    gateway: Gateway, enrolled: str
) -> None:
    wanted = gateway.want(7, [MOTD])
    with Linked(enrolled):
        held(gateway, 7)
    gateway.contents.clear()
    with Linked(enrolled) as again:
        gateway.wait(lambda: len(gateway.hellos) == 2)
        hello = gateway.hellos[-1]
        assert (hello.incarnation, hello.serial, hello.context_digest) == (1, 7, wanted.context_digest)
        assert hello.digests == {MOTD.uid: wanted.assignments[MOTD.uid].body_digest}
        gateway.want(8, [MOTD])
        held(gateway, 8)
        assert again.assigned == 1


def test_a_newer_set_replaces_the_older_and_remembers_what_left(gateway: Gateway, linked: Linked) -> None:
    other = dataclasses.replace(MOTD, uid="Association/other")
    first = gateway.want(1, [MOTD, other])
    held(gateway, 1)
    gateway.want(2, [other])
    held(gateway, 2)
    desired = linked.assignments.desired()
    assert desired is not None
    assert set(desired.assignments) == {other.uid}
    assert desired.removing[MOTD.uid].body_digest == first.assignments[MOTD.uid].body_digest
    gateway.want(3, [MOTD, other], generation=2)
    held(gateway, 3)
    desired = linked.assignments.desired()
    assert desired is not None
    assert desired.removing == {}


def test_reports_are_sent_signed_in_order_and_kept_until_acknowledged(gateway: Gateway, linked: Linked) -> None:
    gateway.acknowledge = False
    for number in range(20):
        linked.journal.report(report(uid=f"Association/{number}"), "content", applied=True)
    linked.link.wake()
    gateway.wait(lambda: len(gateway.reports) == 16)
    assert [item.seq for item in gateway.reports] == list(range(1, 17))
    assert gateway.reports[3] == report(uid="Association/3", seq=4)
    gateway.connections[0].say(frames.control(wire.Ack(16)))
    gateway.wait(lambda: len(gateway.reports) == 20)
    gateway.acknowledge = True
    gateway.connections[0].hang_up()
    gateway.wait(lambda: len(gateway.reports) == 24)
    assert [item.seq for item in gateway.reports[20:]] == [17, 18, 19, 20]
    linked.wait(lambda: not linked.journal.pending(), "every acknowledgement")


def test_a_report_of_another_identity_is_not_sent_and_stops_nothing(gateway: Gateway, linked: Linked) -> None:
    linked.journal.report(report(node_id="mi-fffffffffffffffff"), "content", applied=True)
    linked.journal.report(report(), "content", applied=True)
    linked.link.wake()
    gateway.wait(lambda: len(gateway.reports) == 1)
    assert gateway.reports[0].seq == 2
    linked.wait(lambda: not linked.journal.pending(), "the acknowledgement")


def test_a_pulse_says_when_everything_was_looked_at(gateway: Gateway, linked: Linked) -> None:
    linked.link.pulse(1_767_225_600_000)
    gateway.wait(lambda: bool(gateway.pulses))
    assert gateway.pulses[0].checked_at == "2026-01-01T00:00:00.000Z"
    assert gateway.pulses[0].pending == 0


def test_lost_bytes_are_fetched_again(gateway: Gateway, linked: Linked) -> None:
    wanted = gateway.want(1, [MOTD])
    held(gateway, 1)
    lost = wanted.assignments[MOTD.uid].body_digest
    path = Path(linked.state, "held", "objects", lost[7:])
    path.write_bytes(b"a bad sector")
    with pytest.raises(LookupError, match="damaged"):
        linked.assignments.objects.read(lost)
    assert not path.exists()
    linked.link.lacking()
    linked.wait(lambda: path.exists() and linked.assigned == 2, "the second fetch")
    assert digest(path.read_bytes()) == lost


def test_the_connection_survives_silence_while_the_peer_answers_pings(gateway: Gateway, enrolled: str) -> None:
    with Linked(enrolled, HASTY._replace(ping=0.05, dead=5.0)) as linked:
        connection = connected(gateway, linked)
        linked.wait(lambda: connection.pings >= 3, "three pings")
        assert gateway.connections == [connection]
    assert len(gateway.hellos) == 1


# What the server must not get away with


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"serial": 4}, r"it is older \(1\.4\) than the one held \(1\.5\)"),
        ({"incarnation": 0, "serial": 99}, "it is older"),
        ({"serial": 5, "interval": 7}, "another set of the same serial"),
        ({"serial": 6, "fleet_id": "fleet-2"}, "of fleet fleet-2"),
        ({"serial": 6, "node_id": "mi-fffffffffffffffff"}, "for node mi-f"),
        ({"serial": 6, "context_digest": "../../etc/passwd"}, "not a digest"),
    ],
)
def test_a_set_that_is_not_for_now_and_here_is_refused(
    gateway: Gateway, linked: Linked, capfd: pytest.CaptureFixture[str], change: dict[str, Any], says: str
) -> None:
    wanted = gateway.want(5, [MOTD])
    held(gateway, 5)
    gateway.held.clear()
    connection = gateway.connections[0]
    connection.say(gateway.sign_set(dataclasses.replace(wanted, **change)))
    assert held(gateway, 5).digests == {MOTD.uid: wanted.assignments[MOTD.uid].body_digest}
    assert linked.assignments.position() == Position(1, 5)
    assert re.search(says, capfd.readouterr().err)
    gateway.want(7, [MOTD])
    held(gateway, 7)  # and the connection is none the worse for it
    assert gateway.connections == [connection]


@pytest.mark.fault
def test_a_forged_or_damaged_set_is_refused(gateway: Gateway, linked: Linked) -> None:
    wanted = gateway.want(5, [MOTD])
    held(gateway, 5)
    gateway.held.clear()
    newer = dataclasses.replace(wanted, serial=6)
    signed = gateway.controller.sign(sshsig.ASSIGNMENTS, canonical(to_wire(newer)))
    other = gateway.controller.sign(sshsig.HELLO, canonical(to_wire(newer)))
    connection = gateway.connections[0]
    for forged in (
        gateway.sign_set(newer, ControllerKey()),
        frames.signed_control("assignments", dataclasses.replace(signed, payload=signed.payload[:-8] + "AAAAAAA=")),
        frames.signed_control("assignments", dataclasses.replace(signed, sig="AAAA")),
        frames.signed_control("assignments", other),
    ):
        connection.say(forged)
    gateway.wait(lambda: len(gateway.held) == 4)
    assert {item.serial for item in gateway.held} == {5}
    assert linked.assignments.position() == Position(1, 5)


def test_whoever_sends_refused_sets_without_end_is_left(gateway: Gateway, linked: Linked) -> None:
    gateway.want(5, [MOTD])
    held(gateway, 5)
    forged = gateway.sign_set(gateway.desired[NODE], ControllerKey())
    connection = gateway.connections[0]
    for _ in range(60):
        connection.say(forged)
    gateway.wait(lambda: bool(gateway.closes))
    assert gateway.closes[0] == (1002, "51 frames were refused")


def test_the_set_on_disk_is_verified_again_at_start(gateway: Gateway, enrolled: str) -> None:
    gateway.want(5, [MOTD])
    with Linked(enrolled):
        held(gateway, 5)
    path = Path(enrolled, "held", "set.json")
    value = json.loads(path.read_text())
    forged = dataclasses.replace(gateway.desired[NODE], serial=9)
    value["signed"] = to_wire(ControllerKey().sign(sshsig.ASSIGNMENTS, canonical(to_wire(forged))))
    path.write_text(json.dumps(value))
    gateway.desired.clear()
    with Linked(enrolled) as linked:
        connected(gateway, linked)
        assert gateway.hellos[-1].serial == 0
        assert linked.assignments.desired() is None


def test_what_must_be_understood_and_is_not_is_answered_and_not_taken(gateway: Gateway, linked: Linked) -> None:
    gateway.want(1, [MOTD])
    held(gateway, 1)
    gateway.want(2, [MOTD], must_understand=["interval", "quorum"])
    gateway.wait(lambda: bool(gateway.unsupported))
    assert gateway.unsupported == [wire.Unsupported("quorum", "assignments")]
    gateway.want(3, [MOTD], protocol=2)
    gateway.wait(lambda: len(gateway.unsupported) == 2)
    assert gateway.unsupported[1].what == "protocol 2"
    assert linked.assignments.position() == Position(1, 1)
    gateway.want(4, [MOTD], must_understand=["interval"])
    held(gateway, 4)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_types_are_answered_unsupported(gateway: Gateway, linked: Linked, name: str) -> None:
    signed = gateway.controller.sign(sshsig.JOB, b"{}")
    connected(gateway, linked).say(frames.signed_control(name, signed))
    gateway.wait(lambda: bool(gateway.unsupported))
    assert gateway.unsupported == [wire.Unsupported(name)]


def test_types_of_a_later_day_are_ignored(gateway: Gateway, linked: Linked) -> None:
    connected(gateway, linked).say('{"type":"poem","lines":[1.5,null]}')
    gateway.want(1, [MOTD])
    held(gateway, 1)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "not an object with a type"),
        ('{"type":"ack"}', "lacks seq"),
        ('{"type":"ack","seq":true}', "expected int"),
        ('{"type":"assignments"}', "signed"),
        ('{"type":"stream","stream":1,"digest":"sha256:00","size":1}', "not asked for"),
        ('{"type":"missing","digest":"sha256:00"}', "not asked for"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_garbage_ends_the_connection_with_its_reason(gateway: Gateway, linked: Linked, text: str, says: str) -> None:
    connected(gateway, linked).say(text)
    gateway.wait(lambda: bool(gateway.closes))
    code, reason = gateway.closes[0]
    assert code == 1002
    assert says in reason
    gateway.wait(lambda: len(gateway.hellos) == 2, "the next connection")


@pytest.mark.fault
def test_frames_that_break_websocket_end_the_connection(gateway: Gateway, linked: Linked) -> None:
    connected(gateway, linked).send_raw(b"\x82\x7f" + (2 * 1024 * 1024).to_bytes(8, "big"))
    gateway.wait(lambda: bool(gateway.closes))
    assert gateway.closes[0] == (1009, "a message is over the limit of 1048576 bytes")
    gateway.wait(lambda: len(gateway.hellos) == 2, "the next connection")


class Misgiving(Connection):
    """Answers a fetch with something else than the bytes."""

    how = ""

    def give(self, wanted: str) -> None:
        data = self.gateway.contents[wanted]
        size = 10**9 if self.how == "vast" else len(data)
        self.say(frames.control(wire.Stream(1, wanted, size)))
        chunk = {
            "other": frames.StreamFrame(1, 0, frames.END, b"x" * len(data)),
            "short": frames.StreamFrame(1, 0, frames.END, data[:-1]),
            "long": frames.StreamFrame(1, 0, frames.END, data + b"x"),
            "skipped": frames.StreamFrame(1, 1, frames.END, data),
            "unannounced": frames.StreamFrame(9, 0, frames.END, data),
            "vast": frames.StreamFrame(1, 0, frames.END, data),
        }[self.how]
        self.send(frames.pack(chunk))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("other", "came damaged or cut"),
        ("short", "came damaged or cut"),
        ("long", "bytes came where"),
        ("skipped", "chunk 1"),
        ("unannounced", "stream 9"),
        ("vast", "at most"),
    ],
)
@pytest.mark.fault
def test_bytes_that_are_not_those_asked_for_are_not_taken(
    gateway: Gateway, enrolled: str, monkeypatch: pytest.MonkeyPatch, how: str, says: str
) -> None:
    monkeypatch.setattr(Misgiving, "how", how)
    monkeypatch.setattr(gateway, "connection", lambda tls: Misgiving(gateway, tls))
    gateway.want(1, [MOTD])
    with Linked(enrolled) as linked:
        gateway.wait(lambda: bool(gateway.closes))
        assert gateway.closes[0][0] == 1002
        assert says in gateway.closes[0][1]
        assert linked.assignments.desired() is None
        monkeypatch.undo()
        held(gateway, 1)
        assert not list(Path(enrolled, "held", "objects").glob("incoming*"))


def test_missing_bytes_keep_the_old_set_and_are_asked_for_again(
    gateway: Gateway, linked: Linked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.link.session.RETRY_MISSING", 0.0)
    gateway.want(1, [MOTD])
    held(gateway, 1)
    body = dataclasses.replace(MOTD, files={"f": wire.FileRef(digest(b"later"), 5)})
    gateway.want(2, [body])
    gateway.put_value(body)
    connection = gateway.connections[0]
    gateway.wait(lambda: bool(gateway.hellos))
    linked.wait(lambda: bool(linked.link.session and not linked.link.session.settled), "the fetch")
    assert linked.assignments.position() == Position(1, 1)
    gateway.put(b"later")
    connection.say('{"type":"poem"}')  # anything makes it look at the time
    held(gateway, 2)


# Who the server is


def test_a_server_with_another_controller_key_is_not_obeyed(gateway: Gateway, linked: Linked) -> None:
    connected(gateway, linked)
    gateway.controller = ControllerKey()
    gateway.want(1, [MOTD])
    gateway.connections[0].hang_up()
    gateway.wait(lambda: bool(gateway.closes))
    code, reason = gateway.closes[0]
    assert code == 4401
    assert "does not hold the controller key" in reason
    linked.wait(lambda: linked.status["state"] == "refused")
    assert linked.assignments.desired() is None


class Parrot(Connection):
    """Signs something else than this connection's transcript."""

    def welcome(self, transcript: bytes) -> str:
        value = {**json.loads(transcript), "serverNonce": "of another day"}
        return frames.signed_control("welcome", self.gateway.controller.sign(sshsig.HELLO, canonical(value)))


def test_a_welcome_to_another_connection_is_not_one(
    gateway: Gateway, enrolled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "connection", lambda tls: Parrot(gateway, tls))
    with Linked(enrolled) as linked:
        gateway.wait(lambda: bool(gateway.closes))
        assert gateway.closes[0] == (4401, "the server signed another connection's hello")
        assert linked.link.session is None


class Stranger(Connection):
    """Begins with a challenge of its own choosing."""

    text = ""

    def challenge(self) -> str:
        return self.text


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        (frames.control(wire.Challenge("fleet-2", "n" * 20, 1, 1)), 4401, "the server is of fleet fleet-2"),
        (frames.control(wire.Challenge(FLEET, "n" * 20, 2, 3)), 4406, "speaks protocol 2 to 3, this agent 1"),
        (frames.control(wire.Ack(1)), 1002, "'ack' came where 'challenge' was due"),
        ('{"type":"challenge","fleetId":"fleet-1","nonce":"\\ud800","protocolMin":1,"protocolMax":1}', 1002, "surrog"),
    ],
)
def test_strangers_are_told_why_they_are_left(
    gateway: Gateway, enrolled: str, monkeypatch: pytest.MonkeyPatch, text: str, code: int, says: str
) -> None:
    monkeypatch.setattr(Stranger, "text", text)
    monkeypatch.setattr(gateway, "connection", lambda tls: Stranger(gateway, tls))
    with Linked(enrolled):
        gateway.wait(lambda: bool(gateway.closes))
    assert gateway.closes[0][0] == code
    assert says in gateway.closes[0][1]


def test_a_server_of_another_ca_gets_no_hello(gateway: Gateway, enrolled: str) -> None:
    gateway.certificate = Authority("somebody in between").serve_as(gateway.directory)
    with Linked(enrolled) as linked:
        linked.wait(lambda: linked.status.get("state") == "waiting")
        assert not gateway.hellos
        assert "not signed by this fleet's CA" in linked.status["why"]


# Patience


def test_refused_it_says_why_and_keeps_trying_slowly(gateway: Gateway, enrolled: str) -> None:
    gateway.refuse = (4401, "this key is not the node's")
    with Linked(enrolled, HASTY._replace(refused=0.06)) as linked:
        linked.wait(lambda: linked.status.get("state") == "refused")
        assert linked.status["why"] == "the server closed the connection (4401: this key is not the node's)"
        assert linked.pauses[0] == (0.03, 0.06)
        gateway.refuse = None
        connected(gateway, linked)
        linked.wait(lambda: linked.status["state"] == "connected")


def test_losses_are_followed_by_longer_and_longer_pauses_with_jitter(gateway: Gateway, enrolled: str) -> None:
    gateway.shut()
    with Linked(enrolled, HASTY._replace(first=0.001, last=0.01)) as linked:
        linked.wait(lambda: len(linked.pauses) >= 8)
        assert linked.pauses[:6] == [(0, 0.001), (0, 0.002), (0, 0.004), (0, 0.008), (0, 0.01), (0, 0.01)]
        since = linked.status["since"]
        assert linked.status["state"] == "waiting"
        assert "Connection refused" in linked.status["why"]
        gateway.listen()
        connected(gateway, linked)
        linked.wait(lambda: linked.status["state"] == "connected")
        assert linked.status["since"] >= since


def test_servers_are_tried_in_turn(gateway: Gateway, enrolled: str) -> None:
    found = identity.load(enrolled)
    several = dataclasses.replace(found, servers=["https://127.0.0.1:1", *found.servers])
    identity.save(enrolled, several, gateway.authority.pem)
    with Linked(enrolled) as linked:
        connected(gateway, linked)
        assert len(linked.pauses) == 1


def test_a_silent_server_is_left(gateway: Gateway, enrolled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mute(Connection):
        def _greet(self) -> None:
            """Say nothing."""

    monkeypatch.setattr(gateway, "connection", lambda tls: Mute(gateway, tls))
    with Linked(enrolled, HASTY._replace(handshake=0.1)) as linked:
        linked.wait(lambda: linked.status.get("state") == "waiting")
        assert linked.status["why"] == "the server fell silent"


def test_a_dead_peer_is_found_out_by_pings(gateway: Gateway, enrolled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Linked(enrolled, HASTY._replace(ping=0.05, dead=0.1)) as linked:
        connection = connected(gateway, linked)
        monkeypatch.setattr(connection, "_received", lambda data: None)  # it reads, and answers nothing
        gateway.wait(lambda: len(gateway.hellos) == 2, "the next connection")
        assert linked.pauses


def test_one_that_is_refused_by_http_says_so(gateway: Gateway, enrolled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.link.link.PATH", "/elsewhere")
    with Linked(enrolled) as linked:
        linked.wait(lambda: linked.status.get("state") == "waiting")
        assert "no WebSocket at /elsewhere: HTTP 404: no such page" in linked.status["why"]


def test_a_retired_node_says_its_last_and_rests(gateway: Gateway, linked: Linked) -> None:
    gateway.want(1, [MOTD])
    held(gateway, 1)
    gateway.want(2, [], retire=True)
    held(gateway, 2)
    desired = linked.assignments.desired()
    assert desired is not None
    assert desired.retired
    assert set(desired.removing) == {MOTD.uid}
    linked.journal.report(report(cause="Removed"), "", applied=True)
    linked.assignments.removed(MOTD.uid)
    linked.link.wake()
    assert linked.ended()
    assert [item.cause for item in gateway.reports] == ["Removed"]
    assert linked.status["state"] == "retired"


def test_another_nodes_state_can_be_enrolled_beside(gateway: Gateway, tmp_path: Path, linked: Linked) -> None:
    connected(gateway, linked)
    enroll(str(tmp_path / "other"), gateway.token("another"))
