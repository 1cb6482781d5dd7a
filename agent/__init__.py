"""The agent: the small program on every node. Standard library only, Python >= 3.8.

Belongs here: what runs on a node. Never imports `reconciler`. `contract` is the one package the server imports too.
"""

__version__ = "0.1.0"
DEFAULT_STATE = "/var/lib/opsctl"
"""Where the agent keeps what it must not forget, unless it is told otherwise."""
USER_STATE = "~/.local/state/opsctl"
"""The same for an ordinary user's agent."""
