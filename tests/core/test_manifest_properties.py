"""The reader against oracles: what PyYAML and json write and read, and that nothing but `Invalid` is ever raised."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import RootModel

from reconciler.core import manifest, typed
from reconciler.core.problem import Finding, Invalid

steady = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # no verdict on a busy machine

_TRAPS = ["no", "0644", "1.10", "12:30:00", "~", "null", "", "true", "<<", "=", "1_000", "0x10", "2024-01-01", "a: b"]
_PRINTABLE = st.characters(
    codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff\u2028\u2029"
)
_TEXTS = st.sampled_from(_TRAPS) | st.text(_PRINTABLE | st.sampled_from("\n\t"), max_size=20)
_WORDS = st.sampled_from(_TRAPS) | st.text("abNOtruefalsn~ :#", max_size=10)
_TREES = st.recursive(_TEXTS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4))
_MAPPINGS = st.dictionaries(_TEXTS, _TREES, min_size=1, max_size=4)

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
)


class TextTree(RootModel["str | list[TextTree] | dict[str, TextTree]"]):
    """A schema under which every scalar is text."""


def _read(text: str, path: str = "a.yaml") -> manifest.Manifest:
    return manifest.read_one(text.encode(), path)


@steady
@given(_MAPPINGS, st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_text_that_yaml_wrote_comes_back(tree: dict[str, Any], flow: bool, line_end: str) -> None:
    written = yaml.safe_dump(tree, allow_unicode=True, default_flow_style=flow).replace("\n", line_end)
    document = _read(written)
    assert typed.load(TextTree, document.tree, document.places).model_dump() == tree


@steady
@given(_MAPPINGS, st.sampled_from([None, 1, "\t"]), st.booleans(), st.sampled_from(["a.json", "a.yaml"]))
def test_text_that_json_wrote_comes_back(tree: dict[str, Any], indent: Any, ascii_only: bool, path: str) -> None:
    document = _read(json.dumps(tree, indent=indent, ensure_ascii=ascii_only), path)
    assert typed.load(TextTree, document.tree, document.places).model_dump() == tree


@steady
@given(st.dictionaries(_TEXTS, _VALUES, min_size=1))
def test_values_that_json_wrote_come_back(value: Any) -> None:
    assert manifest.resolve(_read(json.dumps(value), "a.json").tree) == value


@steady
@given(st.dictionaries(_WORDS, st.integers() | st.booleans() | st.none() | _WORDS, min_size=1))
def test_values_that_yaml_wrote_come_back(value: Any) -> None:
    """PyYAML writes YAML 1.1, which 1.2 reads alike but for texts such as `1e5`, which there are no numbers."""
    assert manifest.resolve(_read(yaml.safe_dump(value, allow_unicode=True)).tree) == value


_JSONISH = st.lists(
    st.sampled_from(
        ["{", "}", "[", "]", ",", ":", '"a"', '"b', "1", "-0", "01", "1.5e3", "true", "null", " ", "\n", "x"]
    )
).map("".join)


@steady
@given(_JSONISH)
def test_what_is_json_is_what_json_says(text: str) -> None:
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except ValueError:
        value = None
    try:
        found = manifest.resolve(_read(text, "a.json").tree)
    except Invalid:
        found = None
    assert found == value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)


_YAMLISH = st.lists(
    st.sampled_from(
        [
            *"a1é{}[]'\"\t#%@\\\n\u2028\x07",
            *("b: ", "- ", "? ", ": ", ", ", "&x ", "*x", "*x ", "!t ", "!!str ", "<<: "),
            *("\n  ", "\n    ", "\r\n", "|\n", ">-\n", "---\n", "...\n"),
        ]
    ),
    max_size=30,
).map("".join)


def _attempt(data: bytes, path: str = "a.yaml") -> tuple[list[manifest.Manifest], tuple[Finding, ...]]:
    try:
        return manifest.read(data, path), ()
    except Invalid as invalid:
        return [], invalid.findings


@steady
@given(_YAMLISH, st.sampled_from(["a.yaml", "a.json"]))
def test_only_invalid_is_raised_and_its_places_are_in_the_file(text: str, path: str) -> None:
    lines = text.split("\n")
    documents, findings = _attempt(text.encode(), path)
    assert bool(documents) != bool(findings)
    for place in [finding.place for finding in findings if finding.place.line]:
        assert 1 <= place.column <= len(lines[place.line - 1]) + 1
    for document in documents:
        manifest.resolve(document.tree)


@steady
@given(_YAMLISH.filter(lambda text: "<<" not in text))
def test_trees_are_those_of_pyyaml(text: str) -> None:
    """Its BaseLoader makes every scalar text and merges nothing: what both take is compared.

    It takes no anchor twice, which YAML 1.2 allows.
    """
    if documents := _attempt(text.encode())[0]:
        try:
            oracle = list(yaml.load_all(text, yaml.CBaseLoader))
        except yaml.composer.ComposerError:
            return
        assert [document.tree for document in documents if document.tree] == [tree for tree in oracle if tree]


@steady
@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    documents, findings = _attempt(data)
    assert bool(documents) != bool(findings)


@steady
@given(st.text(st.sampled_from("0123456789+-._eExoabfnitNIruls~:"), max_size=8))
def test_a_plain_scalar_is_what_yaml_1_2_says(text: str) -> None:
    assert _same(manifest.resolve(manifest.Plain(text)), _core_schema(text))


def _core_schema(text: str) -> Any:
    """The table of the YAML 1.2.2 specification, section 10.3.2, as a slow oracle of its own."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    unsigned = text[1:] if text.startswith(("+", "-")) else text
    sign = -1 if text[:1] == "-" else 1
    if unsigned and set(unsigned) <= set("0123456789"):
        return sign * int(unsigned)
    for prefix, base, digits in (("0o", 8, "01234567"), ("0x", 16, "0123456789abcdefABCDEF")):
        if text.startswith(prefix) and text[2:] and set(text[2:]) <= set(digits):
            return int(text[2:], base)
    if unsigned in (".inf", ".Inf", ".INF"):
        return sign * math.inf
    if text in (".nan", ".NaN", ".NAN"):
        return math.nan
    mantissa, e, exponent = unsigned.replace("E", "e").partition("e")
    whole, _, fraction = mantissa.partition(".")
    power = exponent[1:] if exponent.startswith(("+", "-")) else exponent
    decimal = set(whole + fraction + power) <= set("0123456789")
    return float(text) if decimal and whole + fraction and bool(e) == bool(power) else text


