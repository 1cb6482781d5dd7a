"""Fleet: the settings of the whole fleet, one per repository, in `fleet.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from agent.contract import leave
from agent.contract.canonical import milliseconds
from reconciler.core.fields import OURS, Instant, Percent, Seconds
from reconciler.core.resource import Model

# --- Model ---------------------------------------------------------------------------------------------------------


class AgentSettings(Model):
    """What every agent is told."""

    interval: Seconds = 1800
    """How often a node looks for drift and heals it, in seconds or as `30m`."""
    heal_budget: Annotated[int, Field(ge=1, le=100_000)] = 240
    """How often in an hour a node may put one association right by itself; beyond, it only monitors and says so."""


class Freeze(Model):
    """A time in which nothing is changed anywhere: waves wait, and nodes only monitor."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
    """Why, as people are told everywhere."""
    until: Instant
    """When it ends, as `2026-12-24T18:00:00Z`. Nodes end it by their own clocks; no commit is needed."""


class ComplianceSettings(Model):
    """When compliance is committed to the branch `compliance`."""

    interval: Seconds = 300
    """At most one compliance commit in this time, in seconds or as `5m`."""


class PollingSettings(Model):
    """How the repository is watched, besides webhooks."""

    interval: Seconds = 60
    """How often the tracked branch is fetched, in seconds or as `1m`."""


class AutomationSettings(Model):
    """What runbooks may do to machines beyond running documents on them."""

    power_off: bool = False
    """Whether they may switch machines off; nothing here switches one on."""
    retire: bool = False
    """Whether they may retire nodes: `terminated` of `aws:changeInstanceState`."""


class FleetSpec(Model):
    """Settings that no single resource owns. An invalid Fleet holds everything at the last valid revision."""

    sync: Literal["auto", "manual"] = Field(default="auto", json_schema_extra=OURS)
    """`auto`: every commit of the tracked branch is applied. `manual`: nothing moves until an `apply`."""
    polling: PollingSettings = Field(default=PollingSettings(), json_schema_extra=OURS)
    """How often the repository is looked at."""
    allow_rewrite: bool = Field(default=False, json_schema_extra=OURS)
    """Whether a force-pushed tracked branch is followed; refused otherwise."""
    agent: AgentSettings = Field(default=AgentSettings(), json_schema_extra=OURS)
    """How often nodes look after themselves."""
    freeze: Freeze | None = Field(default=None, json_schema_extra=OURS)
    """While it lasts, nothing is changed on any node: neither by a commit or an `apply`, nor by healing."""
    compliance: ComplianceSettings = Field(default=ComplianceSettings(), json_schema_extra=OURS)
    """How often compliance is written."""
    automation: AutomationSettings = Field(default=AutomationSettings(), json_schema_extra=OURS)
    """What runbooks may do to machines."""
    max_removals: Percent = Field(default=10, json_schema_extra=OURS)
    """The share of an association's nodes, in percent, that one plan may drop without `--allow-removals`."""


# --- Plan ----------------------------------------------------------------------------------------------------------


def frozen(spec: FleetSpec, at: int) -> str:
    """Why nothing may change at `at` (Unix milliseconds); empty where it may."""
    freeze = spec.freeze
    if freeze is None or milliseconds(freeze.until) <= at:
        return ""
    return leave.frozen(freeze.reason, freeze.until)
