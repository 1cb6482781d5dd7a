"""What the kernel and systemd tell of a machine at once: paths, mounts, units. One wait for all of it.

Belongs here: how it is heard. What it means for anything that the node holds does not: that is the rounds' (`drift`).
"""
