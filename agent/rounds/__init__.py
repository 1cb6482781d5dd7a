"""The work itself: what is due is looked at, put right where that is allowed, and told; one thread, round after round.

Belongs here: when, in which order and whether; what came of it. How one action looks and acts is its step's.
"""
