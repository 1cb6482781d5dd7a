"""What is bound to a process ends with it; what was let go does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.fleet.rootfs import CLONE

OWNER = """
import os, sys
from tests import lifeline
shell = ["sh", "-c", "sleep 600 & echo; wait"]
bound = lifeline.start(shell)
if sys.argv[1] == "let go":
    lifeline.let_go(bound.pid)
print(bound.pid, flush=True)
if sys.argv[1] != "end":
    sys.stdin.read()
os.close(1)
"""


def owner(fate: str) -> subprocess.Popen[str]:
    """A process that starts a shell with a child; all of them hold its standard output until they end."""
    command = [sys.executable, "-c", OWNER, fate]
    return subprocess.Popen(command, cwd=CLONE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def begun(process: subprocess.Popen[str]) -> int:
    """The shell's process id, once it has its child."""
    assert process.stdout is not None
    said = [process.stdout.readline(), process.stdout.readline()]
    return next(int(line) for line in said if line.strip())


@pytest.mark.parametrize("fate", ["be killed", "end"])
def test_a_whole_group_ends_with_its_owner(fate: str) -> None:
    process = owner(fate)
    begun(process)
    if fate == "be killed":
        process.kill()
    process.communicate(timeout=30)


def test_what_was_let_go_lives_on() -> None:
    process = owner("let go")
    shell = begun(process)
    process.kill()
    process.wait()
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
    finally:
        os.killpg(shell, signal.SIGKILL)
    process.communicate(timeout=30)
