"""Machines with an agent on them: real nodes with systemd, or directories of this host that stand for one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from tests import lifeline
from tests.fleet import Node
from tests.stage.waiting import StageError


class Machine(Protocol):
    """What a story does with a machine."""

    name: str

    def join(self, url: str, token: str, agent: Path) -> None:
        """Enrol with a join token and start the agent for good."""

    def read(self, path: str) -> str:
        """A file's text, empty where there is none."""

    def write(self, path: str, text: str) -> None:
        """Change a file by hand."""

    def agent(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """One command of the agent's."""

    def stop(self) -> None:
        """End the agent."""


class RealMachine:
    """A node of `tests.fleet`; the agent is installed as a systemd service, as on any server."""

    def __init__(self, node: Node, name: str) -> None:
        self.node, self.name = node, name

    def join(self, url: str, token: str, agent: Path) -> None:
        self.node.put(agent, "/root/agent.pyz")
        self.agent("enroll", "--server", url, "--token-file", "-", stdin=token)
        self.agent("install")

    def agent(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.node.run(["python3", "/root/agent.pyz", *arguments], stdin=stdin, check=check, timeout=120)

    def read(self, path: str) -> str:
        return self.node.run(["cat", path], check=False).stdout

    def write(self, path: str, text: str) -> None:
        self.node.run(["tee", path], stdin=text)

    def stop(self) -> None:
        self.node.run(["systemctl", "stop", "opsctl-agent"])


_USUAL_DIRECTORIES = (
    *("etc/cron.d", "etc/logrotate.d", "etc/nginx/sites-available", "etc/nginx/sites-enabled", "etc/profile.d"),
    *("etc/security/limits.d", "etc/ssh", "etc/sudoers.d", "etc/sysctl.d", "etc/systemd/system"),
    *("home", "root", "run", "srv", "usr/local/bin", "usr/local/sbin", "var/backups", "var/lib", "var/log"),
)
_RECONNECT_SECONDS = "0.5"


class Sandbox:
    """A directory that an agent of this host takes for a machine (`--root`), made with what any machine has.

    With `scripts`, scripts are run too: on this host, told of the directory as OPSCTL_ROOT. `environment` is what the
    agent is given besides.
    """

    def __init__(self, directory: Path, name: str, *, scripts: bool = False, python: str = sys.executable) -> None:
        self.directory, self.name, self._scripts, self._python = directory, name, scripts, python
        self.environment: dict[str, str] = {}
        self.root, self.log = directory / "root", directory / "agent.log"
        for path in _USUAL_DIRECTORIES:
            (self.root / path).mkdir(parents=True)
        self.write("/etc/login.defs", "UMASK           022\n")
        self._agent: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def join(self, url: str, token: str, agent: Path) -> None:
        self.enrol(url, token, agent)
        self.start()

    def enrol(self, url: str, token: str, agent: Path, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """An identity, and no agent running yet."""
        self._agent = agent
        enroll = ("enroll", "--server", url, "--token-file", "-", "--name", self.name)
        return self.agent(*enroll, stdin=token, check=check)

    @property
    def process(self) -> int:
        """The running agent's process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Run the agent until `stop` or `kill`."""
        with self.log.open("ab") as log:
            self._process = lifeline.start(
                self._command("serve"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(),
            )

    def agent(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self._command(*arguments),
            input=stdin,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if check and done.returncode != 0:
            raise StageError(f"agent {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def _command(self, verb: str, *arguments: str) -> list[str]:
        assert self._agent is not None
        options = ["--state", str(self.directory / "state")]
        if verb != "enroll":
            options += ["--root", str(self.root)]
        if self._scripts and verb in ("serve", "once"):
            options.append("--scripts")
        return [self._python, str(self._agent), verb, *options, *arguments]

    def _environment(self) -> dict[str, str]:
        """A server that comes back is found at once, and no proxy of this host stands between."""
        return {"PATH": os.environ["PATH"], "OPSCTL_RECONNECT_MAX": _RECONNECT_SECONDS, **self.environment}

    def read(self, path: str) -> str:
        file = self.root / path.lstrip("/")
        return file.read_text() if file.is_file() else ""

    def write(self, path: str, text: str) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(70)
            lifeline.let_go(process.pid)
