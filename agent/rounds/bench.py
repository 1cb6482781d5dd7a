"""What a look works with besides what the node holds."""

from __future__ import annotations

import os
from typing import Any, Callable, Mapping

from agent.contract.record import NamedTuple
from agent.durable import make_directory
from agent.host import LocalHost, facts
from agent.host.port import Host
from agent.rounds.ledger import Ledger
from agent.steps.rendering import rendered


class Bench(NamedTuple):
    """`facts` are gathered when they are asked for; `render` renders a template over a context, both texts."""

    host: Host
    ledger: Ledger
    facts: Callable[[], Mapping[str, Any]]
    boot_id: str
    render: Callable[[str, str], str] = rendered


def local_host(state: str, root: str, *, runs_scripts: bool) -> LocalHost:
    """The machine, or the tree beneath `root`, as an agent with this state directory works on it."""
    scripts = os.path.join(state, "scripts")
    make_directory(scripts)
    return LocalHost(root, scripts, executions=os.path.join(state, "executions"), runs_scripts=runs_scripts)


def local_bench(state: str, host: LocalHost, boot_id: str, *, dry: bool = False) -> Bench:
    """The bench of an agent with this state directory. Facts are the machine's, also for a sandbox."""
    machine, ledger = LocalHost(), Ledger(os.path.join(state, "ledger.json"), read_only=dry)
    return Bench(host, ledger, lambda: facts.collect(machine), boot_id)
