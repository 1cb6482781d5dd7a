"""The stage that whole stories are played on: a config repository with its remote, a daemon, machines with agents.

Used by the demo and by the end-to-end tests, with the commands that a user would give. Belongs here: starting, waiting,
ending. Does not belong here: what a story tells or a test expects. Standard library only.
"""

from tests.stage.daemon import Daemon
from tests.stage.machines import Machine, RealMachine, Sandbox
from tests.stage.repository import ConfigRepository
from tests.stage.waiting import StageError, until

__all__ = ["ConfigRepository", "Daemon", "Machine", "RealMachine", "Sandbox", "StageError", "until"]
