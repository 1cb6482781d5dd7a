"""Documents within documents: whose name a step says, with which parameters, and what its steps are called outside."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.contract.inputs.content import DEPTH
from reconciler.core.manifest import resolve
from reconciler.core.problem import Finding, Invalid
from reconciler.documents.document import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.contract.wire import BodyStep
    from reconciler.core.problem import Place

RUN_DOCUMENT, DOWNLOAD_CONTENT = "aws:runDocument", "aws:downloadContent"
BY_NAME = "SSMDocument"
"""The `documentType`, and the `sourceType`, of a document that is named."""
_CURRENT = ("", "$DEFAULT", "$LATEST")


class DocumentFile(NamedTuple):
    """A document's text, and how people know its file."""

    path: str
    data: bytes


class Named(NamedTuple):
    """What a step says of another document: its name, and the version of it, empty for the current one."""

    name: str
    version: str


def named(text: str) -> Named:
    """The document that SSM means by a name, with a version or not, or by an ARN."""
    name, _, version = text.rpartition("/")[2].partition(":")
    return Named(name, "" if version in _CURRENT else version)


def named_by(step: BodyStep) -> str:
    """The text by which a step names a document; empty for a step that names none."""
    inputs = step.inputs
    if step.action == RUN_DOCUMENT and inputs["documentType"] == BY_NAME:
        return str(inputs["documentPath"])
    if step.action == DOWNLOAD_CONTENT and inputs["sourceType"] == BY_NAME:
        return str(inputs["sourceInfo"]["name"])
    return ""


def as_json(file: DocumentFile) -> str:
    """The document as SSM hands it out: as JSON, whatever it was written in."""
    text = file.data.decode("utf-8", "replace")
    if text.lstrip().startswith("{"):
        return text
    return json.dumps(resolve(read(file.data, file.path).tree or {}), indent=2, ensure_ascii=False)


def carrying(step: BodyStep, other: DocumentFile | None) -> BodyStep:
    """A step with the text of the document that it downloads."""
    if other is None or step.action != DOWNLOAD_CONTENT:
        return step
    source = {**step.inputs["sourceInfo"], "content": as_json(other)}
    return replace(step, inputs={**step.inputs, "sourceInfo": source})


def given(parameters: Mapping[str, Any]) -> dict[str, list[str]]:
    """`documentParameters` as parameters are given elsewhere: lists of texts."""
    return {name: _texts(value) for name, value in parameters.items()}


def _texts(value: Any) -> list[str]:
    if isinstance(value, list):
        return [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in value]
    return [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]


def require_depth(name: str, chain: tuple[str, ...], place: Place) -> None:
    """Raises `Invalid` for a document that would run within itself, or too deep. `chain` are those it is within."""
    if name in chain or len(chain) > DEPTH:
        what = "runs itself" if name in chain else f"is run {len(chain)} deep"
        expected = f"at most {DEPTH} documents within each other"
        raise Invalid((Finding(f"`{name}` {what}: {' > '.join([*chain, name])}", place, expected),))


def inner_name(outer: str, name: str) -> str:
    """What a step is called that is one of the document which the step `outer` runs."""
    return f"{outer}:{name}"


def inner_step(outer: str, step: BodyStep) -> BodyStep:
    """A step of that document, as one of the document that has `outer`."""
    within = inner_name(outer, step.within) if step.within else outer
    inputs = step.inputs
    if step.action == "ops:service":
        renamed = {word: [inner_name(outer, name) for name in inputs[word]] for word in _TRIGGERS if word in inputs}
        inputs = {**inputs, **renamed}
    return replace(step, name=inner_name(outer, step.name), within=within, inputs=inputs)


_TRIGGERS = ("restartOn", "reloadOn")
