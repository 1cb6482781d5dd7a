"""Ways to paths, on a real directory tree with a real inotify."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.host.inotify import Inotify
from agent.watch.routes import Routes


class Ground:
    """A tree, and the paths in it that were touched since the last question."""

    def __init__(self, root: Path, at_most: int = 100) -> None:
        self.root = root
        self.kernel = Inotify()
        self.routes = Routes(self.kernel, str(root), at_most)

    def touched(self) -> set[str]:
        found: set[str] = set()
        while events := list(self.kernel.read()):
            for event in events:
                found |= self.routes.touched(event)
        return found


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    yield made
    made.kernel.close()


def test_every_way_to_change_a_file_touches_it_and_no_other(ground: Ground) -> None:
    etc = ground.root / "etc"
    etc.mkdir()
    file = etc / "motd"
    ground.routes.over(["/etc/motd", "/etc/other"])

    def changed() -> bool:
        return ground.touched() == {"/etc/motd"}

    file.write_text("made\n")
    assert changed()
    with file.open("a") as appended:
        appended.write("more\n")
        appended.flush()
        assert changed()
    file.chmod(0o600)
    assert changed()
    (etc / "new").write_text("renamed over it\n")
    assert ground.touched() == set()
    (etc / "new").rename(file)
    assert changed()
    file.unlink()
    assert changed()
    file.symlink_to("other")
    assert changed()
    (etc / "third").write_text("nobody's\n")
    assert ground.touched() == set()
    assert ground.routes.watches == 2


def test_reading_touches_nothing(ground: Ground) -> None:
    (ground.root / "motd").write_text("hello\n")
    ground.routes.over(["/motd"])
    assert (ground.root / "motd").read_text() == "hello\n"
    assert list(ground.root.iterdir())
    assert ground.touched() == set()


def test_a_directory_that_is_missing_or_goes_and_returns_is_watched_again(ground: Ground) -> None:
    ground.routes.over(["/srv/web/site/index.html"])
    site = ground.root / "srv/web/site"
    assert ground.routes.watches == 1
    for _ in range(2):
        site.mkdir(parents=True)
        assert ground.touched() == {"/srv/web/site/index.html"}
        assert ground.routes.watches == 4
        (site / "index.html").write_text("hello\n")
        assert ground.touched() == {"/srv/web/site/index.html"}
        shutil.rmtree(ground.root / "srv")
        assert ground.touched() == {"/srv/web/site/index.html"}
        assert ground.routes.watches == 1


def test_a_directory_moved_away_tells_no_more(ground: Ground) -> None:
    (ground.root / "a/b").mkdir(parents=True)
    ground.routes.over(["/a/b/c"])
    (ground.root / "a").rename(ground.root / "elsewhere")
    assert ground.touched() == {"/a/b/c"}
    (ground.root / "elsewhere/b/c").write_text("not ours\n")
    assert ground.touched() == set()


def test_a_link_on_the_way_is_watched_with_what_it_leads_to(ground: Ground) -> None:
    for name in ("releases/1", "releases/2"):
        (ground.root / name).mkdir(parents=True)
    current = ground.root / "current"
    current.symlink_to("/releases/1")
    ground.routes.over(["/current/app.conf"])
    (ground.root / "releases/1/app.conf").write_text("one\n")
    assert ground.touched() == {"/current/app.conf"}
    (ground.root / "next").symlink_to("releases/2")
    (ground.root / "next").rename(current)
    assert ground.touched() == {"/current/app.conf"}
    (ground.root / "releases/1/app.conf").write_text("not ours\n")
    assert ground.touched() == set()
    (ground.root / "releases/2/app.conf").write_text("two\n")
    assert ground.touched() == {"/current/app.conf"}


@pytest.mark.parametrize("target", ["loop", "../../../../etc", "missing"])
def test_links_that_lead_nowhere_or_out_stay_within_the_root(ground: Ground, target: str) -> None:
    (ground.root / "etc").mkdir()
    (ground.root / "loop").symlink_to(target)
    ground.routes.over(["/loop/x"])
    assert ground.routes.limited == ""
    (ground.root / "etc/x").write_text("x")
    assert ground.touched() == ({"/loop/x"} if "etc" in target else set())


def test_there_are_no_more_watches_than_allowed_and_what_is_left_out_is_known(tmp_path: Path) -> None:
    ground = Ground(tmp_path, at_most=4)
    paths = [f"/{name}/file" for name in "abcdef"]
    for name in "abcdef":
        (tmp_path / name).mkdir()
    ground.routes.over(paths)
    assert (ground.routes.watches, ground.routes.unwatched) == (4, 3)
    assert "more than 4 directories" in ground.routes.limited
    (tmp_path / "a/file").write_text("seen\n")
    (tmp_path / "f/file").write_text("not seen\n")
    assert ground.touched() == {"/a/file"}
    ground.routes.over(["/f/file"])
    assert (ground.routes.limited, ground.routes.unwatched, ground.routes.watches) == ("", 0, 2)
    (tmp_path / "f/file").write_text("seen\n")
    assert ground.touched() == {"/f/file"}
    ground.kernel.close()


def test_the_kernels_own_bound_is_met_in_the_same_way(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    (ground.root / "a").mkdir()
    real = Inotify.watch

    def full(kernel: Inotify, directory: str, mask: int) -> int:
        if directory.endswith("/a"):
            raise OSError(errno.ENOSPC, "No space left on device", directory)
        return real(kernel, directory, mask)

    monkeypatch.setattr(Inotify, "watch", full)
    ground.routes.over(["/a/file", "/file"])
    assert ground.routes.limited.endswith("/a: No space left on device")
    assert (ground.routes.unwatched, ground.routes.watches) == (1, 1)
    monkeypatch.undo()
    assert ground.routes.refresh() == {"/a/file"}
    assert ground.routes.limited == ""


def test_nothing_is_left_of_paths_that_are_watched_no_more(ground: Ground) -> None:
    (ground.root / "a/b").mkdir(parents=True)
    ground.routes.over(["/a/b/c", "/a/d"])
    ground.routes.over([])
    assert ground.routes.watches == 0
    (ground.root / "a/d").write_text("x")
    assert ground.touched() == set()
    assert [value for name, value in vars(ground.routes).items() if isinstance(value, (dict, set)) and value] == []
