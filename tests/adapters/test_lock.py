"""The lock on a state directory, between real processes."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from reconciler.adapters.lock import StateLock
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HOLDER = """
import sys
from pathlib import Path
from reconciler.adapters.lock import StateLock
with StateLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its standard input ends."""
    command = [sys.executable, "-c", _HOLDER, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def take(directory: Path) -> None:
    """Take the lock and let it go."""
    with StateLock(directory):
        return


def test_the_second_is_refused_by_pid_and_host(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as process, pytest.raises(Refused) as caught:
        take(tmp_path)
    assert f"process {process.pid} on {socket.gethostname()}" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_also_within_one_process(tmp_path: Path) -> None:
    with StateLock(tmp_path), pytest.raises(Refused, match=f"process {os.getpid()} "):
        take(tmp_path)


def test_who_was_refused_leaves_the_holder_named(tmp_path: Path) -> None:
    with StateLock(tmp_path):
        for _ in range(2):
            with pytest.raises(Refused, match=f"process {os.getpid()} "):
                take(tmp_path)


def test_it_comes_back_after_the_end_and_after_a_kill(tmp_path: Path) -> None:
    take(tmp_path)
    with held_elsewhere(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        take(tmp_path)


def test_a_child_process_does_not_keep_it(tmp_path: Path) -> None:
    with StateLock(tmp_path):
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        take(tmp_path)
    finally:
        child.communicate(timeout=10)


def test_the_directory_is_made_for_its_owner(tmp_path: Path) -> None:
    with StateLock(tmp_path / "a" / "state"):
        assert stat.S_IMODE((tmp_path / "a" / "state").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "a" / "state" / "lock").stat().st_mode) == 0o600


def test_a_holder_that_has_not_said_who_it_is(tmp_path: Path) -> None:
    with StateLock(tmp_path):
        (tmp_path / "lock").write_text("{")
        with pytest.raises(Refused, match="another process"):
            take(tmp_path)


def test_a_file_in_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(Unavailable, match="File exists"):
        take(tmp_path / "state")
