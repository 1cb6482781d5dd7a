"""Dry runs: a page's example, compiled as a server would and looked at by an agent on a machine in memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from agent.contract.claims import claims_of
from agent.contract.codec import from_wire, to_wire
from agent.contract.inputs import ACTIONS
from agent.contract.wire import Body
from agent.steps import watched as watching
from reconciler.adapters.git.memory import MemoryRepository, MemorySource
from reconciler.cli.node import finding_lines
from reconciler.engine.load import load
from tests.agent.converging import Node
from tests.agent.steps.test_cases import made
from tests.docs import examples

if TYPE_CHECKING:
    from reconciler.engine.catalog import Catalog

MACHINE: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "machine.yaml").read_text())


def shown(_: str, page: str) -> str:
    """What an audit of the page's document reports, as `opsctl node show` prints it."""
    lines = [line for claim in _looked(page) for line in claim]
    return "\n".join(["```text", *lines, "```"])


def claims(_: str, page: str) -> str:
    """What the page's document claims."""
    words = []
    for step in _example(page)[1].steps:
        typed = from_wire(ACTIONS[step.action].inputs, step.inputs)
        found = claims_of(step.action, typed)
        words += [f"`{claim}` ({'exclusive' if claim.exclusive else 'shared'})" for claim in found]
    return ("The example claims " + ", ".join(words) if words else "It claims nothing") + "."


def watched(action: str, page: str) -> str:
    """What of the page's steps of this action is seen at once, and what at the interval alone."""
    at_once: list[str] = []
    later: list[str] = []
    for step in _example(page)[1].steps:
        if step.action == action:
            told = watching.told(action, from_wire(ACTIONS[action].inputs, step.inputs))
            at_once, later = at_once + told[0], later + told[1]
    if not at_once:
        return "Nothing tells of a change at once: it is seen at the interval."
    words = "A change is seen **at once** by " + "; ".join(dict.fromkeys(at_once)) + "."
    return words + (" **At the interval** alone: " + ", ".join(dict.fromkeys(later)) + "." if later else "")


def _example(page: str) -> tuple[Catalog, Body, MemorySource]:
    repository = MemoryRepository()
    files = dict(examples.repository(page))
    commit = repository.commit("main", files)
    source = MemorySource(repository)
    catalog = load(source, commit)
    (name,) = [Path(path).stem for path in examples.of(page) if path.startswith("documents/")]
    return catalog, from_wire(Body, json.loads(catalog.compiled[f"Association/{name}"].body)), source


def _looked(page: str) -> Iterator[list[str]]:
    catalog, body, source = _example(page)
    files = catalog.compiled[body.uid].files
    with tempfile.TemporaryDirectory() as directory:
        host = made(MACHINE, "memory", Path(directory))
        node = Node(host, Path(directory) / "state", {"Env": "prod", "Role": "web"}, {"serverName": "shop.example.com"})
        node.hold(*source.blobs([file.blob for file in files.values()]).values())
        found = node.converge(body, apply=False)
        node.close()
    for claim in found.claims:
        yield [line.plain for line in finding_lines(body.uid, to_wire(claim))]
