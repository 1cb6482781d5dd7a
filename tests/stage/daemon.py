"""`opsctl serve` as a process of its own, and the command line that talks to it."""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests import lifeline
from tests.stage.waiting import StageError, until


class Daemon:
    """A daemon on a state directory. `start` and `kill` may alternate: the state stays."""

    def __init__(self, opsctl: Path, repo: Path, state: Path, address: str = "127.0.0.1", port: int = 0) -> None:
        self.opsctl, self.repo, self.state = opsctl, repo, state
        self.address, self.port = address, port or _free_port(address)
        self.log = state.parent / f"{state.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}"

    @property
    def process(self) -> int:
        """The running daemon's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def socket(self) -> Path:
        return self.state / "opsctl.sock"

    def start(self, *options: str, timeout: float = 30.0) -> Daemon:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = lifeline.start(
                [
                    *(str(self.opsctl), "serve", "--repo", str(self.repo), "--state", str(self.state)),
                    *("--listen", f"{self.address}:{self.port}", *options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONFAULTHANDLER": "1"},
            )
        until("the daemon to answer", self._answers, timeout, self.last_words)
        return self

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise StageError(f"the daemon ended: {self.last_words()}")
        try:
            self.ask("/status")
        except OSError:
            return False
        return True

    def stop(self) -> int:
        """SIGTERM, as systemd would; its exit code."""
        return self._end(lambda process: os.kill(process, signal.SIGTERM))

    def stop_by_another_thread(self) -> int:
        """SIGTERM, given to a thread that is not the main one, as the kernel may; the daemon's exit code."""
        libc = ctypes.CDLL(None)
        return self._end(lambda process: libc.tgkill(process, max(_threads(process)), signal.SIGTERM))

    def kill(self) -> int:
        """SIGKILL: nothing is tidied up."""
        return self._end(lambda process: os.kill(process, signal.SIGKILL))

    def _end(self, send: Callable[[int], object]) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        send(process.pid)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # its threads' stacks go into the log
            process.wait(20)
            raise StageError(f"the daemon did not end: {self.last_words()}") from None
        lifeline.let_go(process.pid)
        return process.returncode

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def run(self, *arguments: str, check: bool = True, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """opsctl with this server."""
        env = {**os.environ, "OPSCTL_SERVER": f"unix:{self.socket}", "NO_COLOR": "1"}
        done = subprocess.run(
            [str(self.opsctl), *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        if check and done.returncode != 0:
            raise StageError(f"opsctl {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def ask(self, path: str, body: Any = None, *, method: str = "") -> Any:
        """The API on the socket, for looking again and again. POST where there is a body."""
        connection = _OverSocket(self.socket)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method or ("GET" if data is None else "POST"), f"/api/v1{path}", data)
            answer = connection.getresponse()
            text = answer.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()
        if answer.status != 200:
            raise StageError(f"{path}: {answer.status} {text}")
        return json.loads(text)

    def nodes(self) -> dict[str, dict[str, Any]]:
        """What `node list` shows, by name."""
        return {row["name"]: row for row in self.ask("/nodes")["items"]}

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--format", "json").stdout)

    def token(self, node: str, *options: str) -> str:
        return self.run("token", "create", "--node", node, *options).stdout.strip()

    def settled(self, names: Sequence[str], timeout: float = 120.0) -> dict[str, str]:
        """Wait until every named node is connected and has reported on all it has; compliance by name."""

        def look() -> dict[str, str] | None:
            rows = self.nodes()
            known = {name: rows.get(name, {}) for name in names}
            if all(row.get("state") == "Online" and row.get("compliance") != "UNKNOWN" for row in known.values()):
                return {name: str(row["compliance"]) for name, row in known.items()}
            return None

        return until(f"{', '.join(names)} to settle", look, timeout, lambda: self.run("node", "list").stdout) or {}

    def compliant(self, names: Sequence[str], timeout: float = 120.0) -> None:
        """Wait until every named node is compliant with everything it has."""

        def look() -> bool:
            rows = self.nodes()
            return all(rows.get(name, {}).get("compliance") == "COMPLIANT" for name in names)

        until(f"{', '.join(names)} to be compliant", look, timeout, lambda: self._findings(names))

    def _findings(self, names: Sequence[str]) -> str:
        return "\n".join(self.run("node", "show", name, check=False).stdout for name in names) + self.last_words()


class _OverSocket(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _threads(process: int) -> list[int]:
    return [int(thread.name) for thread in Path(f"/proc/{process}/task").iterdir()]
