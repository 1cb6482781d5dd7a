"""What other hands did to a file is seen, and told at its place without a word of what it holds."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.adapters.sops import Keyring, decrypt, open_file, sealing
from reconciler.adapters.sops.metadata import Group, Recipient
from reconciler.core.problem import Invalid, Problem, Refused
from tests.adapters.sops.files import ALICE, AT, BOB, EVE, KEYS, SCHEME, YAML, made, of_age, opened, texts

FILE = made()
SECRETS = ("hunter2", "tttttt", "5432", "-----BEGIN-----", "db.example")


def values(path: str) -> bytes:
    """The line of a value of `FILE`, from its key on."""
    found = re.search(rb"^ *(?:- )?(%s: ENC\[.*\])$" % path.encode(), FILE, re.MULTILINE)
    assert found is not None
    return found[1]


def flipped(data: bytes, position: int) -> bytes:
    """Another letter of base64 there."""
    return data[:position] + (b"A" if data[position : position + 1] != b"A" else b"B") + data[position + 1 :]


def within(field: str, of: bytes) -> Callable[[bytes], bytes]:
    """A change of one letter in a field of an encrypted value."""

    def change(data: bytes) -> bytes:
        return flipped(data, data.index(field.encode() + b":", data.index(of)) + len(field) + 1)

    return change


def swapped(one: bytes, other: bytes) -> Callable[[bytes], bytes]:
    """Two values in each other's place."""

    def change(data: bytes) -> bytes:
        return data.replace(one, b"\0").replace(other, one).replace(b"\0", other)

    return change