def _same(one: Any, other: Any) -> bool:
    both_nan = isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other)
    return both_nan or (type(one) is type(other) and one == other)


@pytest.mark.parametrize("text", ["0644", "1.10", "no", "12:30:00", "1_000", "0o17", "0b1", "+.inf", "-.INF", "+.nan"])
def test_the_oracle_and_the_reader_agree_on_the_traps(text: str) -> None:
    assert _same(manifest.resolve(manifest.Plain(text)), _core_schema(text))


@steady
@given(_TREES.filter(lambda tree: isinstance(tree, (dict, list)) and tree != {} and tree != []), st.booleans())
def test_places_point_at_what_is_there(tree: Any, as_json: bool) -> None:
    """Every scalar and key is replaced by a word of its own; its place must be where that word stands in the file."""
    words: dict[manifest.Loc, str] = {}
    named = _named(tree, (), words)
    text = json.dumps(named, indent="\t") if as_json else yaml.safe_dump(named, default_flow_style=None)
    places = _read(text, "a.json" if as_json else "a.yaml").places
    lines = text.split("\n")
    for loc, word in words.items():
        place = places.of(loc)
        assert lines[place.line - 1][place.column - 1 :].lstrip('"').startswith(word)
        if loc and isinstance(loc[-1], str):
            place = places.of(loc, key=True)
            assert lines[place.line - 1][place.column - 1 :].lstrip('"').startswith(loc[-1])


def _named(tree: Any, loc: manifest.Loc, words: dict[manifest.Loc, str]) -> Any:
    if isinstance(tree, dict):
        names = [f"k{len(words)}x{position}" for position in range(len(tree))]
        return {name: _named(item, (*loc, name), words) for name, item in zip(names, tree.values(), strict=True)}
    if isinstance(tree, list):
        return [_named(item, (*loc, position), words) for position, item in enumerate(tree)]
    words[loc] = f"w{len(words)}"
    return words[loc]
