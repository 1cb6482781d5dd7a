"""Capabilities that act on nodes: the fleet's settings, nodes, associations.

Belongs here: what SSM has under Node Management. Does not belong here: how nodes are grouped or who may act on them.
"""
