"""The story: join, plan, apply, change one thing, drift and heal, read the compliance page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tests.demo.ground import OPSCTL
from tests.demo.voice import act, say, show
from tests.fleet import Fleet
from tests.stage import ConfigRepository, Daemon, Machine, until

NODES = ("gate-1", "web-1", "db-1")
INTERVAL = 5


class Story:
    """Told once. `compliant` is how many nodes were compliant when it ended."""

    def __init__(
        self, directory: Path, machines: Sequence[Machine], address: str, agent: Path, fleet: Fleet | None = None
    ) -> None:
        self.repository = ConfigRepository(directory, OPSCTL)
        self.daemon = Daemon(OPSCTL, self.repository.remote, directory / "state", address)
        self.machines, self._agent, self.fleet = {machine.name: machine for machine in machines}, agent, fleet
        self.compliant = 0

    def tell(self) -> None:
        self._begin()
        self._join()
        self._first_apply()
        self._change_one_thing()
        self._drift()
        self._read_compliance()

    def _begin(self) -> None:
        say("\n1. A config repository, and a daemon that reads it")
        files = {"agent:\n    interval: 30m": f"agent:\n    interval: {INTERVAL}", "interval: 30s": "interval: 1"}
        for old, new in {**files, "interval: 5m": "interval: 2", "sync: auto ": "sync: manual "}.items():
            self.repository.replace("fleet.yaml", old, new)
        self.repository.push("Look every five seconds, move only when told")
        act("opsctl validate")
        show(self.daemon_free("validate", str(self.repository.clone)))
        act(f"opsctl serve --repo config.git --state state --listen {self.daemon.address}:{self.daemon.port}")
        self.daemon.start()

    def daemon_free(self, *arguments: str) -> str:
        import subprocess

        return subprocess.run([str(OPSCTL), *arguments], capture_output=True, text=True, check=True).stdout

    def _join(self) -> None:
        say("\n2. Three machines join, each with a token that works once")
        for name, machine in self.machines.items():
            act(f"opsctl token create --node {name} | ssh {name} python3 agent.pyz enroll --token-file -")
            machine.join(self.daemon.url, self.daemon.token(name), self._agent)
        self._wait_online()
        act("opsctl node list")
        show(self.daemon.run("node", "list").stdout)

    def _first_apply(self) -> None:
        say("\n3. What would happen, and then it happens")
        act("opsctl plan")
        show(self.daemon.run("plan").stdout)
        self._apply()

    def _change_one_thing(self) -> None:
        say("\n4. A commit that changes one thing")
        self.repository.replace("documents/base-hardening.yaml", "Questions:", "Questions, day and night:")
        act("git commit -am 'Say that somebody is always there' && git push")
        self.repository.push("Say that somebody is always there")
        act("opsctl plan")
        show(self.daemon.run("plan").stdout)
        self._apply()
        act("opsctl explain web-1:/etc/motd")
        show(self.daemon.run("explain", "web-1:/etc/motd").stdout)

    def _drift(self) -> None:
        say("\n5. Somebody edits a file by hand")
        machine = self.machines["web-1"]
        wanted = machine.read("/etc/motd")
        act("ssh web-1 'echo welcome, intruder > /etc/motd'")
        machine.write("/etc/motd", "welcome, intruder\n")
        started = time.monotonic()
        until("/etc/motd to be as Git says again", lambda: machine.read("/etc/motd") == wanted, 30)
        say(f"   healed by itself after {time.monotonic() - started:.1f} s (the interval is {INTERVAL} s)")
        show(machine.read("/etc/motd"))

    def _read_compliance(self) -> None:
        say("\n6. What came of it stands in Git")
        self.daemon.settled(NODES)
        rows = self.daemon.json("node", "list")["nodes"]
        self.compliant = sum(1 for row in rows if row.get("compliance") == "COMPLIANT")
        wanted = f"**{self.compliant} of {len(NODES)} nodes compliant**"
        until("the compliance page", lambda: wanted in self.repository.compliance("README.md"), 30)
        act("git log --oneline compliance")
        show("\n".join(self.repository.compliance_log()))
        act("git show compliance:README.md")
        show(self.repository.compliance("README.md"))

    def _apply(self) -> None:
        act("opsctl apply --auto-approve")
        done = self.daemon.run("apply", "--auto-approve", check=False, timeout=180)
        output = done.stdout.split("\nPlan: ")[-1].split("\n", 1)[-1]
        show(output + done.stderr)

    def _wait_online(self) -> None:
        def online() -> bool:
            rows = {row["name"]: row["state"] for row in self.daemon.json("node", "list")["nodes"]}
            return all(rows.get(name) == "Online" for name in NODES)

        until("the machines to connect", online, 60, self.daemon.last_words)
