"""This machine: what a machine in memory cannot show."""

from __future__ import annotations

import os
import socket
import stat
import time
from pathlib import Path

import pytest

from agent.host import LocalHost, UnsafePath, replace
from agent.host import script as scripts
from agent.host import whole as whole_sync
from agent.host.port import Bounded, staged_name


@pytest.fixture
def host(tmp_path: Path) -> LocalHost:
    (tmp_path / "root").mkdir()
    (tmp_path / "scripts").mkdir()
    return LocalHost(str(tmp_path / "root"), scripts=str(tmp_path / "scripts"))


def test_the_whole_machine_is_no_sandbox(tmp_path: Path) -> None:
    whole = LocalHost()
    assert not whole.sandbox
    replace(whole, str(tmp_path / "file"), b"x", 0o644)
    assert (tmp_path / "file").read_bytes() == b"x"
    assert whole.lstat("/../../../etc/passwd") is not None or os.name != "posix"


def test_what_is_no_file_is_never_opened(host: LocalHost, tmp_path: Path) -> None:
    root = tmp_path / "root"
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(root / "socket"))
    for name in ("fifo", "socket"):
        seen = host.snapshot(f"/{name}")
        assert seen is not None
        assert seen.entry.kind == name
        with pytest.raises(OSError, match="not a regular file"):
            host.read(f"/{name}")


def test_a_write_leaves_nothing_beside_it(host: LocalHost, tmp_path: Path) -> None:
    replace(host, "/file", b"x", 0o644)
    host.symlink("/x", "/link")
    (tmp_path / "root" / "directory").mkdir()
    with pytest.raises(IsADirectoryError):
        host.symlink("/x", "/directory")
    assert names(tmp_path / "root") == ["directory", "file", "link"]


def test_what_a_power_loss_left_is_overwritten(host: LocalHost, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept")
    (tmp_path / "root" / staged_name("file")).symlink_to(outside)
    replace(host, "/file", b"new", 0o600)
    assert outside.read_text() == "kept"
    assert stat.S_IMODE((tmp_path / "root" / "file").stat().st_mode) == 0o600


def test_a_long_name_still_has_room_beside_it(host: LocalHost) -> None:
    name = "/" + "n" * 255
    replace(host, name, b"x", 0o644)
    assert host.read(name) == b"x"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_strangers_link_is_not_followed(host: LocalHost, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir()
    (root / "home").symlink_to("etc")
    os.chown(root / "home", 1000, 1000, follow_symlinks=False)
    with pytest.raises(UnsafePath, match="made by user id 1000"):
        replace(host, "/home/passwd", b"", 0o644)
    assert names(root / "etc") == []


def test_programs_inherit_nothing(host: LocalHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    ran = host.run(["/usr/bin/env"], env={"MORE": "1"})
    known = {line.split("=")[0] for line in ran.stdout.decode().splitlines()}
    assert known == {"PATH", "LANG", "HOME", "MORE", "OPSCTL_ROOT"}
    assert f"OPSCTL_ROOT={tmp_path / 'root'}".encode() in ran.stdout
    assert host.run(["/bin/cat"]).stdout == b""


def test_a_sandbox_starts_programs_in_itself(host: LocalHost, tmp_path: Path) -> None:
    host.mkdir("/srv", 0o755)
    assert host.run_script("pwd -P\n").stdout.decode().strip() == str(tmp_path / "root")
    assert host.run_script("pwd -P\n", cwd="/srv").stdout.decode().strip() == str(tmp_path / "root" / "srv")


def test_the_whole_group_ends_at_the_timeout(host: LocalHost, tmp_path: Path) -> None:
    ran = host.run_script("sleep 600 & echo $!; wait\n", timeout=0.3)
    assert ran.timed_out
    assert ran.rc == -15
    child = int(ran.stdout)
    deadline = time.monotonic() + 5
    while running(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not running(child)


def test_a_group_that_will_not_end_is_killed(host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.host import process

    monkeypatch.setattr(process, "GRACE", 0.2)
    ran = host.run_script("trap '' TERM\nwhile :; do sleep 0.05; done\n", timeout=0.3)
    assert (ran.timed_out, ran.rc) == (True, -9)


def test_a_background_process_does_not_hold_the_result(host: LocalHost) -> None:
    start = time.monotonic()
    ran = host.run_script("sleep 20 & echo $!\n", timeout=15)
    assert (ran.rc, ran.timed_out) == (0, False)
    assert time.monotonic() - start < 10
    os.kill(int(ran.stdout), 9)


def test_a_process_without_outputs_is_awaited(host: LocalHost) -> None:
    assert host.run_script("exec >&- 2>&-\nsleep 0.1\nexit 4\n").rc == 4


def test_the_first_line_names_the_interpreter(host: LocalHost) -> None:
    assert host.run_script("#!/usr/bin/env python3\nprint(6 * 7)\n").stdout == b"42\n"
    assert scripts.interpreter("#!/bin/bash -e -x\n") == ["/bin/bash", "-e -x"]
    assert scripts.interpreter("echo #!/bin/bash\n") == ["/bin/sh"]
    assert scripts.interpreter("#!\n") == ["/bin/sh"]


def test_a_script_is_private_and_gone_afterwards(host: LocalHost, tmp_path: Path) -> None:
    ran = host.run_script('stat -c %a "$0" "${0%/*}"\ntr "\\0" " " < /proc/$$/cmdline\n')
    assert ran.stdout.startswith(b"700\n700\n")
    assert b"stat" not in ran.stdout.splitlines()[2]
    assert names(tmp_path / "scripts") == []


def test_what_a_run_that_was_cut_off_left_is_removed(host: LocalHost, tmp_path: Path) -> None:
    left = tmp_path / "scripts/opsctl-script-left"
    left.mkdir()
    (left / "script").write_text("exit 1\n")
    assert host.run_script("true\n").rc == 0
    assert names(tmp_path / "scripts") == []


def test_output_kept_is_its_beginning_and_its_end() -> None:
    bounded = Bounded(6)
    for piece in (b"ab", b"cdef", b"g", b"hij"):
        bounded.add(piece)
    assert bounded.value() == b"abc\n... 4 bytes left out ...\nhij"
    assert bounded.spilled == 4


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def running(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("release", "unwritten", "whole"), [("6.1.0", 0, 1), ("5.4.0", 0, 0), ("6.1.0", 10**9, 0)])
def test_a_file_system_is_synced_whole_where_that_tells_errors_and_waits_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, unwritten: int, whole: int
) -> None:
    system = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*system[:2], release, *system[3:])))
    meminfo = b"Dirty: %d kB" % unwritten
    monkeypatch.setattr(whole_sync, "_UNWRITTEN", type("Found", (), {"findall": lambda self, _: [meminfo[7:-3]]})())
    wholes: list[int] = []
    singles: list[int] = []
    monkeypatch.setattr(whole_sync, "sync", lambda descriptors: wholes.extend(descriptors))
    monkeypatch.setattr(os, "fsync", singles.append)
    host = LocalHost(str(tmp_path))
    (tmp_path / "other").mkdir()
    paths = [f"/{name}" for name in "abcdefgh"] + ["/other/a"]
    for path in paths:
        host.stage(path, b"", 0o600, sync=False)
    host.sync_many(paths, [])
    assert (len(wholes), len(singles)) == (whole, 0 if whole else len(paths))


def test_a_whole_sync_is_the_kernels(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    whole_sync.sync([directory])
    os.close(directory)
    with pytest.raises(OSError, match="Bad file descriptor"):
        whole_sync.sync([directory])
