"""Enrolment over real TLS: what is pinned, what is refused, what may be repeated."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import enrolment
from agent.contract import wire
from agent.contract.codec import to_wire
from agent.enrolment import EnrolmentFailed, enroll
from agent.link import dial
from agent.state import identity
from tests.agent.gateway import FLEET, NODE, Gateway
from tests.agent.pki import DAY, Authority
from tests.agent.proxy import Proxy


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path) as running:
        yield running


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def test_a_token_becomes_an_identity(gateway: Gateway, state: str) -> None:
    done = enroll(state, gateway.token(), hostname="web-1")
    assert not done.already
    found = identity.load(state)
    assert found == done.identity
    assert (found.fleet_id, found.node_id, found.node_name) == (FLEET, NODE, "web-1")
    assert found.servers == [gateway.url]
    assert found.controller_key == gateway.controller.text
    assert identity.load_ca(state) == gateway.authority.pem
    assert gateway.nodes[NODE] == identity.load_keys(state).sign_key()


def test_enrolled_already_is_said_and_asks_nobody(gateway: Gateway, state: str) -> None:
    token = gateway.token()
    first = enroll(state, token)
    gateway.shut()
    assert enroll(state, token) == (first.identity, True)


def test_a_lost_answer_is_repaired_by_asking_again_with_the_same_keys(gateway: Gateway, state: str) -> None:
    token = gateway.token()
    gateway.enrol_answer = (500, b"the answer was lost")
    with pytest.raises(EnrolmentFailed, match="HTTP 500"):
        enroll(state, token)
    keys = identity.load_keys(state)
    gateway.enrol_answer = None
    enroll(state, token)
    Path(identity.identity_path(state)).unlink()
    enroll(state, token)
    assert identity.load_keys(state) == keys


def test_a_token_used_by_another_node_is_refused(gateway: Gateway, tmp_path: Path) -> None:
    token = gateway.token()
    enroll(str(tmp_path / "one"), token)
    with pytest.raises(EnrolmentFailed, match=r"used already; make another with `opsctl token create`.*by another"):
        enroll(str(tmp_path / "other"), token)
    with pytest.raises(identity.NotEnrolled):
        identity.load(str(tmp_path / "other"))


def test_the_servers_reason_reaches_the_person(gateway: Gateway, state: str) -> None:
    gateway.enrol_answer = (410, json.dumps(to_wire(wire.Refusal("expired", "on 2026-01-01"))).encode())
    with pytest.raises(EnrolmentFailed, match=r"has expired; make another.*on 2026-01-01"):
        enroll(state, gateway.token())
    gateway.enrol_answer = (400, b"what?")
    with pytest.raises(EnrolmentFailed, match=r"refused \(HTTP 400\): what\?"):
        enroll(state, gateway.token())


def test_another_ca_is_found_out_before_the_secret_is_sent(gateway: Gateway, state: str) -> None:
    token = gateway.token(ca_digest=Authority().digest)
    with pytest.raises(EnrolmentFailed, match=r"not the one that the token names.*nothing secret was sent"):
        enroll(state, token)
    assert gateway.tokens == {"s3cret": ""}


def test_a_server_with_the_right_ca_file_and_a_wrong_certificate_is_found_out(gateway: Gateway, state: str) -> None:
    gateway.certificate = Authority("somebody in between").serve_as(gateway.directory)
    with pytest.raises(EnrolmentFailed, match="not signed by this fleet's CA"):
        enroll(state, gateway.token())
    assert gateway.tokens == {"s3cret": ""}


def test_extra_certificates_in_ca_pem_are_not_trusted(gateway: Gateway, state: str) -> None:
    gateway.ca_pem = gateway.authority.pem + Authority().pem
    with pytest.raises(EnrolmentFailed, match="holds 2 certificates"):
        enroll(state, gateway.token())


@pytest.mark.parametrize("pem", ["", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"])
def test_a_ca_pem_that_is_none_is_said(gateway: Gateway, state: str, pem: str) -> None:
    gateway.ca_pem = pem
    with pytest.raises(EnrolmentFailed, match=r"/ca\.pem|the server's CA"):
        enroll(state, gateway.token())


def test_a_certificate_for_another_address_is_said(gateway: Gateway, state: str) -> None:
    gateway.certificate = gateway.authority.serve_as(gateway.directory, "192.0.2.1")
    with pytest.raises(EnrolmentFailed, match="for another name or address"):
        enroll(state, gateway.token())


def test_a_wrong_clock_is_suspected(gateway: Gateway, state: str) -> None:
    gateway.certificate = gateway.authority.serve_as(gateway.directory, begins=-2 * DAY, ends=-DAY)
    with pytest.raises(EnrolmentFailed, match=r"has expired by this node's clock, which says 20.*is the clock right"):
        enroll(state, gateway.token())
    gateway.certificate = gateway.authority.serve_as(gateway.directory, begins=DAY, ends=2 * DAY)
    with pytest.raises(EnrolmentFailed, match="not valid yet by this node's clock"):
        enroll(state, gateway.token())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"fleetId": "other"}, "in fleet other, not the token's"),
        ({"nodeId": "../../etc"}, "malformed node id"),
        ({"controllerKey": "ssh-rsa AAAA"}, "malformed: not an ssh-ed25519"),
        ({"nodeName": 3}, "malformed.*nodeName"),
    ],
)
def test_an_answer_that_cannot_be_right_is_refused(
    gateway: Gateway, state: str, answer: dict[str, object], says: str
) -> None:
    good = to_wire(wire.Enrolled(FLEET, NODE, "web-1", gateway.controller.text, 1))
    gateway.enrol_answer = (200, json.dumps({**good, **answer}).encode())
    with pytest.raises(EnrolmentFailed, match=says):
        enroll(state, gateway.token())
    with pytest.raises(identity.NotEnrolled):
        identity.load(state)


def test_an_answer_without_end_is_cut(gateway: Gateway, state: str) -> None:
    gateway.enrol_answer = (200, b" " * (enrolment.ANSWER_LIMIT + 1))
    with pytest.raises(EnrolmentFailed, match="longer than 65536 bytes"):
        enroll(state, gateway.token())


def test_servers_are_tried_in_turn(gateway: Gateway, state: str) -> None:
    dead = socket.create_server(("127.0.0.1", 0))
    port = dead.getsockname()[1]
    dead.close()
    done = enroll(state, gateway.token(), server=f"https://127.0.0.1:{port}")
    assert done.identity.servers == [f"https://127.0.0.1:{port}", gateway.url]


def test_no_server_at_all_is_said_with_every_reason(gateway: Gateway, state: str) -> None:
    token = gateway.token()
    gateway.shut()
    with pytest.raises(
        EnrolmentFailed, match=rf"no server can be reached: 127\.0\.0\.1:{gateway.port}: Connection refused"
    ):
        enroll(state, token)
    with pytest.raises(EnrolmentFailed, match="neither --server nor the token"):
        enroll(state, gateway.token(servers=[]))


def test_a_state_directory_of_another_fleet_is_left_alone(gateway: Gateway, state: str) -> None:
    enroll(state, gateway.token())
    with pytest.raises(EnrolmentFailed, match=r"of another fleet.*another --state"):
        enroll(state, gateway.token(fleet_id="fleet-2"))


@pytest.mark.parametrize("token", ["", "opsctl1.@@@", "opsctl1.e30", "hello"])
def test_a_damaged_token_is_said_without_showing_it(state: str, token: str) -> None:
    with pytest.raises(EnrolmentFailed, match="token"):
        enroll(state, token)


@pytest.mark.parametrize("url", ["http://a:1", "https://", "https://a:b", "ftp://a", "https://u:p@a", "https://a/x"])
def test_what_is_not_a_servers_url_is_said(gateway: Gateway, state: str, url: str) -> None:
    with pytest.raises(EnrolmentFailed, match="not the URL of a server"):
        enroll(state, gateway.token(), server=url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://ops.example", "ops.example:443"),
        ("wss://ops.example:8443/", "ops.example:8443"),
        ("ops.example:8443", "ops.example:8443"),
        ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
    ],
)
def test_addresses(url: str, expected: str) -> None:
    assert str(dial.address(url)) == expected


def test_through_a_proxy(gateway: Gateway, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy() as proxy:
        monkeypatch.setenv("https_proxy", f"http://me:pa%20ss@127.0.0.1:{proxy.port}")
        enroll(state, gateway.token())
    assert len(proxy.heads) == 2
    assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{gateway.port} HTTP/1.1\r\n".encode())
    assert b"Proxy-Authorization: Basic bWU6cGEgc3M=\r\n" in proxy.heads[0]


def test_a_proxy_that_refuses_is_said_without_its_password(
    gateway: Gateway, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as proxy:
        monkeypatch.setenv("https_proxy", f"http://me:hunter2@127.0.0.1:{proxy.port}")
        with pytest.raises(EnrolmentFailed, match=f"proxy 127.0.0.1:{proxy.port} refused.*407") as raised:
            enroll(state, gateway.token())
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("host", "exceptions", "used"),
    [
        ("ops.example", "", True),
        ("ops.example", "other.example, .example", False),
        ("ops.example", "ops.example", False),
        ("notops.example", "ops.example", True),
        ("ops.example", "*", False),
    ],
)
def test_no_proxy_excepts_hosts(host: str, exceptions: str, used: bool) -> None:
    environ = {"https_proxy": "http://proxy:3128", "no_proxy": exceptions}
    assert dial.proxy_for(dial.Address(host, 443), environ) == ("http://proxy:3128" if used else "")


def test_the_token_is_not_shown_by_anything_that_is_raised(gateway: Gateway, state: str) -> None:
    token = gateway.token(secret="hunter2")
    gateway.enrol_answer = (500, b"")
    with pytest.raises(EnrolmentFailed) as raised:
        enroll(state, token)
    assert "hunter2" not in repr(raised.value) + str(raised.value.__cause__)
