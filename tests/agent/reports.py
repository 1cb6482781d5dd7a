"""Wire values that the agent's tests start from."""

from __future__ import annotations

import dataclasses
from typing import Any

from agent.contract.canonical import digest
from agent.contract.wire import ClaimReport, Report

BLANK = Report(
    protocol=1,
    fleet_id="fleet-1",
    node_id="mi-0123456789abcdef0",
    boot_id="boot-1",
    incarnation=1,
    seq=0,
    uid="Association/motd",
    generation=1,
    body_digest=digest(b"body"),
    context_digest=digest(b"context"),
    agent_version="0.1.0",
    status="Success",
    claims=[ClaimReport("path:/etc/motd", "motd", "Changed")],
    cause="Assigned",
    started_at="2026-01-01T00:00:00.000Z",
    finished_at="2026-01-01T00:00:01.000Z",
)


def report(**changes: Any) -> Report:
    return dataclasses.replace(BLANK, **changes)
