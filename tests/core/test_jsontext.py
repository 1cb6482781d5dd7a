"""The quick encoder writes what the standard library's would."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.contract.canonical import canonical
from reconciler.core.jsontext import json_of

TEXTS = st.text(st.characters(codec=None), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_bytes_are_the_standard_librarys(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert json_of(value) == text.encode(errors="backslashreplace")


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=4))
def test_a_list_of_texts_is_canonical(texts: list[str]) -> None:
    assert json_of(texts) == canonical(texts)
