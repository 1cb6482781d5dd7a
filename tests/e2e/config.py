"""Config files as text. JSON is YAML, and tests that care for lines write theirs out."""

from __future__ import annotations

import json
from typing import Any


def fleet(**spec: Any) -> dict[str, str]:
    """`fleet.yaml` in a hurry: everything that waits, waits a second; removals are braked as by default."""
    hurried = {"polling": {"interval": 1}, "agent": {"interval": 1}, "compliance": {"interval": 1}, **spec}
    return {"fleet.yaml": _resource("Fleet", "harbour-books", hurried)}


def node(name: str, labels: dict[str, str] | None = None, **vars_: Any) -> dict[str, str]:
    return {f"nodes/{name}.yaml": _resource("Node", name, {"vars": vars_}, labels or {})}


def association(name: str, targets: list[str], document: str = "", **spec: Any) -> dict[str, str]:
    """An association of the document of its own name, on every target at once, however many fail.

    None in `spec` leaves a field out.
    """
    careless = {"maxConcurrency": "100%", "maxErrors": "100%"}
    described = {"document": document or name, "targets": targets, **careless, **spec}
    described = {key: value for key, value in described.items() if value is not None}
    return {f"associations/{name}.yaml": _resource("Association", name, described)}


def document(name: str, *steps: dict[str, Any], **parameters: str) -> dict[str, str]:
    """A document; parameters are Strings with these defaults."""
    value = {
        "schemaVersion": "2.2",
        "parameters": {key: {"type": "String", "default": default} for key, default in parameters.items()},
        "mainSteps": [{"name": f"step{number}", **step} for number, step in enumerate(steps, 1)],
    }
    return {f"documents/{name}.yaml": json.dumps(value, indent=1)}


def file(path: str, content: str, **inputs: Any) -> dict[str, Any]:
    return {"action": "ops:file", "inputs": {"path": path, "content": content, **inputs}}


def motd(content: str) -> dict[str, str]:
    """The document most stories are told with."""
    return document("motd", file("/etc/motd", content))


def script(*lines: str, **inputs: Any) -> dict[str, Any]:
    return {"action": "aws:runShellScript", "inputs": {"runCommand": list(lines), **inputs}}


def pair(test: str, apply: str) -> dict[str, Any]:
    return {"action": "ops:script", "inputs": {"test": test, "apply": apply}}


def stream(kind: str, specs: dict[str, Any]) -> str:
    """One file of several resources."""
    return "\n---\n".join(_resource(kind, name, spec) for name, spec in specs.items()) + "\n"


def _resource(kind: str, name: str, spec: dict[str, Any], labels: dict[str, str] | None = None) -> str:
    metadata: dict[str, Any] = {"name": name} | ({"labels": labels} if labels else {})
    return json.dumps({"apiVersion": "ops/v1", "kind": kind, "metadata": metadata, "spec": spec}, indent=1)
