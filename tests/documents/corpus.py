"""Real SSM documents from public repositories, kept beside the clone, read by nothing of ours.

`python -m tests.documents.corpus` prints what becomes of them: how many are understood, clean and runnable here.
"""

from __future__ import annotations

import csv
import functools
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from reconciler.documents.lint import Linted, lint

DIRECTORY = Path(__file__).parents[3] / "shared" / "corpus" / "ssm-documents"
MISSING = "no corpus of SSM documents at ../shared beside the clone"


class Entry(NamedTuple):
    """A document as the corpus' index has it."""

    file: str
    type: str
    version: str

    @property
    def data(self) -> bytes:
        return (DIRECTORY / self.file).read_bytes()


def entries() -> list[Entry]:
    """Every document; none where there is no corpus."""
    index = DIRECTORY / "INDEX.csv"
    if not index.exists():
        return []
    with index.open() as rows:
        return [Entry(row["file"], row["documentType"], row["schemaVersion"]) for row in csv.DictReader(rows)]


class _Loader(yaml.SafeLoader):
    """Takes any tag, for the tag itself is not looked at."""


def _tagged(loader: _Loader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    return loader.construct_sequence(node) if isinstance(node, yaml.SequenceNode) else None


_Loader.add_multi_constructor("!", _tagged)


def plain(data: bytes) -> dict[str, Any]:
    """The document as the usual libraries read it."""
    try:
        found: dict[str, Any] = json.loads(data)
    except ValueError:
        found = yaml.load(data, _Loader)
    return found


def plain_steps(raw: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Action and inputs of each step in order."""
    for step in raw.get("mainSteps", ()):
        yield step["action"], step.get("inputs") or {}
    for plugin, config in raw.get("runtimeConfig", {}).items():
        given = config.get("properties", config.get("Properties"))
        for properties in given if isinstance(given, list) else [given]:
            yield plugin, {"properties": properties} if isinstance(properties, str) else properties


def plain_ways(steps: list[dict[str, Any]]) -> Iterator[tuple[str, str | None]]:
    """From which step control may go to which, None being the end; of the steps of one Automation document."""
    for step, after in zip(steps, [*steps[1:], {}], strict=True):
        name, inputs = step["name"], step.get("inputs") or {}
        following = None if step.get("isEnd") in (True, "true") else step.get("nextStep", after.get("name"))
        if step["action"] == "aws:branch":
            for choice in inputs["Choices"]:
                yield name, choice["NextStep"]
            yield name, inputs.get("Default", following)
        else:
            yield name, following
        for word in ("onFailure", "onCancel"):
            _, found, target = str(step.get(word, "")).partition("step:")
            if found:
                yield name, target.strip()


def plain_default(kind: str, value: Any) -> Any:
    """A parameter's default as a value of its type."""
    if kind == "StringList" and isinstance(value, str):
        return [value]
    if kind in ("Integer", "Boolean", "StringMap", "MapList") and isinstance(value, str):
        return json.loads(value)
    return str(value) if kind == "String" and value is not None else value


@functools.cache
def linted(entry: Entry) -> Linted:
    """What lint says of one of them."""
    return lint(entry.data, entry.file)


@functools.cache
def run_on_nodes() -> frozenset[str]:
    """Those that `tests/e2e/test_corpus.py` runs on real nodes."""
    cases = yaml.safe_load((Path(__file__).parents[1] / "e2e" / "cases" / "corpus.yaml").read_text())
    return frozenset(case["file"] for case in cases)


def table() -> str:
    """How many documents of each sort are understood, clean, runnable and run, and what the others need."""
    counts: Counter[tuple[str, str]] = Counter()
    for entry in entries():
        found = linted(entry)
        for sort in (f"{entry.type} {entry.version}", "all"):
            counts[sort, "files"] += 1
            counts[sort, "understood"] += found.parsed
            counts[sort, "clean"] += not found.errors
            counts[sort, "runnable"] += found.runnable
            counts[sort, "run"] += entry.file in run_on_nodes()
            for what in {need.what for need in found.needs}:
                counts[sort, f"needs {what}"] += 1
    columns = ["files", "understood", "clean", "runnable", "run", *sorted({name for _, name in counts if " " in name})]
    rows = [["", *columns]]
    rows += [[sort, *(str(counts[sort, name]) for name in columns)] for sort in sorted({sort for sort, _ in counts})]
    return "\n".join("".join(cell.rjust(20) for cell in row) for row in rows)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
