"""The published JSON Schemas, generated from the models: what editors complete by and other programs validate with.

They take what the reader takes. An editor has resolved `mode: 0644` or `maxConcurrency: 10` to a number before it looks
at a schema, where the reader still has the text: so wherever such a text fits, the number does too.

`python -m reconciler.schemas [DIR]` writes them (`make schemas`).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from agent.contract import inventory, job, leave, reserved, session, wire
from agent.contract.codec import Wire
from agent.contract.inputs import ACTIONS
from reconciler.capabilities.registry import KINDS
from reconciler.cli.documents import DOCUMENTS
from reconciler.documents.actions import OF_COMMANDS
from reconciler.documents.custom.manifest import StepManifest
from reconciler.documents.model import CommandDocument, Control
from reconciler.documents.package import PackageDocument
from reconciler.documents.runbook.model import AutomationDocument, StepDeclaration
from reconciler.documents.session import SessionDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_OCTAL = r"^(0o)?0?[0-7]{3,4}$"
_REFERENCE = {"type": "string", "pattern": r"\{\{.*\}\}", "description": "Put together from parameters."}
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?\Z")
_NOTES = ("description", "default", "x-opsctl")
_CHOICES = re.compile(r"\^\(([\w:.-]+(?:\|[\w:.-]+)*)\)\$")
_INTERNAL = ("x-expected", "x-json", "x-one-or-many", "x-quoted", "x-subtree", "title", "discriminator")


def generate() -> dict[str, bytes]:
    """Every schema by its path below `schemas/`."""
    found: dict[str, Schema] = {}
    for name, kind in KINDS.items():
        found[f"kinds/{name.lower()}"] = _published(_of(kind.envelope), f"{name}: a file in {kind.place}")
    for action in OF_COMMANDS:
        found[f"steps/{action.replace(':', '-')}"] = _published(_inputs(action), f"Inputs of {action}")
    found["documents/command-2.2"] = _published(_document(), "SSM Command document, schemaVersion 2.2")
    found["documents/automation-0.3"] = _published(_runbook(), "SSM Automation document, schemaVersion 0.3")
    found["documents/session-1.0"] = _published(_of(SessionDocument), "SSM Session document, schemaVersion 1.0")
    found["documents/package-2.0"] = _published(_of(PackageDocument), "SSM Package document, schemaVersion 2.0")
    found["documents/step"] = _published(_of(StepManifest), "Manifest of a step: steps/NAME/step.yaml")
    for name, document in DOCUMENTS.items():
        found[f"faces/{name}"] = _titled(_plain(_of(document)), f"What `--format json` prints: opsctl.{name}/v1")
    for name, message in _messages():
        found[f"wire/{name}"] = _titled(_open(_of(message)), f"{message.__name__} on the wire")
    return {f"{path}.schema.json": _bytes(schema) for path, schema in sorted(found.items())}


def write(directory: Path) -> None:
    """Make `directory` hold exactly the schemas."""
    wanted = generate()
    for path in directory.rglob("*.schema.json"):
        if path.relative_to(directory).as_posix() not in wanted:
            path.unlink()
    for name, data in wanted.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _of(model: Any) -> Schema:
    return TypeAdapter(model).json_schema()


def _inputs(action: str) -> Schema:
    return _of(ACTIONS[action].inputs)


def _document() -> Schema:
    """The document's schema, with each known action's inputs, any of which may be interpolated."""
    schema = _of(CommandDocument)
    control = _of(Control)["properties"]
    schema["$defs"]["Step"]["allOf"] = [
        {
            "if": {"properties": {"action": {"const": action}}},
            "then": {"properties": {"inputs": _interpolated(_inputs(action), control)}},
        }
        for action in OF_COMMANDS
    ]
    return schema


def _runbook() -> Schema:
    """The document's schema, with the fields that steps have whatever their action."""
    schema, step = _of(AutomationDocument), _of(StepDeclaration)
    schema["$defs"] |= step.pop("$defs", {}) | {"Step": step}
    schema["properties"]["mainSteps"]["items"] = {"$ref": "#/$defs/Step"}
    return schema


def _interpolated(inputs: Schema, control: Schema) -> Schema:
    properties = {name: _or_reference(part) for name, part in inputs["properties"].items()}
    return {**inputs, "properties": {**properties, **control}}


def _or_reference(schema: Schema) -> Schema:
    """The schema of an input that may also be put together from parameters; plain text may be anyway."""
    texts = [part for part in schema.get("anyOf", [schema]) if part.get("type") == "string"]
    if texts and not {"pattern", "format", "x-one-or-many"} & schema.keys():
        return schema
    notes: Schema = {key: schema[key] for key in _NOTES if key in schema}
    return {**notes, "anyOf": [_without(schema, *_NOTES), _REFERENCE]}


