"""The graph of a document: its steps and every way between them, and that as text for Mermaid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.documents.normal import edges
from reconciler.documents.runbook import Runbook
from reconciler.documents.runbook.runbook import walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.documents.document import Document
    from reconciler.documents.runbook import Step

LONGEST_LABEL = 60
_REFERENCE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
END = ""
"""Where an execution ends, among the names of steps."""


@dataclass(frozen=True, slots=True)
class Vertex:
    """A step. `depth` counts the loops that it stands in."""

    name: str
    action: str
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Way:
    """From one step to another, or to `END`. `kind` is that of the edge; `label` says when it is taken."""

    source: str
    target: str
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Graph:
    """Steps in the order written, and the ways between them."""

    title: str
    vertices: tuple[Vertex, ...]
    ways: tuple[Way, ...]


def graph(document: Document) -> Graph:
    """The graph of a valid document; one without steps has no vertices."""
    content = document.content
    if not isinstance(content, Runbook):
        vertices = tuple(Vertex(ready.step.name, ready.step.action) for ready in document.steps)
        return Graph(document.name, vertices, tuple(_ways(document, {})))
    steps = {step.name: step for step in walk(content.steps)}
    vertices = tuple(Vertex(step.name, step.action, _depth(step, steps)) for step in steps.values())
    return Graph(document.name, vertices, tuple(_ways(document, steps)))


def _depth(step: Step, steps: Mapping[str, Step]) -> int:
    return 1 + _depth(steps[step.within], steps) if step.within else 0


def _ways(document: Document, steps: Mapping[str, Step]) -> Iterator[Way]:
    """The end of an iteration leads back to its loop. Ways of one kind and label to the same step are one."""
    seen = set()
    for edge in edges(document):
        step = steps.get(edge.source)
        target = edge.target if edge.target is not None else step.within if step else END
        way = Way(edge.source, target, edge.kind, edge.label)
        if way not in seen:
            seen.add(way)
            yield way


def shortened(label: str) -> str:
    """A label that fits, references without their braces."""
    label = " ".join(_REFERENCE.sub(r"\1", label).split())
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 3] + "..."


_SHAPES = {"aws:branch": ('{"', '"}'), "aws:loop": ('[["', '"]]'), "aws:approve": ('(["', '"])')}
_PLAIN = ('["', '"]')
_ARROWS = {"failure": "-.->", "cancel": "-.->"}


def mermaid(drawn: Graph) -> str:
    """As a flowchart that Mermaid draws, as Git hosts do in Markdown."""
    ids = {vertex.name: f"s{position}" for position, vertex in enumerate(drawn.vertices)} | {END: "done"}
    lines = ["flowchart TD"]
    for vertex in drawn.vertices:
        begin, end = _SHAPES.get(vertex.action, _PLAIN)
        lines.append(f"    {ids[vertex.name]}{begin}{_quoted(vertex.name)}<br/>{_quoted(vertex.action)}{end}")
    lines.append('    done(("End"))')
    for way in drawn.ways:
        label = f'|"{_quoted(shortened(way.label))}"|' if way.label else ""
        lines.append(f"    {ids[way.source]} {_ARROWS.get(way.kind, '-->')}{label} {ids[way.target]}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """What Mermaid takes for text and nothing else."""
    for character, entity in (("#", "#35;"), ("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, entity)
    return text.replace("{", "#123;").replace("}", "#125;")
