"""Webhooks against a real server: what is sent, what comes back, and where nothing is sent to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.outside import Forbidden, Integration, MemoryOutside, Webhooks, permitted
from reconciler.adapters.timer import SystemClock
from reconciler.core.executions import Answer
from reconciler.core.ports import Outside
from tests.adapters.listener.certificates import ThrowawayCa
from tests.adapters.outside.server import Served, serving, with_status

ACTION = "aws:invokeWebhook"
SECRET = "hunter2-of-the-hook"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(ThrowawayCa(tmp_path_factory.mktemp("tls")).issue()) as served:
        yield served


@pytest.fixture
def integration(server: Served, tmp_path: Path) -> Integration:
    server.came.clear()
    server.respond = with_status(200)
    token = tmp_path / "token"
    token.write_text(SECRET + "\n")
    return Integration(
        url=server.url,
        headers={"X-From": "opsctl"},
        header_files={"Authorization": token},
        payload='{"text": "of the integration"}',
        private=True,
        ca=server.ca,
    )


def asked(one: Integration, deadline: int | None = None, **inputs: Any) -> Answer:
    return Webhooks({"chat": one}, SystemClock()).perform(
        "work-1", ACTION, {"IntegrationName": "chat", **inputs}, deadline
    )


def test_what_is_sent_and_what_comes_back(integration: Integration, server: Served) -> None:
    server.respond = with_status(201, b"made")
    assert asked(integration, Body="hello") == Answer(outputs={"Response": "made", "ResponseCode": 201})
    ((path, headers, body),) = server.came
    assert (path, body) == ("/hook", b"hello")
    assert headers["authorization"] == SECRET
    assert headers["x-from"] == "opsctl"
    assert headers["host"] == f"localhost:{server.port}"
    assert headers["idempotency-key"] == "work-1"
    assert headers["content-type"].startswith("text/plain")


def test_a_body_that_is_no_text_is_json(integration: Integration, server: Served) -> None:
    asked(integration, Body={"text": "of the step"})
    asked(integration)
    assert [json.loads(body)["text"] for _, _, body in server.came] == ["of the step", "of the integration"]
    assert {headers["content-type"] for _, headers, _ in server.came} == {"application/json"}


@pytest.mark.parametrize(("status", "location"), [(500, ""), (404, ""), (302, "http://169.254.169.254/")])
def test_another_status_fails_and_no_redirect_is_followed(
    integration: Integration, server: Served, status: int, location: str
) -> None:
    server.respond = with_status(status, b"no", **({"Location": location} if location else {}))
    answer = asked(integration)
    assert (answer.status, answer.outputs["ResponseCode"], len(server.came)) == ("Failed", status, 1)
    assert answer.reason == f"the webhook `chat` (localhost) answered with status {status}"


def test_a_long_response_is_read_as_far_as_it_is_kept(integration: Integration, server: Served) -> None:
    server.respond = with_status(200, b"x" * (1 << 20))
    assert len(asked(integration).outputs["Response"]) == 100 * 1024


def test_one_that_drips_is_out_of_time(integration: Integration, server: Served) -> None:
    over = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not over.wait(0.02):
            handler.wfile.write(b"x")

    server.respond = drip
    answer = asked(replace(integration, seconds=1))
    over.set()
    assert (answer.status, answer.reason) == ("TimedOut", "the webhook `chat` (localhost) did not answer in 1 s")


def test_a_deadline_is_sooner_than_the_limit(integration: Integration, server: Served) -> None:
    over = threading.Event()

    def silent(_: BaseHTTPRequestHandler) -> None:
        over.wait(20)

    server.respond = silent
    answer = asked(integration, deadline=SystemClock().now_ms() + 200)
    over.set()
    assert answer.status == "TimedOut"


def test_addresses_of_no_concern_are_not_called(integration: Integration, server: Served) -> None:
    answer = asked(replace(integration, private=False))
    assert (answer.status, server.came) == ("Failed", [])
    assert "is not an address of the public internet; `allowPrivate: true` allows it" in answer.reason


def test_an_unknown_certificate_is_not_trusted(integration: Integration) -> None:
    answer = Webhooks({"chat": replace(integration, ca=None)}, SystemClock()).perform(
        "w", ACTION, {"IntegrationName": "chat"}, None
    )
    assert answer.status == "Failed"
    assert "certificate verify failed" in answer.reason


@pytest.mark.parametrize(("changed", "said"), [
    ({"url_file": Path("/nonexistent/url")}, "/nonexistent/url: No such file or directory"),
    ({"url": f"ftp://host/{SECRET}"}, "its URL is no http or https address"),
    ({"url": f"https://no-such-host.invalid/{SECRET}"}, "does not answer"),
    ({"url": f"http://127.0.0.1:1/{SECRET}"}, "does not answer"),
    ({"url": f"http://169.254.169.254/{SECRET}"}, "metadata address, which is never called"),
])  # fmt: skip
def test_what_cannot_be_called_is_said_without_what_is_secret(
    integration: Integration, server: Served, changed: dict[str, Any], said: str
) -> None:
    answer = asked(replace(integration, **changed))
    assert answer.status == "Failed"
    assert said in answer.reason
    assert SECRET not in answer.reason


def test_names_that_are_not_there() -> None:
    hooks = Webhooks({"chat": Integration(url="https://example.com")}, SystemClock())
    reason = hooks.perform("w", ACTION, {"IntegrationName": "chatt"}, None).reason
    assert reason == "there is no webhook integration `chatt`: did you mean chat?"
    assert "add it to `webhooks`" in hooks.perform("w", ACTION, {"IntegrationName": "xyz"}, None).reason


@pytest.mark.parametrize("address", [
    "127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "::1", "fc00::1", "::ffff:127.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::", "0.0.0.0", "224.0.0.1", "169.254.169.254", "fe80::1%eth0", "fd00:ec2::254",
    "::ffff:169.254.169.254",
])  # fmt: skip
def test_what_is_no_address_of_the_internet(address: str) -> None:
    with pytest.raises(Forbidden):
        permitted(["93.184.216.34", address], private=False)


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "fe80::1", "0.0.0.0", "64:ff9b::a9fe:a9fe"])
def test_what_is_never_called(address: str) -> None:
    with pytest.raises(Forbidden):
        permitted([address], private=True)


def test_what_may_be_called() -> None:
    assert permitted(["93.184.216.34", "2606:2800:220:1::1"], private=False) == "93.184.216.34"
    assert permitted(["10.0.0.1"], private=True) == "10.0.0.1"


@pytest.fixture(params=["webhooks", "memory"])
def outside(request: pytest.FixtureRequest, integration: Integration, server: Served) -> Outside:
    if request.param == "memory":
        return MemoryOutside({ACTION: lambda _: Answer(outputs={"Response": "ok", "ResponseCode": 200})})
    return Webhooks({"chat": integration}, SystemClock())


def test_every_outside_answers(outside: Outside) -> None:
    inputs = {"IntegrationName": "chat", "Body": "x"}
    assert outside.perform("w", ACTION, inputs, None) == Answer(outputs={"Response": "ok", "ResponseCode": 200})


def test_no_outside_raises_for_what_it_does_not_do(outside: Outside) -> None:
    answer = outside.perform("w", "aws:fly", {}, None)
    assert (answer.status, answer.reason[:12]) == ("Failed", "Unsupported:")
