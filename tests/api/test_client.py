"""The client and the app, over real sockets: every call, every problem, who may ask."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from agent.contract.canonical import digest
from reconciler.adapters.listener import Peer
from reconciler.adapters.signer import KeySigner, verify
from reconciler.adapters.timer import SystemClock
from reconciler.api import events as events_module
from reconciler.api import signature
from reconciler.api.authentication import Doorkeeper
from reconciler.api.client import Client
from reconciler.api.problems import TooMany, Unauthenticated
from reconciler.core.access import Subject
from reconciler.core.allowance import Allowances
from reconciler.core.problem import Defect, Finding, Invalid, Place, Problem, Refused, Unavailable, Waiting
from tests.adapters.listener.certificates import ThrowawayCa

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.conftest import Edge

CALLS: list[tuple[Callable[[Client], Any], str, list[Any]]] = [
    (lambda client: client.status(), "status", []),
    (lambda client: client.plan(), "plan", [None, None]),
    (lambda client: client.plan("feature/ä b", "main"), "plan", ["feature/ä b", "main"]),
    (lambda client: client.apply(), "apply", [None, None, 0]),
    (
        lambda client: client.apply("main", {"commit": "c", "changes": []}, 3),
        "apply",
        ["main", {"commit": "c", "changes": []}, 3],
    ),
    (lambda client: client.sync(), "sync", []),
    (lambda client: client.nodes()[0], "nodes", []),
    (lambda client: client.node("web-1"), "node", ["web-1"]),
    (lambda client: client.node("wéb 1?&#"), "node", ["wéb 1?&#"]),
    (lambda client: client.retire("web-1"), "retire", ["web-1"]),
    (
        lambda client: client.create_token("web-1", {"Env": "prod"}, 60),
        "create_token",
        ["web-1", {"Env": "prod"}, 60],
    ),
    (lambda client: client.create_token(None, {}, 60), "create_token", [None, {}, 60]),
    (lambda client: client.explain("web-1"), "explain", ["web-1", None]),
    (lambda client: client.explain("web-1", "path:/etc/motd"), "explain", ["web-1", "path:/etc/motd"]),
    (lambda client: client.conditions()[0], "conditions", []),
    (lambda client: client.audit(5)[0], "audit", [5]),
    (lambda client: client.parameters.one("/a:3", decrypt=True), "parameter", ["/a:3", True]),
    (
        lambda client: client.parameters.below("/a", recursive=True, decrypt=False)[0],
        "parameters",
        ["/a", True, False],
    ),
    (lambda client: client.parameters.history("/a", decrypt=False)[0], "history", ["/a", False]),
]


@pytest.mark.parametrize(("call", "name", "arguments"), CALLS)
def test_every_call_arrives_signed_and_local(
    edge: Edge, call: Callable[[Client], Any], name: str, arguments: list[Any]
) -> None:
    with edge.client(edge.alice) as remote, edge.local() as local:
        assert call(remote) == {"subject": "alice", "called": name, "arguments": arguments}
        assert call(local) == {"subject": f"{_me()}@socket", "called": name, "arguments": arguments}


def _me() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.parametrize(
    "problem",
    [
        Invalid((Finding("bad", Place("a.yaml", 3, 4), "good", "god", related=(Place("b.yaml", 1, 1),)),)),
        Refused("no", "a rule", "a remedy"),
        Waiting("a window", 1_800_000_000_000),
        Unavailable("the remote", "it is down", 1.5),
    ],
)
def test_problems_come_back_as_what_they_were(edge: Edge, problem: Problem) -> None:
    edge.service.fail = problem
    for client in (edge.client(edge.alice), edge.local()):
        with client, pytest.raises(type(problem)) as caught:
            client.status()
        assert caught.value == problem


def test_a_defect_tells_the_client_where_to_look_and_nothing_else(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    edge.service.fail = RuntimeError("a secret detail")
    with edge.client(edge.alice) as client, pytest.raises(Defect) as caught:
        client.status()
    reference = caught.value.what.rpartition(" ")[2]
    assert "secret" not in str(caught.value)
    assert reference in caplog.text
    assert "a secret detail" in caplog.text


def test_verbs_are_the_services_to_judge(edge: Edge) -> None:
    with edge.client(edge.bob) as client:
        assert client.status()["subject"] == "bob"
        with pytest.raises(Refused, match="bob may not apply"):
            client.apply()


def test_an_unknown_operator_is_refused_and_told_which_key(edge: Edge) -> None:
    stranger = KeySigner()
    with edge.client(stranger) as client, pytest.raises(Refused) as caught:
        client.status()
    assert stranger.public in str(caught.value)
    assert edge.service.calls == []


def test_an_operators_key_file_signs(edge: Edge, tmp_path: Path) -> None:
    key = tmp_path / "id_ed25519"
    key.write_bytes(edge.alice.private_bytes())
    key.chmod(0o600)
    with Client(edge.url, edge.files.ca, key) as client:
        assert client.status()["subject"] == "alice"


def _header(edge: Edge, method: str, target: str, body: bytes = b"", *, at: int | None = None) -> dict[str, str]:
    said = signature.request(
        method,
        target,
        body,
        now_ms=SystemClock().now_ms() if at is None else at,
        nonce=os.urandom(16).hex(),
        server=digest(ssl.PEM_cert_to_DER_cert(edge.files.ca.read_text())),
    )
    return {"Authorization": signature.header(said, edge.alice)}


def test_signatures_over_bare_http(edge: Edge) -> None:
    path = "/api/v1/status"
    with edge.http() as http:
        good = _header(edge, "GET", path)
        assert http.get(path, headers=good).status_code == 200
        replayed = http.get(path, headers=good)
        stale = http.get(path, headers=_header(edge, "GET", path, at=SystemClock().now_ms() - 61_000))
        elsewhere = http.get("/api/v1/nodes", headers=_header(edge, "GET", path))
        queried = http.get(path + "?x=1", headers=_header(edge, "GET", path))
        unsigned = http.get(path)
        altered = http.post(
            "/api/v1/apply",
            content=b'{"rev":"evil"}',
            headers=_header(edge, "POST", "/api/v1/apply", b'{"rev":"main"}'),
        )
    answers = {"replayed": replayed, "stale": stale, "elsewhere": elsewhere, "queried": queried, "altered": altered}
    said = {name: answer.json()["error"]["what"] for name, answer in answers.items()}
    assert all(answer.status_code == 401 for answer in (*answers.values(), unsigned))
    assert "answered before" in said["replayed"]
    assert "compare the clocks" in said["stale"]
    assert "another request" in said["elsewhere"]
    assert "another request" in said["queried"]
    assert "another body" in said["altered"]
    assert [name for _, name, _ in edge.service.calls] == ["status"]


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", "/api/v1/apply", b"not json", "the body is not JSON"),
        ("POST", "/api/v1/apply", b"[]", "the body"),
        ("POST", "/api/v1/apply", b'{"rev": 7, "allowRemovals": -1, "more": 1}', "allowRemovals"),
        ("POST", "/api/v1/apply", b'{"allowRemovals": true}', "allowRemovals"),
        ("POST", "/api/v1/tokens", b'{"labels": {"": "x"}}', "labels"),
        ("POST", "/api/v1/tokens", b'{"ttlSeconds": 0}', "ttlSeconds"),
        ("GET", "/api/v1/audit?limit=many", b"", "limit"),
        ("GET", "/api/v1/audit?limit=0", b"", "limit"),
        ("GET", "/api/v1/explain", b"", "node"),
        ("GET", "/api/v1/status?verbose=1", b"", "verbose"),
        ("POST", "/api/v1/sync", b"x" * 70_000, "larger than"),
    ],
)
def test_requests_in_another_form_are_invalid(edge: Edge, method: str, path: str, body: bytes, said: str) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(edge.socket)), base_url="http://opsctl") as http:
        answer = http.request(method, path, content=body)
    findings = answer.json()["error"]["findings"]
    assert answer.status_code == 422
    assert any(said in finding["message"] for finding in findings), findings
    assert edge.service.calls == []


def test_all_findings_come_at_once(edge: Edge) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(edge.socket)), base_url="http://opsctl") as http:
        answer = http.post("/api/v1/apply", json={"rev": 7, "allowRemovals": -1, "more": 1})
    assert len(answer.json()["error"]["findings"]) == 3


def test_paths_that_are_not_there(edge: Edge) -> None:
    with edge.http() as http:
        assert http.get("/healthz").json() == {"status": "ok"}
        for answer, status in (
            (http.get("/api/v1/nowhere"), 404),
            (http.get("/"), 404),
            (http.delete("/api/v1/status"), 405),
        ):
            assert (answer.status_code, answer.json()["error"]["class"]) == (status, "Refused")
        assert http.get("/ca.pem").status_code == 200, "the gateway's own paths stay the gateway's"


# -- the socket ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_is_nobody(edge: Edge) -> None:
    edge.socket.parent.chmod(0o711)
    edge.socket.chmod(0o666)
    program = (
        "import os, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); os.chdir(sys.argv[1]); os.setgid(65534); os.setuid(65534)\n"
        "s.connect('opsctl.sock')\n"
        "s.sendall(b'GET /api/v1/status HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n')\n"
        "print(b''.join(iter(lambda: s.recv(4096), b'')).decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(edge.socket.parent)], capture_output=True, text=True, timeout=30, check=True
    )
    assert "401" in done.stdout.splitlines()[0]
    assert "is nobody to this server" in done.stdout
    assert edge.service.calls == []


def _door(owner: int, local: dict[int, str], burst: float = 100.0) -> Doorkeeper:
    freshness = signature.Freshness("sha256:x", 0)
    return Doorkeeper(lambda _: None, verify, freshness, lambda: 0, owner, local, Allowances(1.0, burst))


def _from(peer: Peer | None) -> dict[str, Any]:
    return {"state": {"peer": peer}, "client": None}


def test_who_the_kernel_says_asks() -> None:
    door = _door(owner=4_000_001, local={4_000_002: "alice"})
    assert door.admit(_from(Peer(0)), {}).subject == Subject("root@socket", everything=True)
    assert door.admit(_from(Peer(4_000_001)), {}).subject == Subject("4000001@socket", everything=True)
    assert door.admit(_from(Peer(4_000_002)), {}).subject == Subject("alice")
    for nobody in (Peer(4_000_003), None):
        with pytest.raises(Unauthenticated):
            door.admit(_from(nobody), {})


def test_one_subject_cannot_ask_without_end_and_hinders_no_other() -> None:
    door = _door(owner=4_000_001, local={}, burst=2.0)
    for _ in range(2):
        door.admit(_from(Peer(0)), {})
    with pytest.raises(TooMany) as caught:
        door.admit(_from(Peer(0)), {})
    assert 0 < caught.value.retry_after <= 1
    door.admit(_from(Peer(4_000_001)), {})


def test_an_address_cannot_knock_without_end() -> None:
    door = _door(owner=4_000_001, local={}, burst=2.0)
    stranger = {"state": {}, "client": ("192.0.2.1", 1)}
    for expected in (Unauthenticated, Unauthenticated, TooMany):
        with pytest.raises(expected):
            door.admit(stranger, {})


# -- following an apply ----------------------------------------------------------------------------------------------


def test_an_apply_is_followed_until_it_is_finished(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(events_module, "SILENCE_SECONDS", 0.02)
    edge.service.progress = {"finished": False, "done": 0}
    seen = []
    with edge.client(edge.alice) as client:
        for progress in client.apply_events("a1"):
            seen.append(progress["done"])
            if not progress["finished"]:
                for _ in range(5):
                    assert edge.service.asked.acquire(timeout=10)
                edge.service.progress = {"finished": progress["done"] == 2, "done": progress["done"] + 1}
    assert seen == [0, 1, 2, 3]


def test_an_apply_that_is_not_there_is_refused_at_once(edge: Edge) -> None:
    edge.service.fail = Refused("no such apply")
    with edge.client(edge.alice) as client, pytest.raises(Refused, match="no such apply"):
        next(client.apply_events("a1"))


def test_a_problem_while_following_arrives_as_what_it_was(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "LOOK_SECONDS", 0.01)
    edge.service.progress = {"finished": False}
    with edge.local() as client:
        progress = client.apply_events("a1")
        assert not next(progress)["finished"]
        edge.service.fail = Unavailable("the store", "gone")
        with pytest.raises(Unavailable, match="gone"):
            next(progress)


def test_following_is_bounded(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "STREAMS", 0)
    with edge.local() as client, pytest.raises(Unavailable, match="too many"):
        next(client.apply_events("a1"))


def test_a_server_that_stops_ends_what_follows_it(edge: Edge) -> None:
    import asyncio

    stopping = threading.Event()

    async def follow() -> list[Any]:
        stream = events_module.Events(stopping.is_set)
        response: Any = await stream.follow(lambda: {"finished": False}, lambda _, newer: newer)
        chunks = []
        async for chunk in response.body_iterator:
            chunks.append(chunk)
            stopping.set()
        return chunks

    assert len(asyncio.run(follow())) == 1


# -- servers that are not as they should be --------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["http://127.0.0.1:1", "127.0.0.1:8443", "unix:", "", "ftp://x"])
def test_an_address_that_is_none_is_refused(server: str) -> None:
    with pytest.raises(Refused, match="expected https://HOST:PORT or unix:PATH"):
        Client(server)


def test_https_needs_the_ca_and_a_key(edge: Edge, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="--ca"):
        Client(edge.url)
    broken = tmp_path / "ca.pem"
    for content in (None, "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        if content is not None:
            broken.write_text(content)
        with pytest.raises(Refused, match="no CA certificate"):
            Client(edge.url, broken, signer=edge.alice)


def test_a_server_of_another_ca_is_refused(edge: Edge, tmp_path: Path) -> None:
    another = ThrowawayCa(tmp_path).pem
    with Client(edge.url, another, signer=edge.alice) as client, pytest.raises(Refused, match="this CA did not sign"):
        client.status()


def test_a_server_that_is_not_there_is_unavailable(edge: Edge, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for client in (
        Client(f"unix:{tmp_path}/absent.sock"),
        Client(f"https://127.0.0.1:{port}", edge.files.ca, signer=edge.alice),
    ):
        with client:
            with pytest.raises(Unavailable):
                client.status()
            with pytest.raises(Unavailable):
                next(client.apply_events("a1"))


def test_requests_for_another_fleet_of_the_same_address_are_refused(edge: Edge) -> None:
    said = signature.request(
        "GET",
        "/api/v1/status",
        b"",
        now_ms=SystemClock().now_ms(),
        nonce=os.urandom(16).hex(),
        server="sha256:" + "0" * 64,
    )
    with edge.http() as http:
        answer = http.get("/api/v1/status", headers={"Authorization": signature.header(said, edge.alice)})
    assert (answer.status_code, "another server" in answer.text) == (401, True)
