"""Tables of fields, from the published schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from reconciler.core import rate
from reconciler.core.resource import NAME_PATTERN
from reconciler.documents.actions import OF_COMMANDS

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
Schema = dict[str, Any]


class Row(NamedTuple):
    """A field: where it stands, what it takes, what it is where left out, what it means."""

    path: str
    takes: str
    default: str
    meaning: str
    ours: bool


def of_kind(kind: str, _page: str) -> str:
    """The table of a kind's `spec`; in the one that SSM has too, fields that SSM has not are marked."""
    schema = published(f"kinds/{kind}")
    rows = list(_rows(_resolved(schema["properties"]["spec"], schema), schema, ""))
    return _table(rows, marked=kind == "association")


def of_action(action: str, _page: str) -> str:
    """The table of an action's inputs."""
    schema = published(f"steps/{action.replace(':', '-')}")
    return _table(list(_rows(schema, schema, "")), marked=False)


def steps(_: str, _page: str) -> str:
    """Every action with its page and what it is."""
    lines = ["| action | what |", "|---|---|"]
    for action in OF_COMMANDS:
        page = f"steps/{action.replace(':', '-')}"
        what = published(page)["description"].split("\n\n")[0].rstrip(".")
        lines.append(f"| [`{action}`]({page}.md) | {_cell(what)} |")
    return "\n".join(lines)


def of_command_document(part: str, _page: str) -> str:
    """A table of a Command document: of itself, or of a definition in its schema (`Step`, `StringParameter`)."""
    schema = published("documents/command-2.2")
    shown = schema["$defs"][part] if part else schema
    return _table(list(_rows(shown, schema, "", deep=False)), marked=False)


def of_step_manifest(part: str, _page: str) -> str:
    """The table of a step's manifest, or of a part of it."""
    schema = published("documents/step")
    return _table(list(_rows(schema["$defs"][part] if part else schema, schema, "", deep=False)), marked=False)


def of_document(name: str, _page: str) -> str:
    """A table for each object of a document that `--format json` prints."""
    schema = published(f"faces/{name}")
    parts = {"": schema, **schema.get("$defs", {})}
    return "\n".join(_members(title, part, schema) for title, part in parts.items())


def _members(title: str, part: Schema, schema: Schema) -> str:
    lines = [f"### {title}" if title else "", "", part.get("description", ""), "", "| member | value |", "|---|---|"]
    for name, member in part["properties"].items():
        needed = "" if name in part.get("required", ()) else ", may be absent"
        lines.append(f"| `{name}` | {_takes(member, schema)}{needed} |")
    return "\n".join([*lines, ""]).lstrip("\n")


def of_server_settings(_: str, _page: str) -> str:
    """The table of `server.yaml`."""
    from reconciler.wiring.settings import ServerSettings

    schema = TypeAdapter(ServerSettings).json_schema()
    return _table(list(_rows(schema, schema, "")), marked=False)


def documents(_: str, _page: str) -> str:
    """What `--format json` prints, one line for each document."""
    lines = ["| format | what | schema |", "|---|---|---|"]
    for path in sorted((SCHEMAS / "faces").glob("*.json")):
        schema = published(f"faces/{path.name.removesuffix('.schema.json')}")
        name = schema["properties"]["format"]["const"]
        what = " ".join(schema["description"].split("\n\n")[0].split())
        lines.append(f"| `{name}` | {_cell(what)} | [{path.name}](../schemas/faces/{path.name}) |")
    return "\n".join(lines)


def published(path: str) -> Schema:
    schema: Schema = json.loads((SCHEMAS / f"{path}.schema.json").read_text())
    return schema


def _given(part: Schema) -> Schema:
    """A field as it is where it is there at all."""
    choices = [choice for choice in part.get("anyOf", ()) if choice.get("type") != "null"]
    return choices[0] if len(choices) == 1 else part


def _rows(part: Schema, schema: Schema, prefix: str, *, deep: bool = True) -> Iterator[Row]:
    """Fields in their order; those of an object or of a list's objects follow it."""
    for name, field in part["properties"].items():
        resolved = _resolved(field, schema)
        needed = name in part.get("required", ())
        default = "required" if needed else _default(field, resolved)
        path = f"{prefix}{name}"
        meaning = field.get("description") or resolved.get("description", "")
        yield Row(path, _takes(field, schema), default, meaning, bool(field.get("x-opsctl")))
        inner = _resolved(_given(resolved.get("items", resolved)), schema)
        if deep and "properties" in inner and "anyOf" not in inner:
            yield from _rows(inner, schema, f"{path}[]." if "items" in resolved else f"{path}.")


