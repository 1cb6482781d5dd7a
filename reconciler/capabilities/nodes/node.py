"""Node: what Git says of one server. Its labels, which targets select, stand in `metadata.labels`."""

from __future__ import annotations

from pydantic import Field

from reconciler.core.fields import OURS, CanonicalObject
from reconciler.core.resource import Model

# --- Model ---------------------------------------------------------------------------------------------------------


class NodeSpec(Model):
    """A server by the name it is enrolled under."""

    description: str = ""
    """For people."""
    vars: CanonicalObject = Field(default_factory=dict, json_schema_extra=OURS)
    """Values that templates on this node read as `vars`: any JSON without fractions."""
