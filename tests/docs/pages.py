"""Pages and their generated parts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tests.docs import actions, dry_run, fields, manual

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = sorted([README, *(ROOT / "docs").rglob("*.md")])

_PART = re.compile(
    r"(<!-- generated: (?P<name>[\w-]+)(?P<arguments>[^\n]*?) -->\n)(?P<text>.*?)(<!-- end -->)", re.DOTALL
)

MAKERS: dict[str, Callable[[str, str], str]] = {
    "automation": actions.automation,
    "claims": dry_run.claims,
    "documents": fields.documents,
    "dry-run": dry_run.shown,
    "fields": fields.of_kind,
    "help": manual.help_of,
    "inputs": fields.of_action,
    "library": actions.library,
    "members": fields.of_document,
    "model": fields.of_command_document,
    "plugins": actions.plugins,
    "server-settings": fields.of_server_settings,
    "sources": actions.sources,
    "ssm-calls": actions.ssm_calls,
    "step-manifest": fields.of_step_manifest,
    "steps": fields.steps,
    "watched": dry_run.watched,
}
"""What makes each sort of part, from its arguments and the page."""


_DRIFT = re.compile(r"^# (?P<action>\w+:\w+)\n.*?\n## How drift is found\n\n(?!<!-- generated)", re.DOTALL)


def completed(text: str) -> str:
    """A step's page that has no generated part on drift yet, with an empty one."""
    page = _DRIFT.match(text)
    if page is None:
        return text
    return f"{page[0]}<!-- generated: watched {page['action']} -->\n<!-- end -->\n\n{text[page.end() :]}"


def generated(text: str) -> str:
    """A page with its generated parts as they should be."""
    return _PART.sub(lambda part: f"{part[1]}{_made(part, text)}\n{part[5]}", text)


def _made(part: re.Match[str], page: str) -> str:
    return MAKERS[part["name"]](part["arguments"].strip(), page).strip("\n")
