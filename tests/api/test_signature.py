"""Signed requests by themselves: here, now, once, by that key."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from agent.contract import sshsig
from agent.contract.canonical import canonical, instant
from agent.contract.codec import to_wire
from reconciler.adapters.signer import KeySigner, verify
from reconciler.api import signature
from reconciler.api.signature import Freshness, SignedRequest, Unproven, header, opened, request

NOW = 1_800_000_000_000
SERVER = "sha256:" + "a" * 64
KEY = KeySigner()
ASKED = request("POST", "/api/v1/apply?x=%2F", b"{}", now_ms=NOW, nonce="n" * 24, server=SERVER)


def _checked(said: SignedRequest, *, now: int = NOW, since: int = 0, method: str = "POST") -> None:
    Freshness(SERVER, since).check(opened(header(said, KEY), verify), method, "/api/v1/apply?x=%2F", now)


def test_a_request_is_proven_by_the_key_that_signed_it() -> None:
    found = opened(header(ASKED, KEY), verify)
    assert (found.key, found.request) == (KEY.public, ASKED)
    _checked(ASKED)


def test_what_is_signed_is_canonical_json_in_the_namespace_of_requests() -> None:
    payload, _, sig = header(ASKED, KEY).removeprefix("Opsctl ").partition(".")
    assert set(json.loads(base64.b64decode(payload))) == {"method", "target", "bodyDigest", "at", "nonce", "server"}
    parts = sshsig.parts(base64.b64decode(sig))
    assert (parts.namespace, sshsig.public_text(parts.public)) == ("opsctl-api@v1", KEY.public)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"server": "sha256:" + "b" * 64}, "another server"),
        ({"method": "GET"}, "another request"),
        ({"target": "/api/v1/apply"}, "another request"),
        ({"at": instant(NOW - 60_001)}, "compare the clocks"),
        ({"at": instant(NOW + 60_001)}, "compare the clocks"),
        ({"at": "yesterday"}, "not an instant"),
        ({"nonce": "short"}, "nonce"),
        ({"nonce": "n" * 129}, "nonce"),
    ],
)
def test_what_was_signed_for_anything_else_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(Unproven, match=said):
        _checked(replace(ASKED, **changed))


def test_a_minute_either_way_is_accepted() -> None:
    for at in (NOW - 60_000, NOW + 60_000):
        _checked(replace(ASKED, at=instant(at)))


def test_what_was_signed_before_the_server_started_is_refused() -> None:
    with pytest.raises(Unproven, match="ask again"):
        _checked(ASKED, since=NOW + 1)
    _checked(ASKED, since=NOW)


def test_a_nonce_works_once_and_is_remembered_for_as_long_as_it_could_work() -> None:
    fresh = Freshness(SERVER, 0)
    ahead = opened(header(replace(ASKED, at=instant(NOW + 60_000)), KEY), verify)
    fresh.check(ahead, "POST", ASKED.target, NOW)
    for later in (0, 1, 60_000, 120_000):
        with pytest.raises(Unproven, match="before"):
            fresh.check(ahead, "POST", ASKED.target, NOW + later)
    with pytest.raises(Unproven, match="compare the clocks"):
        fresh.check(ahead, "POST", ASKED.target, NOW + 120_001)


def test_two_operators_may_draw_the_same_nonce() -> None:
    fresh = Freshness(SERVER, 0)
    for key in (KEY, KeySigner()):
        fresh.check(opened(header(ASKED, key), verify), "POST", ASKED.target, NOW)


def test_the_memory_of_nonces_is_bounded_and_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature, "NONCES", 3)
    fresh = Freshness(SERVER, 0)

    def ask(number: int, now: int) -> None:
        said = replace(ASKED, at=instant(now), nonce=f"{number:024d}")
        fresh.check(opened(header(said, KEY), verify), "POST", ASKED.target, now)

    for number in range(3):
        ask(number, NOW)
    with pytest.raises(Unproven, match="try again"):
        ask(4, NOW)
    ask(4, NOW + signature.KEPT_MS + 1)


def _by_another(payload: bytes) -> str:
    """A payload under a signature made for something else."""
    good = header(ASKED, KEY).partition(".")[2]
    return f"Opsctl {base64.b64encode(payload).decode()}.{good}"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Opsctl",
        "Opsctl a",
        "Opsctl a.b",
        "Opsctl .",
        "Bearer x.y",
        "Opsctl ?.?",
        "Opsctl \xff.\xfe",
        _by_another(canonical(to_wire(replace(ASKED, method="DELETE")))),
        _by_another(b"{}"),
    ],
)
def test_what_is_no_signed_request_is_refused(value: str) -> None:
    with pytest.raises(Unproven):
        opened(value, verify)


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b"not json", b"[" * 100_000, b'{"method": 7}'])
def test_a_signature_over_anything_else_is_refused(payload: bytes) -> None:
    signed = KEY.sign(payload, sshsig.API)
    with pytest.raises(Unproven):
        opened(f"Opsctl {signed.payload}.{signed.sig}", verify)


def test_a_signature_for_another_namespace_is_refused() -> None:
    signed = KEY.sign(canonical(to_wire(ASKED)), sshsig.HELLO)
    with pytest.raises(Unproven, match="does not hold"):
        opened(f"Opsctl {signed.payload}.{signed.sig}", verify)
