"""A daemon on a small repository, with agents on sandboxes: made once for a module, since to start it takes seconds."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.agent import program
from tests.stage import ConfigRepository, Daemon, Machine, Sandbox, until

OPSCTL = Path(sys.executable).with_name("opsctl")


class Scene:
    """Open it as a context; leaving it ends what is running. Nodes join with `join`.

    `server` is what STATE/server.yaml says, `address` where the daemon listens.
    """

    def __init__(
        self, directory: Path, files: Mapping[str, str] | None, server: Any = None, address: str = "127.0.0.1"
    ) -> None:
        self.directory = directory
        self.repository = ConfigRepository(directory, OPSCTL, files)
        self.daemon = Daemon(OPSCTL, self.repository.remote, directory / "state", address)
        self.daemon.state.mkdir(mode=0o700)
        if server is not None:
            (self.daemon.state / "server.yaml").write_text(json.dumps(server))
        self.machines: dict[str, Sandbox] = {}
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        self._ends.callback(self.daemon.stop)
        self.daemon.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def __getitem__(self, name: str) -> Sandbox:
        return self.machines[name]

    def join(self, *names: str) -> None:
        """Machines of these names, enrolled as the Node files say, with their agents running."""
        program.archive()  # built once, not once by each
        with ThreadPoolExecutor(len(names)) as threads:
            for machine in list(threads.map(self.enrol, names)):
                machine.start()
        until("the machines to connect", lambda: all(self.online(name) for name in names), 30, self.daemon.last_words)

    def enrol(self, name: str, at: str = "") -> Sandbox:
        """A machine that is enrolled, and its agent not running yet."""
        machine = self.machine(name, at)
        machine.enrol(self.daemon.url, self.token(node=name), program.archive())
        return machine

    def machine(self, name: str, at: str = "") -> Sandbox:
        """A machine that has not joined, in a directory of its name or of another one."""
        machine = self.machines[name] = Sandbox(self.directory / (at or name), name, scripts=True)
        self._ends.callback(machine.stop)
        return machine

    def at(self, name: str) -> Machine:
        """The machine of this name, whatever it is."""
        return self.machines[name]

    def token(self, **asked: Any) -> str:
        return str(self.daemon.ask("/tokens", asked)["token"])

    def push(self, message: str, files: Mapping[str, str | None] | None = None) -> str:
        """Commit, push, and have the daemon fetch it now; the commit."""
        commit = self.repository.push(message, files)
        self.daemon.ask("/sync", {})
        return commit

    def apply(self, allow_removals: int = 0) -> dict[str, Any]:
        """Apply the head, and wait for what comes of it."""
        begun = self.daemon.ask("/apply", {"allowRemovals": allow_removals})
        path = f"/apply/{begun['apply']}"
        self.wait("the apply to finish", lambda: self.daemon.ask(path)["finished"])
        found: dict[str, Any] = self.daemon.ask(path)
        return found

    # What is seen

    @property
    def ca(self) -> Path:
        """The certificate that whoever comes over TLS has to trust."""
        return self.daemon.state / "keys" / "ca.pem"

    def opsctl(self, *arguments: str, code: int = 0) -> str:
        """A command with this server; what it printed, on both streams. It must exit with `code`."""
        done = self.daemon.run(*arguments, check=False)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    @staticmethod
    def environment(own: Mapping[str, str]) -> dict[str, str]:
        """Variables for a command as somebody else; what Python needs to find this checkout stays."""
        return {**{name: value for name, value in os.environ.items() if name.startswith("PYTHON")}, **own}

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.daemon.ask("/status")
        return found

    def online(self, name: str) -> bool:
        return bool(self.daemon.nodes().get(name, {}).get("state") == "Online")

    def node(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.daemon.ask(f"/nodes/{name}")
        return found

    def assignment(self, node: str, association: str) -> dict[str, Any]:
        """What a node was given and says of an association; empty where it has none."""
        rows = self.node(node)["assignments"]
        return next((row for row in rows if row["uid"] == f"Association/{association}"), {})

    def audit(self, verb: str) -> list[dict[str, Any]]:
        """Audit rows of a verb, newest first."""
        return [row for row in self.daemon.ask("/audit?limit=1000")["items"] if row["verb"] == verb]

    # What is waited for

    def wait(self, what: str, look: Callable[[], Any], timeout: float = 30.0) -> Any:
        return until(what, look, timeout, self._seen)

    def wait_for_file(self, name: str, path: str, text: str) -> None:
        """Until a file on a machine reads so."""
        machine = self.at(name)
        until(f"{path} on {name} to read {text!r}", lambda: machine.read(path) == text, 30, self._seen)

    def wait_for_report(self, node: str, association: str, **fields: Any) -> dict[str, Any]:
        """Until what a node says of an association has these values."""

        def look() -> dict[str, Any]:
            row = self.assignment(node, association)
            return row if all(row.get(key) == value for key, value in fields.items()) else {}

        found: dict[str, Any] = self.wait(f"{node} to say of {association} {fields}", look)
        return found

    def _seen(self) -> str:
        try:
            return self._standing() + self.daemon.last_words()
        except OSError:
            return self.daemon.last_words()

    def _standing(self) -> str:
        rows = {name: self.node(name) for name, row in self.daemon.nodes().items() if row["id"]}
        brief = {
            name: {row["uid"]: [row["generation"], row["status"], row["reason"]] for row in node["assignments"]}
            for name, node in rows.items()
        }
        return f"{json.dumps(brief, indent=1)}\n{json.dumps(self.status(), indent=1)}\n"
