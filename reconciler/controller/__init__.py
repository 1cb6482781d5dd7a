"""The one loop: fetch -> load -> plan -> gate -> execute -> absorb -> report, on one thread.

Belongs here: the order in which decisions are asked for and performed, and the only mutable state of the program.
Does not belong here: how a decision is made (engine), how the outside is reached (adapters, through ports).
"""