PASSWORD, USER = values("password"), values("user")
TOKENS = re.findall(rb"token: (ENC\[.*\])", FILE)
TAMPERED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "value": (within("data", PASSWORD), r":5:15: error: the value of `db.password` does not authenticate"),
    "nonce": (within("iv", PASSWORD), r":5:15: .* does not authenticate"),
    "tag": (within("tag", PASSWORD), r":5:15: .* does not authenticate"),
    "moved to another key": (
        lambda data: data.replace(USER.partition(b": ")[2], PASSWORD.partition(b": ")[2]),
        r":4:11: .* moved here from another key",
    ),
    "order in a list": (swapped(*TOKENS), r"the MAC does not fit"),
    "order of keys": (swapped(USER, PASSWORD), r"the MAC does not fit"),
    "a line taken away": (lambda data: data.replace(b"    " + USER + b"\n", b""), r"the MAC does not fit"),
    "a value twice": (
        lambda data: data.replace(b"servers:\n", b"servers:\n    - token: " + TOKENS[0] + b"\n"),
        r"the MAC does not fit",
    ),
    "a value that is not encrypted": (
        lambda data: data.replace(b"db.example.com", b"evil.example.com"),
        r"the MAC does not fit",
    ),
    "plaintext in its place": (
        lambda data: data.replace(PASSWORD, b"password: hunter3"),
        r":5:15: error: this value is not encrypted, though `unencrypted_suffix: _unencrypted` says that it is",
    ),
    "another type": (lambda data: data.replace(b"type:bool", b"type:tool"), r"the type `tool` .* is unknown"),
    "cut short": (lambda data: data.replace(TOKENS[0], TOKENS[0][:-20]), r"incomplete"),
    "no base64": (lambda data: data.replace(PASSWORD, PASSWORD.replace(b",iv:", b"=,iv:", 1)), r"no base64|incomplete"),
    "MAC": (within("data", b"    mac: "), r"the MAC does not authenticate"),
    "the MAC of another file": (
        lambda data: re.sub(rb"mac: .*", re.search(rb"mac: .*", made(b"a: 1\n"))[0], data),  # type: ignore[index]
        r"the MAC does not authenticate",
    ),
    "no MAC": (lambda data: re.sub(rb"    mac: .*\n", b"", data), r"the file has no MAC"),
    "an empty MAC": (lambda data: re.sub(rb"mac: .*", b'mac: ""', data), r"the file has no MAC"),
    "lastmodified": (lambda data: data.replace(AT.encode(), b"2026-01-02T03:04:06Z"), r"MAC does not authenticate"),
    "no lastmodified": (lambda data: re.sub(rb"    lastmodified: .*\n", b"", data), r"`lastmodified` is no instant"),
    "only encrypted values hashed": (
        lambda data: data.replace(b"sops:\n", b"sops:\n    mac_only_encrypted: true\n"),
        r"the MAC does not fit",
    ),
    "other values encrypted": (
        lambda data: data.replace(b"unencrypted_suffix: _unencrypted", b"encrypted_regex: ^db$"),
        r":11:23: error: this value is not encrypted, though `encrypted_regex: \^db\$`",
    ),
    "two selectors": (
        lambda data: data.replace(b"sops:\n", b"sops:\n    encrypted_regex: x\n"),
        r"exclude each other",
    ),
    "an expression that RE2 lacks": (
        lambda data: data.replace(b"unencrypted_suffix: _unencrypted", b"encrypted_regex: (?=x)"),
        r"RE2",
    ),
    "no metadata": (lambda data: data[: data.index(b"sops:\n")], r"the file is not encrypted"),
    "nobody": (lambda data: data.replace(b"    age:\n", b"    ages:\n"), r"names nobody who could open it"),
    "a key twice": (lambda data: data.replace(USER, USER + b"\n    " + USER), r"`user` is given twice"),
    "not UTF-8": (lambda data: data.replace(b"db.example", b"db\xff"), r"is not UTF-8"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_refused_at_its_place(name: str) -> None:
    change, says = TAMPERED[name]
    data = change(FILE)
    assert data != FILE
    with pytest.raises(Invalid) as raised:
        decrypt(data, "a.sops.yaml", KEYS)
    assert re.search(says, str(raised.value)), str(raised.value)
    assert not [secret for secret in SECRETS if secret in str(raised.value)]


def test_a_file_opens_with_its_places() -> None:
    tree = decrypt(FILE, "a.sops.yaml", KEYS)
    found = {".".join(map(str, leaf.path)): leaf for leaf in tree.leaves}
    assert texts(FILE)["db.password"] == "hunter2"
    assert (str(found["db.password"].place), found["db.password"].kind) == ("a.sops.yaml:5:15", "str")
    assert [found[f"db.{name}"].kind for name in ("port", "ratio", "on")] == ["int", "float", "bool"]
    assert str(found["servers.1.token"].place) == "a.sops.yaml:16:14"
    assert (found["db.host_unencrypted"].encrypted, found["db.user"].encrypted) == (False, True)
    assert found["key"].cleartext.text() == "-----BEGIN-----\nabc\n-----END-----\n"
    assert "db.nothing" not in found
    assert tree.recipients == (ALICE.recipient,)
    assert not [secret for secret in SECRETS if secret in repr(tree)]
    assert not [secret for secret in SECRETS if secret in repr(opened(FILE))]


def test_a_key_that_is_not_the_files_is_told_which_would_do() -> None:
    with pytest.raises(Refused) as raised:
        decrypt(FILE, "a.sops.yaml", Keyring([EVE]))
    assert ALICE.recipient in str(raised.value)
    assert "SOPS_AGE_KEY_FILE" in str(raised.value)


def test_whoever_was_taken_away_opens_the_old_commit_and_not_the_new() -> None:
    both = replace(SCHEME, groups=(of_age(ALICE, BOB),))
    old = made(scheme=both)
    new = sealing.rotated(opened(old), SCHEME, KEYS, AT, os.urandom)
    assert texts(old, keys=Keyring([BOB])) == texts(new)
    with pytest.raises(Refused):
        decrypt(new, "a.sops.yaml", Keyring([BOB]))
    shared = {old.split(b"ENC[")[n] for n in range(1, 8)} & {new.split(b"ENC[")[n] for n in range(1, 8)}
    assert shared == set()


def test_every_byte_counts_or_does_not_matter() -> None:
    data = made(b"a:\n    b: one\n    c: [two, 3]\nd: true\n")
    whole = texts(data)
    step = 1 if os.environ.get("OPSCTL_FAULTS") == "full" else 13
    refused = 0
    for position in range(0, len(data), step):
        for other in (data[position] ^ 1, data[position] ^ 0x20):
            changed = data[:position] + bytes([other]) + data[position + 1 :]
            try:
                assert texts(changed) == whole, position
            except Problem:
                refused += 1
    assert refused > len(data) // step // 2


@pytest.mark.parametrize("name", ["pässwörd", "名前", "a:b", "a b", "🔑", 'q"uote', "-dash", "x" * 1000])
def test_names_of_any_sort(name: str) -> None:
    plain = json.dumps({name: {"v": f"{name}\n\u2028\x7f"}, f"{name}2": "b"}, ensure_ascii=False).encode()
    for path in ("a.json", "a.yaml"):
        assert texts(made(plain, path), path) == {f"{name}.v": f"{name}\n\u2028\x7f", f"{name}2": "b"}


def test_names_that_run_together_are_held_apart_by_the_mac() -> None:
    data = made(b'"a:b": one\na:\n    c: two\n')
    token = re.findall(rb"ENC\[[^\]]*\]", data)[0]
    moved = re.sub(rb"\A.*\n.*\n.*\n", b"a:\n    b: %s\n" % token, data, count=1)
    with pytest.raises(Invalid):
        open_file(moved, "a.yaml", KEYS)


def test_huge_values() -> None:
    plain = b"a: " + b"x" * 1_000_000 + b"\n"
    assert len(texts(made(plain))["a"]) == 1_000_000
    with pytest.raises(Invalid, match="at most"):
        made(b"a: " + b"x" * (17 << 20))


def test_bytes_of_any_sort_are_a_binary_file() -> None:
    data = bytes(range(256)) * 3
    tree = opened(made(data, "keystore.p12"), "keystore.p12").tree()
    assert [leaf.cleartext.reveal() for leaf in tree.leaves] == [data]


def test_post_quantum_recipients_are_named_clearly() -> None:
    data = FILE.replace(ALICE.recipient.encode(), b"age1pq1" + b"q" * 40)
    with pytest.raises(Refused, match="post-quantum"):
        decrypt(data, "a.sops.yaml", Keyring([EVE]))
    scheme = replace(SCHEME, groups=(Group((Recipient("age", "age1pq1qqqqq"),)),))
    with pytest.raises(Refused, match="post-quantum"):
        made(YAML, scheme=scheme)


def test_key_services_are_named() -> None:
    data = FILE.replace(b"sops:\n", b"sops:\n    kms:\n        - arn: arn:aws:kms:x\n          enc: AAAA\n")
    assert texts(data) == texts(FILE)
    with pytest.raises(Refused, match="kms is a key service"):
        decrypt(data, "a.sops.yaml", Keyring([EVE]))


DAMAGED = [
    FILE,
    made(b'{"a": "one", "b": [1, 2]}', "a.json"),
    made(b"A=1\nB=two\n", "a.env"),
    made(b"[s]\na=b\n", "a.ini"),
]
NAMES = ["a.yaml", "a.json", "a.env", "a.ini", "blob"]


@given(st.sampled_from(DAMAGED), st.sampled_from(NAMES), st.data())
@settings(max_examples=5000 if os.environ.get("OPSCTL_FAULTS") == "full" else 100, deadline=None)
def test_no_damage_is_met_by_anything_but_words(data: bytes, path: str, draw: st.DataObject) -> None:
    start = draw.draw(st.integers(0, len(data)))
    end = draw.draw(st.integers(start, min(len(data), start + 200)))
    with suppress(Problem):
        decrypt(data[:start] + draw.draw(st.binary(max_size=40)) + data[end:], path, KEYS)


@pytest.mark.parametrize("path", NAMES)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"{" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000,
        b"a: &a [*a]",
        b"sops:\n    shamir_threshold: \xc2\xb2\n",
        b"sops__list_99999999999999999999__map_x=1\n",
        b"[sops]\nage__list_0 = 1\nage__list_0__map_x = 1\n",
        b'{"sops": {"age": {"a": 1}, "mac": [], "lastmodified": 5}}',
        b"sops: {age: [1], key_groups: 5, mac: {}}\n",
    ],
)
def test_what_is_no_file_of_sops_is_told_in_words(path: str, data: bytes) -> None:
    with pytest.raises(Problem):
        decrypt(data, path, KEYS)


def test_an_expression_takes_no_more_time_than_the_names_are_long() -> None:
    assert texts(made(b"a: 1\n%s!: 2\n" % (b"x" * 900), selector=("encrypted_regex", "(x+)+$")))["a"] == "1"
