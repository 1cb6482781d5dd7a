"""Runs that outlive the agent: real supervisors, real scripts, and what is left of them on disk."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.host import LocalHost, Ran
from agent.host import executions as runs
from agent.host import script as scripts
from agent.host.port import EndNotSeen
from agent.state.journal import RunKey
from tests.agent import program
from tests.agent.oldest import oldest_python

KEY = RunKey("Association/web base", 3, "2026-01-01T00:00:00.000Z", "patch it", 1)
NAME = KEY.execution
PATIENCE = 20.0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "executions"


@pytest.fixture
def host(tmp_path: Path, directory: Path) -> LocalHost:
    (tmp_path / "root").mkdir()
    return LocalHost(str(tmp_path / "root"), executions=str(directory))


def run(host: LocalHost, text: str, name: str = NAME, timeout: float = PATIENCE, keep: int = 24000) -> Ran:
    host.stage_script(name, text)
    return host.run_script(text, execution=name, timeout=timeout, keep=keep)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def test_a_name_is_one_runs_alone() -> None:
    assert NAME.startswith("web-base-3-patch-it-")
    assert KEY._replace(attempt=2).execution != NAME != KEY._replace(run_instant="").execution
    assert len(KEY._replace(step="s" * 1000).execution) < 150
    assert scripts.unit_name(NAME) == f"opsctl-{NAME}.scope"


@pytest.mark.parametrize("rc", [0, 3, 194])
def test_a_run_gives_its_exit_code_and_both_outputs(host: LocalHost, directory: Path, rc: int) -> None:
    assert run(host, f"echo out; echo err >&2; exit {rc}\n") == Ran(rc, b"out\n", b"err\n")
    assert host.ended_script(NAME) == Ran(rc, b"out\n", b"err\n")
    assert names(directory / NAME) == ["result", "stderr", "stdout"]
    assert (directory / NAME).stat().st_mode & 0o777 == 0o700


def test_it_is_never_run_twice(host: LocalHost, tmp_path: Path) -> None:
    counted = tmp_path / "count"
    for _ in range(3):
        run(host, f"echo run >>{counted}\n")
    assert counted.read_text() == "run\n"


def test_a_script_is_given_a_fixed_environment_and_no_input(host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "of the agent")
    ran = run(host, f"#!{sys.executable}\nimport os, sys\nprint(sorted(os.environ), [sys.stdin.read()])\n")
    assert ran.stdout == b"['HOME', 'LANG', 'OPSCTL_ROOT', 'PATH'] ['']\n"
    host.stage_script("descriptors", "")
    listed = run(host, "ls /proc/self/fd\n", name="descriptors").stdout
    assert listed == b"0\n1\n2\n3\n"  # the last is the directory that ls reads


@pytest.mark.fault
def test_a_hundred_megabytes_are_bounded_and_counted(host: LocalHost, directory: Path) -> None:
    ran = run(host, "echo first; head -c 100000000 /dev/zero; echo last\n", keep=1000)
    assert ran.stdout.startswith(b"first\n")
    assert ran.stdout.endswith(b"last\n")
    assert ran.spilled + len(ran.stdout) >= 100_000_011
    assert (directory / NAME / "stdout").stat().st_size < 600_000


@pytest.mark.fault
def test_what_ignores_the_end_of_its_time_is_killed(host: LocalHost) -> None:
    start = time.monotonic()
    ran = run(host, "trap '' TERM\nwhile :; do sleep 0.05; done\n", timeout=0.3)
    assert (ran.rc, ran.timed_out) == (-9, True)
    assert time.monotonic() - start > 5


@pytest.mark.fault
def test_what_forked_away_ends_with_it_at_the_timeout(host: LocalHost, tmp_path: Path) -> None:
    away = tmp_path / "away"
    text = f"setsid sh -c 'trap \"\" TERM; echo $$ >{away}; exec setsid sleep 600' &\nsleep 600\n"
    ran = run(host, text, timeout=1.0)
    assert ran.timed_out
    assert ended(int(away.read_text()))


def test_what_it_left_running_outlives_a_run_that_ended_in_time(host: LocalHost) -> None:
    ran = run(host, "setsid sleep 600 & echo $!\n")
    assert (ran.rc, ran.timed_out) == (0, False)
    os.kill(int(ran.stdout), signal.SIGKILL)


@pytest.mark.fault
def test_an_agent_that_comes_back_waits_for_the_end(host: LocalHost, tmp_path: Path, directory: Path) -> None:
    go = tmp_path / "go"
    text = f"echo begun; while [ ! -e {go} ]; do sleep 0.02; done; echo over; exit 4\n"
    first = subprocess.Popen(
        [sys.executable, "-c", _AGENT, str(tmp_path / "root"), str(directory), NAME, text], cwd=program.ROOT
    )
    until((directory / NAME / "stdout").exists)
    first.kill()
    first.wait()
    found: list[Ran | None] = []
    waiting = threading.Thread(target=lambda: found.append(host.ended_script(NAME)))
    waiting.start()
    until(lambda: host.waiting)
    assert found == []
    go.touch()
    waiting.join(PATIENCE)
    assert found == [Ran(4, b"begun\nover\n")]
    assert not host.waiting


_AGENT = """
import sys
from agent.host import LocalHost
root, directory, name, text = sys.argv[1:]
host = LocalHost(root, executions=directory)
host.stage_script(name, text)
host.run_script(text, execution=name)
"""


@pytest.mark.fault
def test_a_supervisor_that_was_killed_leaves_no_result(host: LocalHost, directory: Path) -> None:
    with pytest.raises(EndNotSeen):
        run(host, "kill -9 $PPID; exit 0\n")
    assert host.ended_script(NAME) is None
    assert host.ended_script("no-such-run") is None


def test_a_run_whose_directory_is_taken_away_ends_all_the_same(host: LocalHost, directory: Path) -> None:
    assert run(host, f"rm -r {directory / NAME}; exit 9\n").rc == 9
    assert host.ended_script(NAME) is None


def test_an_interpreter_that_is_not_there_is_named(host: LocalHost) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        run(host, "#!/no/such/interpreter\n")
    assert caught.value.filename == "/no/such/interpreter"


def test_a_scope_that_cannot_be_made_is_done_without(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "systemd-run").write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")
    (fake / "systemd-run").chmod(0o755)
    monkeypatch.setattr(scripts, "can_scope", lambda: True)
    monkeypatch.setenv("PATH", str(fake), prepend=os.pathsep)
    whole = LocalHost(executions=str(directory))
    whole.stage_script(NAME, "exit 1\n")
    assert whole.run_script("", execution=NAME, env={"PATH": f"{fake}:/usr/bin:/bin"}).rc == 1


def test_memory_that_no_control_group_bounds_is_bounded_for_each_process(
    host: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_memory", lambda: 64 * 1024 * 1024)
    ran = run(host, f"exec {sys.executable} -S -c 'bytearray(200_000_000)'\n")
    assert (ran.rc, b"MemoryError" in ran.stderr) == (1, True)


def test_when_memory_runs_out_the_script_goes_before_its_supervisor(host: LocalHost) -> None:
    if subprocess.run(
        ["sh", "-c", "echo -900 >/proc/self/oom_score_adj"], stderr=subprocess.DEVNULL, check=False
    ).returncode:
        pytest.skip("this kernel spares no process of this user")
    own = Path("/proc/self/oom_score_adj").read_text()
    ran = run(host, "cat /proc/$PPID/oom_score_adj /proc/self/oom_score_adj\n")
    assert ran.stdout.decode() == f"-900\n{own}"


@pytest.mark.parametrize("python", ["this", "oldest"])
def test_the_archive_brings_its_supervisor_along(tmp_path: Path, directory: Path, python: str) -> None:
    code = _AGENT.replace("import sys\n", f"import sys\nsys.path.insert(0, {str(program.archive())!r})\n", 1)
    interpreter = program.THIS if python == "this" else oldest_python()
    (tmp_path / "root").mkdir()
    arguments = [str(tmp_path / "root"), str(directory), NAME, "exit 5\n"]
    subprocess.run([interpreter, "-I", "-c", code, *arguments], check=True, timeout=60)
    assert (directory / NAME / "result").read_text().startswith('{"rc": 5,')


# Disks


def test_old_runs_go_and_those_that_go_on_stay(
    host: LocalHost, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "KEPT", 3)
    go = tmp_path / "go"
    slow = threading.Thread(target=lambda: run(host, f"while [ ! -e {go} ]; do sleep 0.02; done\n", name="slow"))
    slow.start()
    until((directory / "slow" / "script").exists)
    until((directory / "slow" / "pid").exists)
    os.utime(directory / "slow", (0, 0))
    other = LocalHost(str(tmp_path / "root"), executions=str(directory))
    for number in range(4):
        run(other, "true\n", name=f"run-{number}")
        os.utime(directory / f"run-{number}", (time.time() - 100 + number,) * 2)
    assert names(directory) == ["run-1", "run-2", "run-3", "slow"]
    os.utime(directory / "run-3", (time.time() - runs.KEPT_SECONDS - 9,) * 2)
    monkeypatch.setattr(runs, "KEPT_BYTES", 300)
    run(other, "echo a word\n", name="last")
    assert names(directory) == ["last", "run-2", "slow"]
    go.touch()
    slow.join(PATIENCE)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A file system of a megabyte."""
    where = tmp_path / "small"
    where.mkdir()
    options = "size=1m,nr_inodes=40"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)], check=False).returncode:
        pytest.skip("mounting needs root")
    return where


