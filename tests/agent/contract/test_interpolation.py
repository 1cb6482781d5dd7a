"""SSM's interpolation: what is replaced, what keeps its type, what passes through."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contract.interpolation import interpolate, references

VALUES: dict[str, Any] = {
    "text": "hello",
    "list": ["a", "b"],
    "number": 7,
    "flag": True,
    "map": {"k": "ü"},
    "maps": [{"k": 1}],
    "again": "{{ text }}",
    "ssm:password": "secret",
}
DECLARED = VALUES.keys() - {"ssm:password"}


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("{{ text }}", "hello"),
        ("{{text}}, {{  text  }}!", "hello, hello!"),
        ("{{ number }}", 7),
        ("{{ flag }}", True),
        ("{{ list }}", ["a", "b"]),
        ("{{ number }} {{ flag }} {{ list }} {{ map }} {{ maps }}", '7 true a b {"k":"ü"} [{"k":1}]'),
        (["first", "{{ list }}", "{{ text }}"], ["first", "a", "b", "hello"]),
        ({"key": ["{{ number }}"], "{{ text }}": "x"}, {"key": [7], "{{ text }}": "x"}),
        ("{{ text }}\n", "hello\n"),
        ("{{ again }}", "{{ text }}"),
        ("{{ ssm:password }}", "secret"),
        ("{{ other }} {{ .Names }} {{range}} {% if text %} { { text } }", None),
        (5, 5),
        (None, None),
    ],
)
def test_interpolate(value: Any, result: Any) -> None:
    expected = value if result is None else result
    assert interpolate(value, set(DECLARED), VALUES.__getitem__) == expected


PIECES = st.one_of(
    st.text(alphabet="{}% \n:.abtextlis", max_size=12),
    st.sampled_from(
        ["{{ text }}", "{{text}}", "{{ other }}", "{{ .Go }}", "{% if %}", "{{{ text }}}", "{{", "}}", "é\U0001f600"]
    ),
)


@given(st.lists(PIECES, max_size=8))
def test_no_text_is_lost_but_what_stands_for_a_value(pieces: list[str]) -> None:
    """What is put in is marked, so that all else can be told to be as it was, in its order."""
    text = "".join(pieces)
    found = interpolate([text, "end"], {"text"}, lambda name: f"\x01{name}\x02")
    assert found[1] == "end"
    parts = re.split("\x01text\x02", found[0])
    pattern = r"\{\{\s*text\s*\}\}".join(re.escape(part) for part in parts)
    assert re.fullmatch(pattern, text)
    assert not any(references(part, {"text"}) for part in parts)


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), PIECES)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


@given(TREES)
def test_what_refers_to_nothing_stays_as_it_is(tree: Any) -> None:
    assert references(tree, set()) == set()
    assert interpolate(tree, set(), VALUES.__getitem__) == tree
    names = references(tree, {"text"})
    asked: list[str] = []

    def resolve(name: str) -> str:
        asked.append(name)
        return "x"

    interpolate(tree, {"text"}, resolve)
    assert set(asked) == names


@given(st.text(max_size=20))
def test_a_value_is_never_read_again(value: str) -> None:
    assert (
        interpolate("<{{ text }}>", {"text", "other"}, lambda _: value + "{{ other }}") == f"<{value}{{{{ other }}}}>"
    )


def test_references() -> None:
    tree = {"a": ["{{ text }} {{ other }}", {"b": "{{ ssm:password }}"}], "c": 5, "{{ list }}": None}
    assert references(tree, set(DECLARED)) == {"text", "ssm:password"}
    assert references({}, set(DECLARED)) == references([], set(DECLARED)) == set()


def test_what_has_no_braces_is_the_same_object() -> None:
    """So that the reader's own kind of text stays what it is."""
    text = type("Plain", (str,), {})("0644")
    assert interpolate({"mode": text}, set(), VALUES.__getitem__)["mode"] is text
