"""SSH: how the server reaches nodes that do not come to it by themselves.

Belongs here: connecting with checked host keys and the server's own identities, starting the agent without leaving a
file, the bytes of the conversation.
Does not belong here: what is said in it (`adapters.gateway`), when a node is visited and who may be one (`controller`).
"""

from reconciler.adapters.ssh.dialling import Identity, SshSettings
from reconciler.adapters.ssh.memory import MemoryVisitor
from reconciler.adapters.ssh.visitor import SshVisitor

__all__ = ["Identity", "MemoryVisitor", "SshSettings", "SshVisitor"]
