"""Capabilities about applications: groups of nodes.

Belongs here: what SSM has under Application Management. Does not belong here: single nodes (see `nodes`).
"""
