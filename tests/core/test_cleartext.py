"""A secret is not shown, whatever is done to show it."""

from __future__ import annotations

import copy
import json
import pickle
from typing import NamedTuple

import pytest

from reconciler.core.cleartext import HIDDEN, Cleartext

SECRET = Cleartext(b"hunter2")


class _Holder(NamedTuple):
    name: str
    value: Cleartext


def test_no_way_of_printing_shows_it() -> None:
    shown = [str(SECRET), repr(SECRET), f"{SECRET}", f"{SECRET!r:>20}", "%s" % SECRET, repr(_Holder("a", SECRET))]  # noqa: UP031
    assert not any("hunter2" in text for text in shown)
    assert shown[0] == HIDDEN


def test_it_is_not_serialised() -> None:
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars, hash):
        with pytest.raises(TypeError) as raised:
            attempt(SECRET)
        assert "hunter2" not in str(raised.value)


def test_it_is_revealed_on_purpose_and_compared_by_its_bytes() -> None:
    assert SECRET.reveal() == b"hunter2"
    assert SECRET.text() == "hunter2"
    assert Cleartext(b"hunter2") == SECRET
    assert Cleartext(b"hunter3") != SECRET
    assert SECRET != b"hunter2"
    assert (len(SECRET), bool(SECRET), bool(Cleartext(b""))) == (7, True, False)


def test_bytes_that_are_no_text_do_not_show_in_the_error() -> None:
    with pytest.raises(ValueError, match="no UTF-8") as raised:
        Cleartext(b"hunter\xff").text()
    assert raised.value.__cause__ is None
    assert "hunter" not in str(raised.value)
