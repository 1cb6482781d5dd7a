"""The reader, by cases, and its bounds."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core import manifest
from reconciler.core.problem import Invalid, Place
from tests.core.cases import as_written, cases


@pytest.mark.parametrize("case", cases("reader"), ids=lambda case: case["name"])
def test_reader(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["bytes"]) if "bytes" in case else case["text"].encode()
    path = case.get("path", "a.yaml")
    if "values" in case:
        found = manifest.read(data, path)
        assert [manifest.resolve(document.tree) for document in found] == case["values"]
        assert [document.index for document in found] == list(range(len(found)))
        return
    with pytest.raises(Invalid) as caught:
        manifest.read(data, path)
    assert [as_written(finding) for finding in caught.value.findings] == case["findings"]
    assert {finding.place.path for finding in caught.value.findings} == {path}


def test_scalars_keep_their_source_text() -> None:
    (document,) = manifest.read(b"[no, 0644, 1.10, 12:30:00, ~, 'no', \"1\", 1_000]", "a.yaml")
    assert document.tree == ["no", "0644", "1.10", "12:30:00", "~", "no", "1", "1_000"]
    assert [isinstance(text, manifest.Plain) for text in document.tree] == [True] * 5 + [False] * 2 + [True]


def test_keys_are_text_and_no_more() -> None:
    (document,) = manifest.read(b"{a: 1, 2: 3}", "a.yaml")
    assert [type(key) for key in document.tree] == [str, str]


def test_null_of_json_is_never_text() -> None:
    (document,) = manifest.read(b'{"a": null}', "a.json")
    assert document.tree == {"a": manifest.Plain("")}


@pytest.mark.parametrize("path", ["a.yaml", "a.json"])
@pytest.mark.parametrize("text", ["[" * 5000, '{"a":' * 5000, "[[" * 200 + "]]" * 200])
def test_depth_is_bounded(text: str, path: str) -> None:
    with pytest.raises(Invalid, match=f"nested too deeply; expected at most {manifest.MAX_DEPTH} levels"):
        manifest.read(text.encode(), path)


@pytest.mark.parametrize("text", ["- " * 5000, "? " * 5000, "\n".join(" " * n + "a:" for n in range(500))])
def test_depth_is_bounded_in_block_style(text: str) -> None:
    with pytest.raises(Invalid, match=f"nested too deeply; expected at most {manifest.MAX_DEPTH} levels"):
        manifest.read(text.encode(), "a.yaml")


def test_the_deepest_allowed_tree_resolves() -> None:
    text = "[" * manifest.MAX_DEPTH + "]" * manifest.MAX_DEPTH
    (document,) = manifest.read(text.encode(), "a.yaml")
    assert str(manifest.resolve(document.tree)) == text


def test_aliases_count_as_what_they_stand_for() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for last, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{last}'] * 10)}]")
    with pytest.raises(Invalid) as caught:
        manifest.read("\n".join(lines).encode(), "a.yaml")
    (finding,) = caught.value.findings
    assert finding.place.line == 5
    assert finding.message == "the file holds too much"


def test_merged_mappings_count_as_what_they_stand_for() -> None:
    lines = ["a: &a {" + ", ".join(f"k{n}: [x]" for n in range(1000)) + "}"]
    lines += [f"b{n}: {{<<: *a}}" for n in range(100)]
    with pytest.raises(Invalid, match="the file holds too much"):
        manifest.read("\n".join(lines).encode(), "a.yaml")


def test_nodes_are_bounded() -> None:
    with pytest.raises(Invalid, match="the file holds too much"):
        manifest.read(b"[" + b"1," * manifest.MAX_NODES + b"]", "a.yaml")


def test_size_is_bounded() -> None:
    data = b"a: " + b"x" * (manifest.MAX_BYTES - 3)
    assert len(manifest.read(data, "a.yaml")) == 1
    with pytest.raises(Invalid) as caught:
        manifest.read(data + b"x", "a.yaml")
    assert str(caught.value) == "a.yaml: error: the file has 1048577 bytes; expected at most 1048576"


def test_numbers_too_long_for_an_integer_are_floats() -> None:
    (document,) = manifest.read(b"[" + b"9" * 5000 + b", .inf, -.INF, .nan]", "a.yaml")
    values = manifest.resolve(document.tree)
    assert values[:3] == [float("inf"), float("inf"), float("-inf")]
    assert values[3] != values[3]  # which is how one knows a NaN


def test_places() -> None:
    text = "# c\na: &x\n  b: [1, 'zwei']\nc: *x\nd: {<<: *x, é: ü}\n"
    (document,) = manifest.read(text.encode(), "a.yaml")
    places = document.places
    assert str(places.of()) == "a.yaml:2:1"
    assert str(places.of(("a",))) == "a.yaml:2:4"
    assert str(places.of(("a",), key=True)) == "a.yaml:2:1"
    assert str(places.of(("a", "b", 1))) == "a.yaml:3:10"
    assert str(places.of(("a", "b", 1), key=True)) == "a.yaml:3:10"
    assert places.of(("c", "b", 1)) == places.of(("d", "b", 1)) == places.of(("a", "b", 1))
    assert str(places.of(("d", "é"))) == "a.yaml:5:16"


def test_a_missing_part_is_at_the_innermost_that_is_there() -> None:
    (document,) = manifest.read(b"a:\n  b: [1]\n", "a.yaml")
    places = document.places
    assert places.of(("a", "x", "y")) == Place("a.yaml", 2, 3)
    assert places.of(("a", "x"), key=True) == Place("a.yaml", 1, 1)
    assert places.of(("a", "b", 7)) == places.of(("a", "b", -1)) == places.of(("a", "b", "0")) == Place("a.yaml", 2, 6)
    assert places.of(("x",), key=True) == Place("a.yaml", 1, 1)


def test_places_of_json() -> None:
    (document,) = manifest.read(b'{\n\t"a" : [true,\n\t\t{"b": null}]}', "a.json")
    assert str(document.places.of(("a",), key=True)) == "a.json:2:2"
    assert str(document.places.of(("a", 0))) == "a.json:2:9"
    assert str(document.places.of(("a", 1, "b"))) == "a.json:3:9"


def test_places_of_later_documents() -> None:
    first, second = manifest.read(b"---\na: 1\n---\n---\nb: 2\n", "a.yaml")
    assert (first.places.start.line, second.places.start.line) == (1, 4)
    assert second.places.of(("b",)) == Place("a.yaml", 5, 4)


def test_read_one_takes_one_document() -> None:
    assert manifest.read_one(b"---\na: 1\n---\n", "a.yaml").tree == {"a": "1"}
    with pytest.raises(Invalid) as caught:
        manifest.read_one(b"a: 1\n---\nb: 2\n", "a.yaml")
    assert [as_written(finding) for finding in caught.value.findings] == [
        {
            "message": "a second document begins here",
            "line": 2,
            "column": 1,
            "expected": "one document in each file of this sort",
            "related": [[1, 1]],
        }
    ]


def test_trees_are_there_beside_what_is_wrong_about_them() -> None:
    text = b"a: !Sub x\nb: !Join [1]\nc: !Map {d: &e !F z}\na: 2\nf: *e\n---\ng: 1\n"
    (first, second), findings = manifest.examine(text, "a.yaml")
    z = {"!F": "z"}
    assert first.tree == {"a": {"!Sub": "x"}, "b": {"!Join": ["1"]}, "c": {"!Map": {"d": z}}, "f": z}
    assert second.tree == {"g": "1"}
    assert [(found.place.line, found.place.column) for found in findings] == [(1, 4), (2, 4), (3, 4), (3, 13), (4, 1)]
    assert first.places.of(("b", "!Join", 0)) == Place("a.yaml", 2, 11)
    with pytest.raises(Invalid):
        manifest.read(text, "a.yaml")


def test_a_second_document_is_a_finding_beside_the_first() -> None:
    found, findings = manifest.examine_one(b"a: 1\n---\nb: 2\n", "a.yaml")
    assert found.tree == {"a": "1"}
    assert [finding.message for finding in findings] == ["a second document begins here"]
