"""Sessions on this node: shells on pseudo-terminals, and connections to ports.

Belongs here: what a ticket opens, in a thread of its own, so that neither rounds nor the link wait for it; that it is
checked, and ended with its time. Does not belong here: how frames get here (`agent.link`), and who may have a ticket,
which the server decides.
"""
