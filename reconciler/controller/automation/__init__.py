"""Automation at work: executions kept going, what their steps need done, and what people may ask of them.

Belongs here: `desk` (executions as the store has them, moved on by the loop), `work` (what a step has done elsewhere:
the table of who does it), `children`, and `runs` (who may start, answer and stop them).
Does not belong here: what comes next in an execution (see `capabilities.changes.automation`).
"""
