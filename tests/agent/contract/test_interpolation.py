"""SSM's interpolation: what is replaced, what keeps its type, what passes through."""

from __future__ import annotations

from typing import Any

import pytest

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


def test_references() -> None:
    tree = {"a": ["{{ text }} {{ other }}", {"b": "{{ ssm:password }}"}], "c": 5, "{{ list }}": None}
    assert references(tree, set(DECLARED)) == {"text", "ssm:password"}
    assert references({}, set(DECLARED)) == references([], set(DECLARED)) == set()


def test_what_has_no_braces_is_the_same_object() -> None:
    """So that the reader's own kind of text stays what it is."""
    text = type("Plain", (str,), {})("0644")
    assert interpolate({"mode": text}, set(), VALUES.__getitem__)["mode"] is text
