"""Git hosts' hooks, over real TLS."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from reconciler.api import hooks
from reconciler.api.hooks import GitHook, Secrets
from reconciler.api.problems import TooMany
from reconciler.core.problem import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.conftest import Edge

BODY = b'{"ref": "refs/heads/main"}'


def _signed(secret: bytes, body: bytes = BODY) -> dict[str, str]:
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()}


@pytest.fixture
def secrets(edge: Edge) -> Iterator[Edge]:
    github, gitlab = edge.secrets / "github", edge.secrets / "gitlab"
    github.write_text("hub secret\n")
    gitlab.write_text("lab token\n")
    yield edge
    github.unlink(missing_ok=True)
    gitlab.unlink(missing_ok=True)


def test_a_host_that_proves_itself_causes_a_fetch(secrets: Edge) -> None:
    with secrets.http() as http:
        assert http.post("/hooks/git", content=BODY, headers=_signed(b"hub secret")).status_code == 202
        assert http.post("/hooks/git", content=BODY, headers={"X-Gitlab-Token": "lab token"}).status_code == 202
    assert secrets.pushes == ["push", "push"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        _signed(b"another secret"),
        _signed(b""),
        _signed(b"hub secret", b"another body"),
        {"X-Hub-Signature-256": "sha256="},
        {"X-Hub-Signature-256": "hub secret"},
        {"X-Gitlab-Token": ""},
        {"X-Gitlab-Token": "hub secret"},
        {"X-Gitlab-Token": "lab token "[:-2]},
    ],
)
def test_anyone_else_causes_nothing(secrets: Edge, headers: dict[str, str]) -> None:
    with secrets.http() as http:
        answer = http.post("/hooks/git", content=BODY, headers=headers)
    assert answer.status_code == 401
    assert "secret is not" in answer.json()["error"]["what"]
    assert secrets.pushes == []


def test_without_a_secret_there_is_no_hook(edge: Edge) -> None:
    with edge.http() as http:
        for content in (None, "", " \n"):
            if content is not None:
                (edge.secrets / "github").write_text(content)
            answer = http.post("/hooks/git", content=BODY, headers=_signed(b""))
            assert answer.status_code == 404
    (edge.secrets / "github").unlink()
    assert edge.pushes == []


def test_a_replaced_secret_counts_from_the_next_call(secrets: Edge) -> None:
    (secrets.secrets / "github").write_text("newer secret")
    with secrets.http() as http:
        assert http.post("/hooks/git", content=BODY, headers=_signed(b"hub secret")).status_code == 401
        assert http.post("/hooks/git", content=BODY, headers=_signed(b"newer secret")).status_code == 202


def _called(hook: GitHook, body: bytes, headers: dict[str, str]) -> int:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/hooks/git", "headers": raw}
    return asyncio.run(_status(hook, Request(scope, receive)))


async def _status(hook: GitHook, request: Request) -> int:
    return (await hook(request)).status_code


def test_hooks_are_bounded_in_rate_and_size(secrets: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "AT_ONCE", 3.0)
    monkeypatch.setattr(hooks, "BODY_LIMIT", len(BODY))
    hook = GitHook(Secrets(secrets.secrets / "github"), lambda: None)
    larger = BODY + b" "
    assert _called(hook, BODY, _signed(b"hub secret")) == 202
    with pytest.raises(Invalid, match="larger than"):
        _called(hook, larger, _signed(b"hub secret", larger))
    assert _called(hook, BODY, _signed(b"hub secret")) == 202
    with pytest.raises(TooMany):
        _called(hook, BODY, _signed(b"hub secret"))
