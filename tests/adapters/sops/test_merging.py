"""Two sides of one file: what does not contradict is merged, what does is named and left to people."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from reconciler.adapters.sops import Keyring, merging, sealing
from reconciler.adapters.sops.metadata import Metadata
from reconciler.adapters.sops.three_way import merged_lines
from reconciler.core.problem import Invalid, Refused
from tests.adapters.sops.files import (
    ALICE,
    AT,
    BOB,
    EVE,
    KEYS,
    LATER,
    SCHEME,
    changed_lines,
    edited,
    made,
    of_age,
    opened,
    texts,
)

BASE = made()


def merged(ours: bytes, theirs: bytes, base: bytes = BASE, path: str = "a.sops.yaml", keys: Keyring = KEYS) -> bytes:
    return merging.merged(base, ours, theirs, path, keys, LATER, os.urandom)


def addressed(data: bytes, scheme: Metadata, keys: Keyring = KEYS) -> bytes:
    return sealing.readdressed(opened(data, keys=keys), scheme, keys, AT, os.urandom)


def test_values_on_neighbouring_lines_merge_and_keep_their_ciphertext() -> None:
    ours, theirs = edited(BASE, b"hunter2", b"hunter3"), edited(BASE, b"user: app", b"user: app2")
    data = merged(ours, theirs)
    assert (texts(data)["db.password"], texts(data)["db.user"]) == ("hunter3", "app2")
    added = changed_lines(ours, data) + changed_lines(theirs, data)
    assert sorted(added) == ["mac", "mac", "password", "user"]
    lines = {line for line in data.splitlines() if b"mac:" not in line}
    assert lines <= {*ours.splitlines(), *theirs.splitlines()}


def test_lines_that_both_add_in_one_place_are_both_there() -> None:
    ours = edited(BASE, b"servers:\n", b"one: 1\nservers:\n")
    theirs = edited(BASE, b"servers:\n", b"two: 2\nservers:\n")
    assert {"one": "1", "two": "2"}.items() <= texts(merged(ours, theirs)).items()


def test_one_side_takes_away_what_the_other_left_alone() -> None:
    ours = edited(BASE, b"    port: 5432\n", b"")
    theirs = edited(BASE, b"hunter2", b"hunter3")
    for data in (merged(ours, theirs), merged(theirs, ours)):
        assert "db.port" not in texts(data)
        assert texts(data)["db.password"] == "hunter3"


def test_comments_are_merged_as_text() -> None:
    data = merged(edited(BASE, b"# the database", b"# the old database"), edited(BASE, b"hunter2", b"x"))
    plain = sealing.plaintext(opened(data))
    assert plain.startswith(b"# the old database\n")
    assert b"password: x\n" in plain


def test_the_same_change_on_both_sides_is_no_conflict() -> None:
    assert texts(merged(edited(BASE, b"hunter2", b"x"), edited(BASE, b"hunter2", b"x")))["db.password"] == "x"


@pytest.mark.parametrize(
    ("ours", "theirs", "names"),
    [
        ((b"hunter2", b"x1"), (b"hunter2", b"y1"), "db.password"),
        ((b"    port: 5432\n", b""), (b"5432", b"5433"), "db.port"),
        ((b"servers:\n", b"new: 1\nservers:\n"), (b"servers:\n", b"new: 2\nservers:\n"), "new"),
        ((b"hunter2", b"{a: 1}"), (b"hunter2", b"{b: 1}"), "the same lines"),
    ],
)
def test_contradictions_are_named_and_not_shown(
    ours: tuple[bytes, bytes], theirs: tuple[bytes, bytes], names: str
) -> None:
    with pytest.raises(Refused) as raised:
        merged(edited(BASE, *ours), edited(BASE, *theirs))
    assert f"both sides changed {names} in a.sops.yaml" in str(raised.value)
    assert not any(text in str(raised.value) for text in ("hunter2", "x1", "y1", "5433"))


def test_recipients_of_both_sides_are_kept() -> None:
    ours = addressed(edited(BASE, b"hunter2", b"hunter3"), replace(SCHEME, groups=(of_age(ALICE, BOB),)))
    theirs = addressed(BASE, replace(SCHEME, groups=(of_age(ALICE, EVE),)))
    for data in (merged(ours, theirs), merged(theirs, ours)):
        for key in (ALICE, BOB, EVE):
            assert texts(data, keys=Keyring([key]))["db.password"] == "hunter3"


def test_whom_one_side_took_away_is_gone_and_the_data_key_is_new() -> None:
    base = made(scheme=replace(SCHEME, groups=(of_age(ALICE, BOB),)))
    ours = edited(base, b"hunter2", b"hunter3")
    rotated = sealing.rotated(opened(base), SCHEME, KEYS, AT, os.urandom)
    for theirs in (rotated, addressed(base, SCHEME)):
        for one, other in ((ours, theirs), (theirs, ours)):
            data = merged(one, other, base)
            assert texts(data)["db.password"] == "hunter3"
            assert opened(data).key != opened(base).key
            with pytest.raises(Refused):
                opened(data, keys=Keyring([BOB]))


def test_both_sides_add_the_file() -> None:
    one, other = made(b"a: 1\n"), made(b"a: 1\nb: 2\n")
    assert texts(merged(one, other, b"")) == {"a": "1", "b": "2"}
    with pytest.raises(Refused, match="both sides changed a in"):
        merged(one, made(b"a: 2\n"), b"")


def test_other_formats_merge() -> None:
    for path, plain, old, new in (
        ("a.json", b'{\n\t"a": "one",\n\t"b": "two"\n}\n', b"one", b"two"),
        ("a.env", b"A=one\nB=two\n", b"one", b"two"),
        ("a.ini", b"[s]\na = one\nb = two\n", b"one", b"two"),
    ):
        base = made(plain, path)
        data = merged(edited(base, old, b"left", path), edited(base, new, b"right", path), base, path)
        assert sorted(texts(data, path).values()) == ["left", "right"]
    base = made(b"\xff", "blob")
    assert merged(base, made(b"\xfe", "blob"), base, "blob")
    with pytest.raises(Refused):
        merged(made(b"\xfd", "blob"), made(b"\xfe", "blob"), base, "blob")


def test_a_side_that_was_tampered_with_is_not_merged() -> None:
    with pytest.raises(Invalid):
        merged(BASE, BASE.replace(b"db.example", b"evil.example"))


def test_different_rules_need_people() -> None:
    ours = made(selector=("encrypted_regex", "^db"))
    with pytest.raises(Refused, match="`selector`"):
        merged(ours, made(selector=("encrypted_regex", "^key")))
    with pytest.raises(Refused, match="different key groups"):
        merged(BASE, made(scheme=Metadata((of_age(ALICE), of_age(ALICE)), threshold=2)))


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "both"),
    [
        ("a\nb\nc\n", "a\nB\nc\n", "a\nb\nC\n", None),
        ("a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\n", "A\nb\nc\nD\n"),
        ("a\n", "a\nx\n", "a\ny\n", "a\nx\ny\n"),
        ("a\nb\n", "b\n", "a\nb\nc\n", "b\nc\n"),
        ("", "a\n", "a\n", "a\n"),
        ("a\nb", "a\nb\n", "a\nb", "a\nb\n"),
        ("a\n", "b\n", "c\n", None),
    ],
)
def test_lines_merge(base: str, ours: str, theirs: str, both: str | None) -> None:
    assert merged_lines(base, ours, theirs) == both
