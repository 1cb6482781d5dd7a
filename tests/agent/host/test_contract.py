"""What every host does: run on this machine beneath a directory, and on the machine in memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.contract.canonical import digest
from agent.host import Host, LocalHost, Ran, UnsafePath, replace
from agent.host.memory import MemoryHost
from agent.host.port import Packed


def shell(host: MemoryHost, text: str) -> Ran:
    """The two scripts of this suite, as a shell would run them."""
    if text == "echo out; echo err >&2; exit 3\n":
        return Ran(3, b"out\n", b"err\n")
    return Ran(0, b"0123456789" * 10)


@pytest.fixture(params=["local", "memory"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    if request.param == "local":
        return LocalHost(str(tmp_path), scripts=None)
    return MemoryHost(sandbox=True, programs={"/bin/true": lambda host, argv: Ran(0)}, shell=shell)


def test_nothing_is_there_at_first(host: Host) -> None:
    assert host.lstat("/motd") is None
    assert host.snapshot("/motd") is None
    assert host.lstat("/etc/motd") is None


def test_a_written_file_is_seen_whole(host: Host) -> None:
    replace(host, "/motd", b"hello\n", 0o640)
    seen = host.snapshot("/motd")
    assert seen is not None
    assert (seen.entry.kind, seen.entry.mode, seen.entry.size, seen.entry.links) == ("file", 0o640, 6, 1)
    assert (seen.digest, seen.data) == (digest(b"hello\n"), b"hello\n")
    assert host.read("/motd") == b"hello\n"
    assert host.read("/motd", 2) == b"he"


def test_a_large_file_is_hashed_and_not_kept(host: Host) -> None:
    replace(host, "/big", b"x" * 3_000_000, 0o644)
    seen = host.snapshot("/big", keep=1000)
    assert seen is not None
    assert (seen.digest, seen.data, seen.entry.size) == (digest(b"x" * 3_000_000), None, 3_000_000)


def test_staged_bytes_are_not_there_until_published(host: Host) -> None:
    host.stage("/motd", b"one", 0o644)
    assert host.lstat("/motd") is None
    host.stage("/motd", b"two", 0o600)
    host.publish("/motd")
    assert host.read("/motd") == b"two"
    with pytest.raises(FileNotFoundError):
        host.publish("/motd")


def test_discarded_bytes_are_gone(host: Host) -> None:
    host.stage("/motd", b"one", 0o644)
    host.discard("/motd")
    host.discard("/motd")
    with pytest.raises(FileNotFoundError):
        host.publish("/motd")


def test_a_value_is_put_where_a_file_is_and_nowhere_else(host: Host) -> None:
    replace(host, "/value", b"a long one\n", 0o604)
    host.put_value("/value", b"1\n")
    assert host.read("/value") == b"1\n"
    seen = host.lstat("/value")
    assert seen is not None
    assert seen.mode == 0o604
    with pytest.raises(FileNotFoundError):
        host.put_value("/none", b"1\n")
    host.symlink("value", "/link")
    with pytest.raises(OSError, match="not a regular file"):
        host.put_value("/link", b"2\n")
    assert host.read("/value") == b"1\n"


def test_directories(host: Host) -> None:
    host.mkdir("/srv", 0o750)
    entry = host.lstat("/srv")
    assert entry is not None
    assert (entry.kind, entry.mode) == ("directory", 0o750)
    with pytest.raises(FileExistsError):
        host.mkdir("/srv", 0o755)
    with pytest.raises(FileNotFoundError):
        host.mkdir("/none/here", 0o755)
    replace(host, "/srv/b", b"", 0o644)
    replace(host, "/srv/a", b"", 0o644)
    assert host.listdir("/srv") == ["a", "b"]
    with pytest.raises(OSError, match="not empty"):
        host.rmdir("/srv")
    with pytest.raises(IsADirectoryError):
        host.unlink("/srv")
    host.unlink("/srv/a")
    host.unlink("/srv/b")
    host.rmdir("/srv")
    assert host.lstat("/srv") is None


def test_links_are_seen_and_replaced_but_never_followed(host: Host) -> None:
    replace(host, "/target", b"kept", 0o644)
    host.symlink("/target", "/link")
    seen = host.snapshot("/link")
    assert seen is not None
    assert (seen.entry.kind, seen.entry.target, seen.data) == ("link", "/target", None)
    with pytest.raises(OSError, match="not a regular file"):
        host.read("/link")
    with pytest.raises(OSError, match="not supported"):
        host.chmod("/link", 0o600)
    host.symlink("/elsewhere", "/link")
    entry = host.lstat("/link")
    assert entry is not None
    assert entry.target == "/elsewhere"
    replace(host, "/link", b"now a file", 0o644)
    assert host.read("/target") == b"kept"
    assert host.read("/link") == b"now a file"


def test_a_link_does_not_replace_a_directory(host: Host) -> None:
    host.mkdir("/srv", 0o755)
    with pytest.raises(IsADirectoryError):
        host.symlink("/x", "/srv")
    with pytest.raises(IsADirectoryError):
        replace(host, "/srv", b"", 0o644)


def test_directories_may_be_links_inside_the_root(host: Host) -> None:
    host.mkdir("/run", 0o755)
    host.mkdir("/var", 0o755)
    host.symlink("/run", "/var/run")
    host.symlink("../run", "/var/again")
    replace(host, "/var/run/pid", b"1", 0o644)
    assert host.read("/run/pid") == b"1"
    assert host.read("/var/again/pid") == b"1"


def test_a_link_out_of_the_root_is_refused(host: Host) -> None:
    host.mkdir("/etc", 0o755)
    host.symlink("../../../../../../../../../../../tmp", "/etc/out")
    with pytest.raises(UnsafePath, match="out of the root"):
        replace(host, "/etc/out/evil", b"", 0o644)
    with pytest.raises(UnsafePath):
        host.lstat("/etc/out/evil")
    with pytest.raises(UnsafePath):
        host.lstat("/../etc/passwd")


def test_an_absolute_link_stays_beneath_the_root(host: Host, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    host.symlink(str(outside), "/out")
    with pytest.raises(FileNotFoundError):
        replace(host, "/out/evil", b"", 0o644)
    assert list(outside.iterdir()) == []


def test_a_circle_of_links_ends(host: Host) -> None:
    host.symlink("/b", "/a")
    host.symlink("/a", "/b")
    with pytest.raises(OSError, match="symbolic links"):
        host.lstat("/a/x")


def test_a_file_among_the_directories_is_named(host: Host) -> None:
    replace(host, "/etc", b"", 0o644)
    with pytest.raises(NotADirectoryError, match="etc in it is not a directory") as caught:
        host.lstat("/etc/motd")
    assert caught.value.filename == "/etc/motd"


def test_modes_change_in_place_and_a_new_owner_takes_setuid_away(host: Host) -> None:
    replace(host, "/motd", b"", 0o644)
    host.chmod("/motd", 0o4711)
    entry = host.lstat("/motd")
    assert entry is not None
    assert entry.mode == 0o4711
    host.chown("/motd", -1, -1)
    entry = host.lstat("/motd")
    assert entry is not None
    assert entry.mode == 0o711


def test_owners_are_set_and_kept_apart(host: Host) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    replace(host, "/motd", b"", 0o644, 1234, 4321)
    host.chown("/motd", -1, 99)
    entry = host.lstat("/motd")
    assert entry is not None
    assert (entry.uid, entry.gid) == (1234, 99)


@pytest.mark.parametrize("count", [1, 20])
def test_much_is_made_durable_at_once(host: Host, count: int) -> None:
    host.mkdir("/srv", 0o755)
    paths = [f"/srv/many-{at}" for at in range(count)]
    for path in paths:
        host.stage(path, path.encode(), 0o640, sync=False)
    host.sync_many(paths, [])
    for path in paths:
        host.publish(path)
    host.sync_many([], ["/srv"])
    assert [host.read(path) for path in paths] == [path.encode() for path in paths]
    with pytest.raises(OSError, match="srv/gone"):
        host.sync_many([], ["/srv/gone"] * count)


def test_names_of_accounts(host: Host) -> None:
    assert (host.user_id("root"), host.user_name(0)) == (0, "root")
    assert (host.group_id("root"), host.group_name(0)) == (0, "root")
    assert (host.user_id("123456"), host.user_name(123456)) == (123456, "123456")
    assert host.user_id("no-such-user") is None
    assert host.group_id("no-such-group") is None


def test_a_program_runs_to_its_end(host: Host) -> None:
    assert host.run(["/bin/true"]) == Ran(0)
    with pytest.raises(FileNotFoundError):
        host.run(["/no/such/program"])


def test_a_script_gives_its_exit_code_and_both_outputs(host: Host) -> None:
    assert host.run_script("echo out; echo err >&2; exit 3\n") == Ran(3, b"out\n", b"err\n")


def test_output_beyond_the_bound_is_counted(host: Host) -> None:
    ran = host.run_script("for i in 1 2 3 4 5 6 7 8 9 0; do printf 0123456789; done\n", keep=20)
    assert ran == Ran(0, b"0123456789\n... 80 bytes left out ...\n0123456789", b"", 80)


def test_a_missing_working_directory_is_an_error(host: Host) -> None:
    with pytest.raises(FileNotFoundError):
        host.run_script("true\n", cwd="/no/such/directory")


def test_time_moves_on(host: Host) -> None:
    before, start = host.now(), host.monotonic()
    host.sleep(0.01)
    assert host.now() > before
    assert host.monotonic() > start


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_a_folder_of_programs_has_one_place(kind: str, tmp_path: Path) -> None:
    host: Host = LocalHost(str(tmp_path), str(tmp_path / "scripts")) if kind == "local" else MemoryHost()
    files = {"bin/it": Packed(b"#!/bin/sh\n", executable=True), "beside": Packed(b"x"), "link": Packed(target="beside")}
    place = host.unpack("thing-1", files)
    assert host.unpack("thing-1", files) == place
    assert host.unpack("thing-2", {**files, "beside": Packed(b"y")}) != place


def test_without_a_place_for_programs_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LocalHost(str(tmp_path)).unpack("thing-1", {})


def test_a_folder_of_programs_is_whole_on_disk(tmp_path: Path) -> None:
    host = LocalHost(str(tmp_path), str(tmp_path / "scripts"))
    files = {"bin/it": Packed(b"#!/bin/sh\n", executable=True), "beside": Packed(b"x"), "link": Packed(target="beside")}
    place = Path(host.unpack("thing-1", files))
    assert os.access(place / "bin" / "it", os.X_OK)
    assert ((place / "link").read_bytes(), (place / "beside").stat().st_mode & 0o777) == (b"x", 0o600)
    for spoil in ((place / "beside").unlink, lambda: (place / "beside").write_bytes(b"other"), (place / "link").unlink):
        spoil()
        assert host.unpack("thing-1", files) == str(place)
        assert (place / "link").read_bytes() == b"x"
    os.utime(place, (0, 0))
    host.unpack("thing-2", files)
    assert not place.exists(), "what nobody asked for in a month is gone"