@pytest.fixture(autouse=True)
def _unmounted(tmp_path: Path) -> object:
    yield None
    if os.path.ismount(tmp_path / "small"):
        subprocess.run(["umount", "--lazy", str(tmp_path / "small")], check=True)
    return None


@pytest.mark.fault
def test_a_disk_that_fills_under_a_run_costs_output_and_not_the_result(small: Path, tmp_path: Path) -> None:
    host = LocalHost(str(tmp_path), executions=str(small / "executions"))
    text = f"head -c 2000000 /dev/zero >{small}/hog; head -c 100000 /dev/zero; echo said; exit 6\n"
    ran = run(host, text)
    assert (ran.rc, ran.spilled > 80_000) == (6, True)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        host.stage_script("next", "x" * 10_000)
    (small / "hog").unlink()
    assert run(host, "exit 7\n", name="next").rc == 7


@pytest.mark.fault
def test_without_inodes_nothing_is_begun(small: Path, tmp_path: Path) -> None:
    host = LocalHost(str(tmp_path), executions=str(small / "executions"))
    host.stage_script("first", "exit 1\n")
    for number in range(100):
        try:
            (small / str(number)).touch()
        except OSError:
            break
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        host.stage_script(NAME, "exit 0\n")
    (small / "0").unlink()
    (small / "1").unlink()
    (small / "2").unlink()
    assert run(host, "exit 5\n").rc == 5
