"""What a look works with besides what the node holds."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Mapping, Optional

from agent.contract.record import NamedTuple
from agent.durable import make_directory
from agent.host import LocalHost, facts
from agent.host.port import Host
from agent.rounds import orchestration
from agent.rounds.exclusion import AnyTurn, Turn
from agent.rounds.ledger import Ledger
from agent.steps.rendering import rendered
from agent.steps.step import Itself


class Bench(NamedTuple):
    """`facts` are gathered when they are asked for; `render` renders a template over a context, both texts.

    `turn` is taken while an association is looked at: a job's steps that hold something wait for it. Runs have their
    directories below `orchestration`.
    """

    host: Host
    ledger: Ledger
    facts: Callable[[], Mapping[str, Any]]
    boot_id: str
    render: Callable[[str, str], str] = rendered
    turn: Turn = AnyTurn()
    orchestration: str = ""
    itself: Optional[Itself] = None

    def environment(self, node_id: str, facts: Optional[Mapping[str, Any]] = None) -> Dict[str, str]:
        """The names that SSM gives scripts, as far as they mean something here."""
        found = self.facts() if facts is None else facts
        return {
            "AWS_SSM_INSTANCE_ID": node_id,
            "AWS_SSM_PLATFORM_TYPE": self.host.platform,
            "AWS_SSM_PLATFORM_NAME": str(found.get("osName") or ""),
            "AWS_SSM_PLATFORM_VERSION": str(found.get("osVersion") or ""),
        }


def local_host(state: str, root: str, *, runs_scripts: bool) -> LocalHost:
    """The machine, or the tree beneath `root`, as an agent with this state directory works on it."""
    scripts = os.path.join(state, "scripts")
    make_directory(scripts)
    return LocalHost(root, scripts, executions=os.path.join(state, "executions"), runs_scripts=runs_scripts)


def local_bench(state: str, host: LocalHost, boot_id: str, *, dry: bool = False) -> Bench:
    """The bench of an agent with this state directory. Facts are the machine's, also for a sandbox."""
    machine, ledger = LocalHost(), Ledger(os.path.join(state, "ledger.json"), read_only=dry)
    return Bench(host, ledger, lambda: facts.collect(machine), boot_id, orchestration=orchestration.base(state, host))
