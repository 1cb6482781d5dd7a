"""The page of faults names tests that exist, and `make faults` runs them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
ROWS = [line.split(" | ") for line in (TOP / "docs/faults.md").read_text().splitlines() if line.startswith("| ")][1:]
ON_NODES = re.compile(r"_on_nodes\.py|installed_node\.py|test_real_|/e2e/test_visits_real")
ELSEWHERE = "two real WebSocket servers"
"""A fault of what runs on no node."""


def named(cell: str) -> list[tuple[str, str]]:
    """The tests of a row, each with its file."""
    return [(test, path) for test, path in re.findall(r"\[`(\w+)`\]\(\.\./([\w/]+\.py)\)", cell)]


def marks(path: str, test: str) -> set[str]:
    """The marks of a test, its own and its module's; AssertionError where there is no such test."""
    tree = ast.parse((TOP / path).read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == test]
    assert found, f"there is no {test} in {path}"
    whole = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and _name(node.targets[0]) == "pytestmark"
    ]
    return {mark for part in (*whole, *found[0].decorator_list) for mark in _marks(part)}


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _marks(node: ast.expr) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Attribute) and part.value.attr == "mark":
            yield part.attr


@pytest.mark.parametrize("row", ROWS, ids=[row[0].strip("| ") for row in ROWS])
def test_every_fault_is_a_test_that_make_faults_runs(row: list[str]) -> None:
    tests = named(row[2])
    assert tests
    for test, path in tests:
        wanted = {"fault", "realnode"} if ON_NODES.search(path) else {"fault"}
        assert wanted <= marks(path, test), f"{path}::{test}"
    assert any(ON_NODES.search(path) for _, path in tests) or row[0].strip("| ").startswith(ELSEWHERE)
