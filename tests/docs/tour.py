"""The README's tour: its commands, run one after the other by a shell, and what they print.

A block that begins with ` ```console ` holds commands (`$ ...`, continued by `\\`) and their output. Between blocks,
`<!-- wait: COMMAND -->` waits until a command succeeds, which readers do by reading. What differs from run to run (ids,
instants, sizes) is masked before two tellings are compared.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests import lifeline
from tests.committer import MARY

_STEP = re.compile(r"^```console\n(?P<block>.*?)^```$|^<!-- wait: (?P<wait>.*?) -->$", re.DOTALL | re.MULTILINE)
_PORT = "8443"
_PATIENCE = 60.0
_PROGRESS = re.compile(r"^applying: .*\n", re.MULTILINE)
"""On a terminal it is a bar, and gone when it is done."""
_MASKS = (
    (re.compile(r"\b(mi|fl|jt)-[0-9a-f]{16,17}\b"), r"\1-ID"),
    (re.compile(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+Z)?"), "DAY"),
    (re.compile(r"\b[0-9a-f]{12,64}\b"), "HEX"),
    (re.compile(r"\b[0-9]+ (KiB|files)\b"), r"N \1"),
)


class TourError(Exception):
    """A command of the tour did not come to what it should."""


@dataclass(frozen=True)
class Command:
    """What is typed, and what it printed when the page was written."""

    text: str
    output: str


def retold(page: str) -> str:
    """The page with what its commands print now."""
    with Shell() as shell:
        return _STEP.sub(lambda step: _told(step, shell), page)


def masked(text: str) -> str:
    """A telling without what differs from run to run."""
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text


def commands(block: str) -> Iterator[Command]:
    """The commands of a block, each with its output."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        found = re.match(r"(?P<text>(?:[^\n]*\\\n)*[^\n]*\n)(?P<output>.*)", part, re.DOTALL)
        assert found is not None
        yield Command(found["text"].rstrip("\n"), found["output"])


def _told(step: re.Match[str], shell: Shell) -> str:
    if step["wait"]:
        shell.wait(step["wait"])
        return step[0]
    lines = [f"$ {command.text}\n{shell.run(command.text)}" for command in commands(step["block"])]
    return f"```console\n{''.join(lines)}```"


class Shell:
    """bash in an empty directory, with opsctl, a home and a name of its own. Leaving it ends what it started."""

    def __init__(self) -> None:
        self._ends = ExitStack()

    def __enter__(self) -> Shell:
        self.directory = Path(tempfile.mkdtemp(prefix="tour"))
        self._ends.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self._port = _free_port()
        self._process = lifeline.start(
            ["bash", "--noprofile", "--norc"],
            cwd=self.directory,
            env=_environment(self.directory),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._ends.callback(self._end)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def run(self, command: str) -> str:
        """What a command prints. Raises `TourError` unless it exits with 0, or says itself what to expect."""
        code, output = self._run(command)
        if code != 0:
            raise TourError(f"{command}: exit {code}\n{output}{self._logs()}")
        return _PROGRESS.sub("", output)

    def wait(self, command: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            code, output = self._run(command)
            if code == 0:
                return
            if time.monotonic() > deadline:
                raise TourError(f"waited for {command}\n{output}{self._logs()}")
            time.sleep(0.2)

    def _run(self, command: str) -> tuple[int, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        mark = f"-- {os.urandom(8).hex()} --"
        self._process.stdin.write(f"{command.replace(_PORT, self._port)}\nprintf '%s %s\\n' '{mark}' $?\n")
        self._process.stdin.flush()
        return _until(self._process.stdout, mark, self._port)

    def _logs(self) -> str:
        logs = sorted(self.directory.glob("*.log"))
        return "".join(f"\n--- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs)

    def _end(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        lifeline.let_go(self._process.pid)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()


def _until(stream: IO[str], mark: str, port: str) -> tuple[int, str]:
    lines: list[str] = []
    for line in stream:
        before, found, code = line.partition(mark)
        if found:
            return int(code), "".join([*lines, before]).replace(port, _PORT)
        lines.append(line)
    raise TourError(f"the shell ended: {''.join(lines)}")


def _environment(home: Path) -> dict[str, str]:
    programs = Path(sys.executable).parent
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "COLUMNS": "100",
        **MARY,
    }


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
