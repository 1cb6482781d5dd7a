"""`make demo`: three throwaway machines, driven by a Git repository from a first plan to drift that heals by itself.

Belongs here: preparing the ground (environment, nodes, packages), and the story as a person watches it. The standard
library is enough for it, so that a fresh clone can run it.
"""
