"""Collectors of inventory, one per type: each reads the node through its host and gives SSM's items.

Belongs here: what a type's items are and how a node is asked. Does not belong here: which types are wanted, what
becomes of them. A collector raises `StepFailed` or OSError where it cannot tell; it never guesses.
"""
