"""Settings to adapters: the only place that constructs them.

Belongs here: opening the store, the mirror, keys and listeners, and putting them together; what a command needs of the
local machine. Does not belong here: decisions, rendering, or anything a test of a decision would need.

Nothing is re-exported, so that a command which only reads files does not load a server.
"""
