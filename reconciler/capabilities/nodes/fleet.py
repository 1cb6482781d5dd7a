"""Fleet: the settings of the whole fleet, one per repository, in `fleet.yaml`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reconciler.core.fields import OURS, Percent, Seconds
from reconciler.core.resource import Model

# --- Model ---------------------------------------------------------------------------------------------------------


class AgentSettings(Model):
    """What every agent is told."""

    interval: Seconds = 1800
    """How often a node looks for drift and heals it, in seconds or as `30m`."""


class ComplianceSettings(Model):
    """When compliance is committed to the branch `compliance`."""

    interval: Seconds = 300
    """At most one compliance commit in this time, in seconds or as `5m`."""


class PollingSettings(Model):
    """How the repository is watched, besides webhooks."""

    interval: Seconds = 60
    """How often the tracked branch is fetched, in seconds or as `1m`."""


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
    compliance: ComplianceSettings = Field(default=ComplianceSettings(), json_schema_extra=OURS)
    """How often compliance is written."""
    max_removals: Percent = Field(default=10, json_schema_extra=OURS)
    """The share of an association's nodes, in percent, that one plan may drop without `--allow-removals`."""
