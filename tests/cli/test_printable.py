"""Nothing that a terminal would obey or hide is shown as it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.output import line, print_json, print_table
from reconciler.cli.printable import printable, printable_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with Straße, 日本 and 🚢", "plain, with Straße, 日本 and 🚢"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("one\ntwo\r\tthree", "one\\ntwo\\r\\tthree"),
        ("\x9b31m", "\\x9b31m"),
        ("admin\u202e\u2066// comment", "admin\\u202e\\u2066// comment"),
        ("not\u00a0a space", "not\\xa0a space"),
        ("half \ud800 a pair", "half \\ud800 a pair"),
        ("tags \U000e0041", "tags \\U000e0041"),
    ],
)
def test_the_unprintable_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_is_to_be_kept_is_kept() -> None:
    assert printable("\tone\x00", keep="\t") == "\tone\\x00"


@given(st.text())
def test_a_line_is_printable_whatever_goes_in(text: str) -> None:
    assert printable(text).isprintable()
    assert line(text, (text, "red")).plain.isprintable()


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_means_the_same_and_is_printable(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=1)
    shown = printable_json(text)
    assert json.loads(shown) == value
    assert shown.replace("\n", "").isprintable()


def test_faces_use_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"claim": "\u202ex\x9b"})
    assert capsys.readouterr().out == '{\n  "claim": "\\u202ex\\u009b"\n}\n'
    print_table(["NAME"], [["web\x1b[31m"]])
    assert capsys.readouterr().out == "NAME\nweb\\x1b[31m\n"