def _default(field: Schema, resolved: Schema) -> str:
    value = field.get("default", resolved.get("default"))
    return "" if value in (None, "", [], {}) or isinstance(value, dict) else f"`{_said(value)}`"


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _resolved(part: Schema, schema: Schema) -> Schema:
    if "$ref" in part:
        found: Schema = schema["$defs"][part["$ref"].rpartition("/")[2]]
        return {**found, **{key: value for key, value in part.items() if key != "$ref"}}
    return part


def _takes(part: Schema, schema: Schema) -> str:
    """What a value may be, in a few words."""
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if schema.get("title", "").startswith(_IN_PARTS) else "mapping"
    if "enum" in part or "const" in part:
        values = [_said(value) for value in part.get("enum", [part.get("const")]) if value != ""]
        return ", ".join(f"`{value}`" for value in dict.fromkeys(values))
    if "anyOf" in part or "oneOf" in part:
        return _either(part.get("anyOf") or part["oneOf"], schema)
    kind = part.get("type", "anything")
    if kind == "array":
        return f"list of {_takes(part['items'], schema)}" if part.get("items") else "list"
    if kind == "object":
        return _object(part, schema)
    return _scalar(part, [kind] if isinstance(kind, str) else kind)


_PRINTED = "What `--format"
_IN_PARTS = (_PRINTED, "SSM Command document")
"""Beginnings of the titles of schemas whose parts have tables of their own."""
_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "anything": "anything",
}
_SPOKEN = {
    r"^[A-Za-z0-9_-]+$": "name",
    NAME_PATTERN: "name",
    r"^(group:)?[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$": "name or `group:NAME`",
    r"^[A-Za-z0-9_.-]{1,128}$": "name",
    r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$": "name",
    r"^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$": "host name",
    r"^[A-Za-z][A-Za-z0-9_.-]{0,127}$": "name",
    r"^[A-Za-z0-9][A-Za-z0-9_./-]{0,99}$": "name of a branch",
    r"^[-+]?[0-9]+$": "whole number",
    r"^ssh-ed25519 ": "public key",
    r"^(rate|cron)\(.*\)$": "schedule expression",
    r"^([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$": "length of time",
    r"^([0-9]|[1-9][0-9]|100)%$": "percentage",
    r"^(0o)?0?[0-7]{3,4}$": "octal text",
    rate.PATTERN: "number or percentage",
    rate.ERRORS_PATTERN: "number or percentage",
}
"""Patterns in words; what one that is not here takes is the field's meaning to say."""
_COVERS = {"length of time": "whole number", "percentage": "whole number", "true or false": "`true`"}
"""What need not be said besides."""


def _scalar(part: Schema, kinds: list[str]) -> str:
    if "string" not in kinds:
        return " or ".join(_WORDS[kind] for kind in kinds)
    return _SPOKEN.get(part.get("pattern", ""), "text")


def _object(part: Schema, schema: Schema) -> str:
    if "properties" in part:
        return "mapping"
    values = part.get("additionalProperties")
    return f"map of {_takes(values, schema)}" if isinstance(values, dict) and values else "mapping"


def _either(choices: list[Schema], schema: Schema) -> str:
    if any("key" in choice.get("properties", {}) for choice in choices):
        return "target"
    words = [_takes(choice, schema) for choice in choices if choice.get("type") != "null"]
    nullable = ["null"] if len(words) < len(choices) and schema.get("title", "").startswith(_PRINTED) else []
    covered = [cover for word, cover in _COVERS.items() if word in words]
    said = [word for word in words if not word.startswith(tuple(covered))]
    return " or ".join(dict.fromkeys(sorted(said, key=len) + nullable))


def _table(rows: list[Row], *, marked: bool) -> str:
    lines = ["| field | takes | default | meaning |", "|---|---|---|---|"]
    for row in rows:
        mark = " ◦" if marked and row.ours else ""
        lines.append(f"| `{row.path}`{mark} | {row.takes} | {row.default} | {_cell(row.meaning)} |")
    if marked and any(row.ours for row in rows):
        lines += ["", "◦ opsctl's own; the others are as SSM has them."]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
