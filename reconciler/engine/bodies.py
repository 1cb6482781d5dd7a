"""Bodies: those that the catalog asks for and those that nodes were given, by digest, each read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from agent.contract.claims import claims_of
from agent.contract.codec import from_wire
from agent.contract.inputs import CUSTOM, action_of
from agent.contract.inputs.custom import HOME

if TYPE_CHECKING:
    from reconciler.capabilities.nodes.association import Compiled
    from reconciler.core.world import Columns
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.memory import Recall
    from reconciler.engine.reading import Bodies


Step = Mapping[str, Any]
"""A step as the wire has it."""


@dataclass(frozen=True, slots=True)
class ReadBody:
    """A body as differences see it: `steps` by name, digests of `files` by path, claims by step.

    `templates` are the steps that are rendered, each with its file.
    """

    content: Mapping[str, Any]
    steps: Mapping[str, Step]
    files: Mapping[str, str]
    claims: Mapping[str, Sequence[str]]
    templates: Sequence[tuple[Step, str]]

    def file_of(self, step: Step) -> str:
        """The digest of the file that a step names, empty for none."""
        return self.files.get(step["inputs"].get("source"), "") if self.files else ""

    def files_of(self, step: Step) -> Sequence[str]:
        """The digests of the files that a step is made of, by path where these are a whole folder."""
        if not step["action"].startswith(CUSTOM):
            return (self.file_of(step),)
        folder = f"{HOME}{step['inputs']['name']}/"
        return [f"{path} {digest}" for path, digest in sorted(self.files.items()) if path.startswith(folder)]


def read_body(data: bytes) -> ReadBody:
    """A body from its canonical JSON."""
    content = orjson.loads(data)
    return _read(content, _Claims(content["steps"]), templates=may_template(data))


def body_of(compiled: Compiled) -> ReadBody:
    """The body of a compiled association, which nobody has to read from JSON."""
    claims: dict[str, list[str]] = {step["name"]: [] for step in compiled.content["steps"]}
    for placed in compiled.claims:
        claims[placed.step].append(str(placed.claim))
    return _read(compiled.content, claims, templates=may_template(compiled.body))


def _read(content: Mapping[str, Any], claims: Mapping[str, Sequence[str]], *, templates: bool) -> ReadBody:
    steps = {step["name"]: step for step in content["steps"]}
    files = {path: file["digest"] for path, file in content["files"].items()} if "files" in content else {}
    rendered = [step for step in content["steps"] if is_template(step)] if templates else ()
    named = [(step, files.get(step["inputs"].get("source"), "")) for step in rendered]
    return ReadBody(content, steps, files, claims, named)


def may_template(body: bytes) -> bool:
    """Whether a body may have templates, told from its bytes: canonical JSON writes it one way."""
    return b'"template":true' in body


class _Claims(dict[str, Sequence[str]]):
    """Claims by step, found out for the steps that somebody asks about."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps

    def __missing__(self, name: str) -> Sequence[str]:
        step = next(step for step in self._steps if step["name"] == name)
        action = action_of(step["action"])
        claims = claims_of(step["action"], from_wire(action.inputs, step["inputs"])) if action else []
        found = self[name] = [str(claim) for claim in claims]
        return found


def is_template(step: Step) -> bool:
    """Whether what a step writes is rendered on each node."""
    return step["inputs"].get("template") is True


_LATELY = 16
"""Bodies that are kept read: those of one association are compared one after the other, and not asked for again."""


class KnownBodies:
    """Looks bodies up as differences read them."""

    def __init__(self, catalog: Catalog, given: Bodies, recall: Recall[list[tuple[str, str]]]) -> None:
        self._desired = {compiled.body_digest: compiled for compiled in catalog.compiled.values()}
        self._given, self._recall = given, recall
        self._lately = lru_cache(maxsize=_LATELY)(self._found)

    def of(self, digest: str) -> ReadBody | None:
        """None for no digest, and for a body that is not at hand."""
        return self._lately(digest) if digest else None

    def may_template(self, digest: str) -> bool:
        """Whether a body may have templates, and so is to be read; one that is not at hand may."""
        desired = self._desired.get(digest)
        data = desired.body if desired is not None else self._given(digest)
        return data is None or may_template(data)

    def templated(self, columns: Mapping[str, Columns]) -> list[tuple[str, str]]:
        """Associations and digests of the bodies that nodes were given and that may have templates."""
        return self._recall("templated", (columns,), self._templated, columns)

    def _templated(self, columns: Mapping[str, Columns]) -> list[tuple[str, str]]:
        given = ((uid, digest) for uid, held in columns.items() for digest in held.given)
        return [(uid, digest) for uid, digest in given if self.may_template(digest)]

    def _found(self, digest: str) -> ReadBody | None:
        desired = self._desired.get(digest)
        if desired is not None:
            return body_of(desired)
        data = self._given(digest)
        return read_body(data) if data is not None else None
