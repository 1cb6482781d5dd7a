"""Capabilities that change things step by step: automation.

Belongs here: what SSM has under Change Management. Does not belong here: what a runbook means (see `documents`).
"""
