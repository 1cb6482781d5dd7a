"""Decisions: load a commit, plan against World, gate effects, absorb reports, explain. Values in, values out.

Belongs here: what needs several capabilities at once. Does not belong here: I/O, clocks (instants are arguments), or
knowledge that one capability could keep to itself.
"""
