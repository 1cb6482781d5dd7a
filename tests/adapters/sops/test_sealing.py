"""What is written opens again, and an edit touches what was edited alone."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.adapters.sops import Keyring, sealing
from reconciler.adapters.sops.metadata import Metadata
from reconciler.core.problem import Invalid, Refused
from tests.adapters.sops.files import (
    ALICE,
    AT,
    BOB,
    KEYS,
    LATER,
    SCHEME,
    YAML,
    changed_lines,
    edited,
    made,
    of_age,
    opened,
    texts,
)

PLAIN = {
    "a.yaml": YAML,
    "two.yaml": b"# one\na: 1\n---\n# two\nb: two\n...\n---\nc: 3\n",
    "flow.yaml": b"a: [1, {b: two, c: three}] # line\nd: {}\ne: []\n",
    "json.yaml": b'{"a": 1, "b": ["x", null]}',
    "crlf.yaml": b"a: one\r\nb: two\r\n",
    "a.json": b'{\n  "a": "x",\n  "n": {"m": [1, 2.5, true, null, ""]}\n}\n',
    "compact.json": b'{"a":"x","b":{}}',
    "empty.json": b"{}",
    "a.env": b'# comment\nA=1\nB=two words "quoted"\nC=one\\ntwo\nD=\n',
    "a.ini": b"; comment\n[one]\nkey = value\n# more\nother=2\n\n[two]\nx : y z\n; end\n",
    "blob": b"\x00\xff\x01",
}


@pytest.mark.parametrize("path", PLAIN)
def test_what_is_written_reads_back_as_it_was(path: str) -> None:
    plain = PLAIN[path]
    data = made(plain, path)
    assert sealing.plaintext(opened(data, path)) == plain
    assert sealing.edited(opened(data, path), plain, LATER, os.urandom) == data
    rotated = sealing.rotated(opened(data, path), SCHEME, KEYS, LATER, os.urandom)
    assert sealing.plaintext(opened(rotated, path)) == plain
    both = sealing.readdressed(opened(data, path), replace(SCHEME, groups=(of_age(ALICE, BOB),)), KEYS, AT, os.urandom)
    assert sealing.plaintext(opened(both, path, Keyring([BOB]))) == plain


@pytest.mark.parametrize(
    ("path", "old", "new", "lines"),
    [
        ("a.yaml", b"hunter2", b"hunter3", ["password", "lastmodified", "mac"]),
        ("a.yaml", b"    port: 5432\n", b"", ["lastmodified", "mac"]),
        ("a.yaml", b"servers:\n", b"servers:\n    - added\n", ["- ENC[AES256_GCM,data", "lastmodified", "mac"]),
        ("a.yaml", b"key: |", b"# why\nkey: |", ["#ENC[AES256_GCM,data", "lastmodified", "mac"]),
        ("a.yaml", b"db.example.com", b"db2.example.com", ["host_unencrypted", "lastmodified", "mac"]),
        ("a.json", b'"x"', b'"y"', ['"a"', '"lastmodified"', '"mac"']),
        ("a.env", b"A=1", b"A=2", ["A", "sops_lastmodified", "sops_mac"]),
        ("a.ini", b"value", b"other", ["key ", "lastmodified ", "mac "]),
    ],
)
def test_an_edit_is_its_lines_in_the_diff(path: str, old: bytes, new: bytes, lines: list[str]) -> None:
    data = made(PLAIN[path], path)
    after = edited(data, old, new, path)
    assert changed_lines(data, after) == lines
    assert sealing.plaintext(opened(after, path)) == PLAIN[path].replace(old, new)


def test_values_keep_their_ciphertext_when_a_list_is_reordered() -> None:
    data = made(b"l:\n    - one\n    - two\n    - one\n")
    before = opened(data)
    after = sealing.edited(before, b"l:\n    - two\n    - one\n    - three\n    - one\n", LATER, os.urandom)
    assert changed_lines(data, after)[0].startswith("- ENC[")
    assert len(changed_lines(data, after)) == 3
    assert texts(after) == {"l.0": "two", "l.1": "one", "l.2": "three", "l.3": "one"}


def test_metadata_in_the_middle_of_a_file_is_found() -> None:
    lines = made(b"a: one\nb: two\n").decode().splitlines(keepends=True)
    moved = "".join([lines[0], *lines[2:], lines[1]]).encode()
    assert texts(moved) == {"a": "one", "b": "two"}
    assert texts(edited(moved, b"two", b"three")) == {"a": "one", "b": "three"}


SELECTORS: list[tuple[str, str, bytes, set[str]]] = [
    ("unencrypted_suffix", "_open", b"a: 1\nb_open:\n    c: 2\n", {"a"}),
    ("encrypted_suffix", "_secret", b"a: 1\nb_secret:\n    c: 2\n", {"b_secret.c"}),
    ("encrypted_regex", "^(data|stringData)$", b"a: 1\ndata:\n    c: 2\nx:\n    data: 3\n", {"data.c", "x.data"}),
    ("unencrypted_regex", "^a", b"a1: 1\nb:\n    a: 2\n    c: [3]\n", {"b.c.0"}),
    ("encrypted_comment_regex", "secret", b"# secret\na: 1\nb: 2 # secret\nc: 3\nd:\n    # secret\n    - 4\n    - 5\n",
     {"a", "b", "d.0"}),
    ("unencrypted_comment_regex", "open", b"# open\na:\n    b: 1\n    c: 2\nd: 3\n", {"d"}),
]  # fmt: skip


@pytest.mark.parametrize("path", ["a.yaml", "a.env", "a.ini"])
def test_comments_are_encrypted_too(path: str) -> None:
    data = made(PLAIN[path], path)
    assert not [word for word in (b"database", b"log in", b"# comment", b"; comment", b"more") if word in data]


@pytest.mark.parametrize(("name", "rule", "plain", "encrypted"), SELECTORS)
@pytest.mark.parametrize("only", [False, True])
def test_selectors_say_what_is_encrypted(name: str, rule: str, plain: bytes, encrypted: set[str], only: bool) -> None:
    data = made(plain, selector=(name, rule), mac_only_encrypted=only)
    tree = opened(data).tree()
    assert {".".join(map(str, leaf.path)) for leaf in tree.leaves if leaf.encrypted} == encrypted
    assert sealing.plaintext(opened(data)) == plain


def test_what_is_not_hashed_may_be_changed_by_hand() -> None:
    data = made(mac_only_encrypted=True)
    assert texts(data.replace(b"db.example", b"dc.example"))["db.host_unencrypted"] == "dc.example.com"
    with pytest.raises(Invalid):
        texts(made().replace(b"db.example", b"dc.example"))


@pytest.mark.parametrize(
    ("path", "plain", "says"),
    [
        ("a.yaml", b"a: &x 1\nb: *x\n", ":2:4: error: SOPS files have no aliases"),
        ("a.yaml", b"1: a\n", ":1:1: error: the key `1` is no text"),
        ("a.yaml", b"a: 18446744073709551615\n", ":1:4: error: integers above"),
        ("a.yaml", b"- a\n", "a SOPS file cannot be a list"),
        ("a.yaml", b"a: 1\na: 2\n", "`a` is given twice"),
        ("a.yaml", b"a: 1\nsops:\n    mac: x\n", "the file has metadata of SOPS"),
        ("a.yaml", b"a: [b\nc: d\n", "not closed"),
        ("a.yaml", b"{a: b}\n", "no JSON"),
        ("a.json", b'{"a": 12345678901234567890}', "would lose digits"),
        ("a.json", b"[1]", "JSON object"),
        ("a.env", b"A\n", "no `=`"),
        ("a.env", b"A=1\nA=2\n", "given twice"),
        ("a.ini", b"[a]\nb = \"c\"\n", "quotes"),
        ("a.ini", b"[a]\nb\n", "neither a section nor a field"),
    ],
)  # fmt: skip
def test_what_sops_cannot_hold_is_refused_with_its_place(path: str, plain: bytes, says: str) -> None:
    with pytest.raises(Invalid) as raised:
        made(plain, path)
    assert says in str(raised.value)


def test_an_expression_that_sops_cannot_read_is_not_written() -> None:
    with pytest.raises(Refused, match="RE2"):
        made(selector=("encrypted_regex", r"(?<=a)b"))


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8).filter(
    lambda name: name not in ("sops", "<<")
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=40),
)
TREES = st.dictionaries(
    NAMES,
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)),
    max_size=4,
)


def rebuilt(data: bytes, path: str) -> object:
    """The tree of what a plaintext says to a parser that knows nothing of us."""
    plain = sealing.plaintext(opened(data, path))
    return json.loads(plain) if path.endswith("json") else yaml.safe_load(plain)


@given(TREES)
@settings(max_examples=1000 if os.environ.get("OPSCTL_FAULTS") == "full" else 60, deadline=None)
def test_random_trees_survive_as_json(tree: dict[str, object]) -> None:
    text = json.dumps(_exact(tree), ensure_ascii=False)
    assert _exact(rebuilt(made(text.encode(), "a.json"), "a.json")) == json.loads(text)


@given(st.dictionaries(st.text("abcdefgh_", min_size=1, max_size=6), st.text(max_size=60), min_size=1, max_size=5))
@settings(max_examples=1000 if os.environ.get("OPSCTL_FAULTS") == "full" else 60, deadline=None)
def test_random_texts_survive_in_blocks_of_yaml(fields: dict[str, str]) -> None:
    skeleton = "".join(f"{name}:\n    - v: x\n" for name in fields).encode()
    before = opened(made(skeleton))
    quoted = "".join(f"{name}:\n    - v: {_quoted(text)}\n" for name, text in fields.items())
    data = sealing.edited(before, quoted.encode(), LATER, os.urandom)
    assert yaml.safe_load(sealing.plaintext(opened(data))) == {name: [{"v": text}] for name, text in fields.items()}


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(letter):08x}" for letter in text) + '"'


def _exact(value: object) -> object:
    """JSON's numbers are floating to SOPS."""
    if isinstance(value, dict):
        return {name: _exact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def test_the_format_is_what_is_written_down() -> None:
    """One value and the MAC, opened with nothing but the format's own description."""
    data = made(b"a:\n    b: secret\nc: 1.50\n")
    document = yaml.safe_load(data)
    cipher = AESGCM(opened(data).key.reveal())

    def plain(text: str, aad: str) -> str:
        fields = dict(part.split(":", 1) for part in text.removeprefix("ENC[AES256_GCM,").removesuffix("]").split(","))
        value, nonce, tag = (base64.b64decode(fields[name]) for name in ("data", "iv", "tag"))
        assert (len(nonce), len(tag)) == (32, 16)
        return cipher.decrypt(nonce, value + tag, aad.encode()).decode()

    assert plain(document["a"]["b"], "a:b:") == "secret"
    assert plain(document["c"], "c:") == "1.5"
    assert plain(document["sops"]["mac"], AT) == hashlib.sha512(b"secret1.5").hexdigest().upper()


@pytest.mark.skipif(shutil.which("age") is None, reason="the program age is not installed")
def test_age_opens_our_data_keys_and_we_those_of_age(tmp_path: Path) -> None:
    before = opened(made())
    key = tmp_path / "key"
    key.write_text(f"{ALICE.key}\n")
    (recipient,) = before.metadata.recipients
    ran = subprocess.run(["age", "-d", "-i", key], input=recipient.armoured.encode(), capture_output=True, check=True)
    assert ran.stdout == before.key.reveal()
    theirs = subprocess.run(
        ["age", "-a", "-r", ALICE.recipient], input=before.key.reveal(), capture_output=True, check=True
    ).stdout.decode()
    groups = (replace(before.metadata.groups[0], recipients=(replace(recipient, armoured=theirs),)),)
    data = sealing.readdressed(before, replace(before.metadata, groups=groups), KEYS, AT, os.urandom)
    assert texts(data) == texts(made())


def _reads_sops() -> bool:
    node = shutil.which("node")
    probe = ["node", "-e", "require.resolve('sops-age')"]
    return node is not None and subprocess.run(probe, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _reads_sops(), reason="the npm package sops-age is not on NODE_PATH")
@pytest.mark.parametrize("path", ["a.yaml", "a.json", "a.env"])
def test_another_reader_of_sops_agrees(path: str, tmp_path: Path) -> None:
    (tmp_path / path).write_bytes(made(PLAIN[path], path))
    script = (
        "require('sops-age').decryptSops({path: process.argv[1], secretKey: process.env.KEY})"
        ".then(tree => console.log(JSON.stringify(tree)))"
    )
    environ = {**os.environ, "KEY": str(ALICE.key)}
    ran = subprocess.run(
        ["node", "-e", script, str(tmp_path / path)], capture_output=True, text=True, check=True, env=environ
    )
    expected = {
        "a.yaml": yaml.safe_load(YAML.replace(b"on:", b"'on':")),
        "a.json": json.loads(PLAIN["a.json"]),
        "a.env": {"A": "1", "B": 'two words "quoted"', "C": "one\ntwo", "D": ""},
    }
    assert json.loads(ran.stdout) == expected[path]


def test_the_scheme_of_a_file_is_kept() -> None:
    scheme = Metadata((of_age(ALICE, BOB),), selector=("encrypted_regex", "^db$"), mac_only_encrypted=True)
    after = opened(edited(made(scheme=scheme), b"hunter2", b"hunter3")).metadata
    assert (after.selector, after.mac_only_encrypted, after.groups[0].names) == (
        scheme.selector,
        True,
        scheme.groups[0].names,
    )
