"""The controller over ports in memory, with nodes that are played: what it promises, always and after every fall.

Belongs here: `house`, which puts it all together and moves time, and stories told on it. Does not belong here: how a
decision is made (tests/engine), sockets and processes (tests/e2e).
"""