def _messages() -> Iterator[tuple[str, type[Wire]]]:
    """Every message of the wire, those included that are only reserved."""
    for module in (wire, leave, job, inventory, session, reserved):
        for name, value in sorted(vars(module).items()):
            if isinstance(value, type) and issubclass(value, Wire) and value.__module__ == module.__name__:
                yield _dashed(name), value


def _dashed(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def _published(schema: Schema, title: str) -> Schema:
    """A schema of something that people write in files."""
    return _titled(_walk(schema, _as_read), title)


def _open(schema: Schema) -> Schema:
    """A schema of something on the wire, where unknown fields are ignored."""

    def without_bound(part: Schema) -> Schema:
        return {key: value for key, value in part.items() if (key, value) != ("additionalProperties", False)}

    changed: Schema = _walk(schema, without_bound)
    return changed


def _plain(schema: Schema) -> Schema:
    """A schema of something that opsctl prints, to which fields may be added."""
    changed: Schema = _walk(schema, lambda part: part)
    return changed


def _titled(schema: Schema, title: str) -> Schema:
    return {"$schema": _DIALECT, "title": title, **schema}


def _walk(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    """`schema` with every schema in it changed, inner ones first, and without the marks that only the reader knows."""
    if isinstance(schema, list):
        return [_walk(part, change) for part in schema]
    if not isinstance(schema, dict):
        return schema
    changed = change({key: _walk_below(key, part, change) for key, part in schema.items()})
    return {key: part for key, part in changed.items() if key not in _INTERNAL}


def _walk_below(key: str, part: Any, change: Callable[[Schema], Schema]) -> Any:
    if key in ("properties", "patternProperties", "$defs"):
        return {name: _walk(schema, change) for name, schema in part.items()}  # names are no keywords
    return part if key in ("default", "enum", "const", "required") else _walk(part, change)


def _as_read(schema: Schema) -> Schema:
    """What the reader takes where it is asked for this."""
    kind = schema.get("type")
    if "patternProperties" in schema:
        return {"additionalProperties": False, **schema}
    if kind == "string" and not schema.keys() & {"enum", "const"}:
        return _text(schema)
    if "anyOf" in schema:
        return _flat(_restricted(schema))
    texts = schema.get("enum", [schema.get("const", "")])
    if all(_NUMBER.match(str(text)) for text in texts):
        return {"enum": [*texts, *(float(text) for text in texts)], **_without(schema, "const", "enum", "type")}
    if schema.get("x-one-or-many"):
        return _either(schema, schema["items"])
    if schema.get("x-quoted") and kind in ("integer", "boolean"):
        return _either(schema, _QUOTED[kind])
    if schema.get("x-json"):
        return _either(schema, {"type": "string", "pattern": r"^\s*\{"})
    return schema


_QUOTED: dict[str, Schema] = {
    "integer": {"type": "string", "pattern": "^[-+]?[0-9]+$"},
    "boolean": {"enum": ["true", "True", "TRUE", "false", "False", "FALSE"]},
}


def _text(schema: Schema) -> Schema:
    if schema.get("format") == "octal-mode":
        return {**_without(schema, "format"), "type": ["string", "integer"], "pattern": _OCTAL}
    pattern = schema.get("pattern")
    if pattern is None:
        return {**schema, "type": ["string", "number", "boolean"]}
    if listed := _CHOICES.fullmatch(pattern):
        return {**_without(schema, "pattern"), "enum": listed[1].split("|")}
    return {**schema, "type": ["string", "integer"]} if re.search(pattern, "10") else schema


def _restricted(schema: Schema) -> Schema:
    """What is said of an optional text, said of the text."""
    said: Schema = {key: schema[key] for key in ("format", "pattern") if key in schema}
    if not said:
        return schema
    branches = [part if part.get("type") == "null" else _text({"type": "string", **said}) for part in schema["anyOf"]]
    return {**_without(schema, *said), "anyOf": branches}


def _flat(schema: Schema) -> Schema:
    """Alternatives of alternatives as alternatives."""
    branches: list[Schema] = []
    for part in schema["anyOf"]:
        branches += part["anyOf"] if part.keys() == {"anyOf"} else [part]
    return {**schema, "anyOf": branches}


def _either(schema: Schema, other: Schema) -> Schema:
    notes: Schema = {key: schema[key] for key in _NOTES if key in schema}
    return _flat({**notes, "anyOf": [_without(schema, *_NOTES, *_INTERNAL), other]})


def _without(schema: Schema, *keys: str) -> Schema:
    return {key: part for key, part in schema.items() if key not in keys}


def _bytes(schema: Schema) -> bytes:
    return json.dumps(schema, indent=2, ensure_ascii=False).encode() + b"\n"


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "schemas"))
