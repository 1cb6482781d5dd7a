"""Runs where the agent runs: converges the body on standard input, and prints the result. Python >= 3.8, no packages.

Its one argument is a state directory; `--root DIR` before it makes a sandbox.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from agent.contract.codec import from_wire, to_wire
from agent.contract.wire import Body, NodeContext
from agent.rounds.bench import local_host
from agent.rounds.ledger import Ledger
from agent.rounds.runner import converge
from agent.state.journal import Journal
from agent.steps import packages


def main() -> None:
    *root, state = sys.argv[1:]
    Path(state).mkdir(exist_ok=True)
    order = json.load(sys.stdin)
    packages.LOCK_WAIT = order.get("lock_wait", packages.LOCK_WAIT)
    journal = Journal(state)
    result = converge(
        local_host(state, root[1] if root else "/", runs_scripts=True),
        from_wire(Body, order["body"]),
        NodeContext("node", {}, {}),
        {},
        journal,
        Ledger(str(Path(state) / "ledger.json")),
        generation=order.get("generation", 1),
        cause=order.get("cause", "Assigned"),
        run_instant="",
        boot_id="boot",
        blob=nothing,
        apply=order.get("apply", True),
    )
    journal.close()
    json.dump(dict(result._asdict(), claims=to_wire(result.claims)), sys.stdout)


def nothing(digest: str) -> bytes:
    raise KeyError(digest)


if __name__ == "__main__":
    main()
