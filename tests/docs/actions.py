"""Tables of SSM's actions, from what the program knows of them."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.contract.codec import camel
from agent.contract.inputs import ACTIONS as ON_NODES
from agent.contract.inputs.content import SECRETS, SOURCES
from reconciler.documents.needs import lacking, needs
from reconciler.documents.plugins import PLUGINS
from reconciler.documents.rules import Input
from reconciler.documents.runbook.actions import ACTIONS
from reconciler.documents.runbook.ssm_calls import ANSWERED
from reconciler.wiring.library import every


def plugins(_: str, _page: str) -> str:
    """SSM's actions on nodes that are known by what they take alone."""
    rows = [
        f"| `{name}` | {_inputs(plugin.inputs)} | {plugin.lacks or 'a later agent'} |"
        for name, plugin in PLUGINS.items()
        if name not in ON_NODES
    ]
    return "\n".join(["| action | inputs | needs |", "|---|---|---|", *rows])


def sources(_: str, _page: str) -> str:
    """What each kind of place that `aws:downloadContent` knows is described by, without what is refused."""
    rows = ["| `sourceType` | field | default | meaning |", "|---|---|---|---|"]
    for name, source in SOURCES.items():
        kind: Any = source  # a dataclass, as every wire type is
        for field in dataclasses.fields(kind):
            said, default = camel(field.name), field.default
            if said not in (*SECRETS, "content"):
                shown = "required" if default is dataclasses.MISSING else f"`{str(default).lower()}`" if default else ""
                rows.append(f"| `{name}` | `{said}` | {shown} | {field.metadata['description']} |")
    return "\n".join(rows)


def library(_: str, _page: str) -> str:
    """The documents that are built in, and what those need that do not run here."""
    rows = []
    for shelved in every(Path("no repository")):
        document = shelved.read().document
        assert document is not None
        lacking = ", ".join(dict.fromkeys(need.what for need in needs(document)))
        rows.append(f"| `{document.name}` | {document.type} | {document.content.description} | {lacking} |")
    return "\n".join(["| document | type | what it does | needs |", "|---|---|---|---|", *sorted(rows)])


def automation(_: str, _page: str) -> str:
    """SSM's actions of Automation documents."""
    rows = []
    for name, action in ACTIONS.items():
        inputs = _inputs(action.inputs) + (" and those of the API" if action.open else "")
        gives = ", ".join(f"`{output}`" for output in action.outputs)
        rows.append(f"| `{name}` | {inputs} | {gives} | {lacking(name)} |")
    return "\n".join(["| action | inputs | outputs | needs |", "|---|---|---|---|", *rows])


def ssm_calls(_: str, _page: str) -> str:
    """The calls of SSM's API that are answered here."""
    return "\n".join(textwrap.wrap(", ".join(f"`{api}`" for api in sorted(ANSWERED)) + ".", 120))


def _inputs(inputs: Mapping[str, Input]) -> str:
    shown = [f"**`{name}`**" if taken.required else f"`{name}`" for name, taken in inputs.items() if name != "id"]
    return ", ".join(shown)
