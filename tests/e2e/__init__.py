"""The whole system as people meet it: real daemons, real Git remotes, real agents, the command line in front.

Belongs here: what only shows when all parts stand together. Does not belong here: what a part promises by itself, which
is tried where the part is. Agents run on sandbox directories; what needs systemd or apt is in `test_real_nodes.py`.
"""
