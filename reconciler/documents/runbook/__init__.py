"""Automation documents (schemaVersion 0.3): parse, check, and the words that running them needs.

Belongs here: what a runbook means, whoever runs or shows it: steps, conditions, references, selectors, control flow.
Does not belong here: executions and their events (see `reconciler.capabilities.changes.automation`).
"""

from reconciler.documents.runbook.reading import check, load
from reconciler.documents.runbook.runbook import Edge, Runbook, Step

__all__ = ["Edge", "Runbook", "Step", "check", "load"]
