"""Edits of files of parameters: what a person's diff would be, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.core import manifest
from reconciler.core.parameters.editing import NotEditable, put, remove

CASES = yaml.safe_load(Path(__file__).with_name("editing.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_edit(case: dict[str, Any]) -> None:
    def edited() -> str:
        if "put" in case:
            return put(case["text"], case["path"], case["put"], case.get("document", 0), as_json="json" in case)
        return remove(case["text"], case["path"], case.get("document", 0))

    if "refused" in case:
        with pytest.raises(NotEditable, match=case["refused"]):
            edited()
        return
    after = edited()
    assert after == case["after"]
    if after:
        manifest.read(after.encode(), "x.json" if "json" in case else "x.yaml")


KEYS = st.text("abcde-._9", min_size=1, max_size=3)
VALUES = st.one_of(st.text(max_size=12), st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=3))
TREES: st.SearchStrategy[Any] = st.recursive(
    st.dictionaries(KEYS, VALUES, min_size=1, max_size=3),
    lambda inner: st.dictionaries(KEYS, st.one_of(VALUES, inner), min_size=1, max_size=3),
    max_leaves=8,
)


def printable(value: Any) -> bool:
    return all(character.isprintable() or character == "\n" for character in json.dumps(value, ensure_ascii=False))


def expected(tree: Any, path: list[str], value: Any) -> Any:
    head, *rest = path
    return {**tree, head: expected(tree.get(head, {}), rest, value) if rest else value}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TREES, st.lists(KEYS, min_size=1, max_size=3), VALUES, st.booleans(), st.booleans())
def test_any_value_can_be_put_anywhere_and_read_back(
    tree: Any, path: list[str], value: Any, flow: bool, as_json: bool
) -> None:
    if not printable([tree, value]):
        return
    text = json.dumps(tree, indent=2) if as_json else yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True)
    try:
        after = put(text, path, value, as_json=as_json)
    except NotEditable:
        return
    read = manifest.read_one(after.encode(), "x.json" if as_json else "x.yaml").tree
    assert read == expected(tree, path, value)
    without = remove(after, path)
    left = manifest.read_one(without.encode(), "x.json" if as_json else "x.yaml").tree if without else {}
    assert isinstance(left, dict)
    assert _flat(left) == {loc: found for loc, found in _flat(tree).items() if loc != tuple(path)}


def _flat(tree: Any, above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= _flat(value, (*above, key))
        else:
            found[(*above, key)] = value
    return found
