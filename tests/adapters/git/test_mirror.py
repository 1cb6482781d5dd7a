"""What only a mirror of a real repository can meet: restarts, defaults, hostile surroundings, damage, size."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.adapters.git import Mirror, Remote, mirror, objects
from reconciler.adapters.git.command import Git
from reconciler.core.problem import Refused, Unavailable
from tests.adapters.git.remotes import RealRemote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.adapters.git.remotes import Key


@pytest.fixture
def mirrored(real: RealRemote, tmp_path: Path) -> Iterator[Callable[[str | None], Mirror]]:
    """Opens the mirror in `tmp_path/state/mirror`, as a process that starts does."""
    opened: list[Mirror] = []

    def open_mirror(branch: str | None = None) -> Mirror:
        while opened:
            opened.pop().close()
        opened.append(Mirror(tmp_path / "state" / "mirror", Remote.parse(str(real.path)), branch))
        return opened[-1]

    yield open_mirror
    while opened:
        opened.pop().close()


def test_many_may_fetch_at_once(real: RealRemote, mirrored: Callable[..., Mirror]) -> None:
    real.commit("main", {"a": b"0"})
    mirror = mirrored()
    mirror.fetch()
    with ThreadPoolExecutor(4) as threads:
        for number in range(5):
            tip = real.commit("main", {"a": b"%d" % (number + 1)})
            assert {asked.result() for asked in [threads.submit(mirror.fetch) for _ in range(4)]} == {tip}


class TestDefaultBranch:
    def test_the_remotes_head_is_tracked(self, real: RealRemote, mirrored: Callable[..., Mirror]) -> None:
        tip = real.commit("main", {"a": b"1"})
        real.commit("other", {"a": b"2"})
        assert mirrored().fetch() == tip

    def test_a_head_that_dangles_leaves_the_only_branch(
        self, real: RealRemote, mirrored: Callable[..., Mirror]
    ) -> None:
        tip = real.commit("trunk", {"a": b"1"})
        real.commit("compliance", {"summary.yaml": b"{}"})
        assert mirrored().fetch() == tip

    def test_several_branches_and_no_head_are_named(self, real: RealRemote, mirrored: Callable[..., Mirror]) -> None:
        real.commit("trunk", {"a": b"1"})
        real.commit("devel", {"a": b"1"})
        with pytest.raises(Refused, match="devel, trunk"):
            mirrored().fetch()

    def test_a_misspelt_branch(self, real: RealRemote, mirrored: Callable[..., Mirror]) -> None:
        real.commit("production", {"a": b"1"})
        with pytest.raises(Refused, match="did you mean 'production'"):
            mirrored("prodution").fetch()

    def test_the_remote_renames_its_branch(self, real: RealRemote, mirrored: Callable[..., Mirror]) -> None:
        real.commit("main", {"a": b"1"})
        opened = mirrored()
        opened.fetch()
        tip = real.commit("trunk", {"a": b"2"}, base=real.tip("main"))
        real.point("main", None)
        real.git("symbolic-ref", "HEAD", "refs/heads/trunk")
        assert opened.fetch() == tip
        with pytest.raises(Refused):
            opened.resolve("main")


class TestRestarts:
    def test_what_was_accepted_outlives_the_process(self, real: RealRemote, mirrored: Callable[..., Mirror]) -> None:
        tip = real.commit("main", {"a": b"1"})
        mirrored().fetch()
        real.set_down(True)
        again = mirrored()
        assert again.head() == tip
        assert again.read(tip, ["a"]) == {"a": b"1"}

    def test_locks_of_a_killed_process_do_not_stand_in_the_way(
        self, real: RealRemote, mirrored: Callable[..., Mirror], tmp_path: Path
    ) -> None:
        real.commit("main", {"a": b"1"})
        mirrored().fetch()
        directory = tmp_path / "state" / "mirror"
        leftovers = ["HEAD.lock", "packed-refs.lock", "refs/heads/main.lock", "objects/pack/tmp_pack_x1"]
        for name in leftovers:
            (directory / name).write_bytes(b"")
        tip = real.commit("main", {"a": b"2"})
        assert mirrored().fetch() == tip
        assert not any((directory / name).exists() for name in leftovers)

    def test_a_reader_that_died_is_started_again(self, real: RealRemote, mirrored: Callable[..., Mirror]) -> None:
        tip = real.commit("main", {"a": b"1", "b": b"2"})
        opened = mirrored()
        opened.fetch()
        opened.read(tip, ["a"])
        for process in children("cat-file"):
            os.kill(process, signal.SIGKILL)
        assert opened.read(tip, ["b"]) == {"b": b"2"}

    def test_closing_ends_every_process(self, real: RealRemote, mirrored: Callable[..., Mirror]) -> None:
        tip = real.commit("main", {"a": b"1"})
        before = children("cat-file")
        opened = mirrored()
        opened.fetch()
        opened.read(tip, ["a"])
        assert children("cat-file") != before
        opened.close()
        assert children("cat-file") == before

    def test_packs_stay_few(self, real: RealRemote, mirrored: Callable[..., Mirror], tmp_path: Path) -> None:
        opened = mirrored()
        for number in range(30):
            real.commit("main", {"a": b"%d" % number})
            opened.fetch()
        directory = tmp_path / "state" / "mirror"
        assert len(list(directory.glob("objects/pack/*.pack"))) <= 25
        assert not list(directory.glob("objects/[0-9a-f][0-9a-f]/*"))
        assert len(list(opened.first_parents(str(opened.head()), 100))) == 30


class TestCosts:
    def test_a_sync_reads_what_changed_and_no_more(
        self, real: RealRemote, mirrored: Callable[..., Mirror], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = real.commit("main", {f"nodes/{number}": b"%d" % number for number in range(50)})
        opened = mirrored()
        opened.fetch()
        opened.read(old, ["nodes/"])
        new = real.commit("main", {"nodes/7": b"changed"})
        opened.fetch()
        asked: list[str] = []
        answer, run = objects.Batch.ask, Git.run

        def counted_ask(batch: objects.Batch, names: list[str]) -> Iterator[tuple[list[str], bytes]]:
            asked.extend(names)
            return answer(batch, names)

        def counted_run(git: Git, *arguments: str, **options: Any) -> bytes:
            asked.append(arguments[0])
            return run(git, *arguments, **options)

        monkeypatch.setattr(objects.Batch, "ask", counted_ask)
        monkeypatch.setattr(Git, "run", counted_run)
        before, after = objects.blob_id(b"7"), objects.blob_id(b"changed")
        assert [change.path for change in opened.changes(old, new)] == ["nodes/7"]
        assert opened.read(new, ["nodes/"])["nodes/7"] == b"changed"
        assert sorted(asked) == sorted(["diff-tree", before, after, after])
        asked.clear()
        opened.read(old, ["nodes/"])
        opened.read(new, ["nodes/"])
        opened.changes(old, new)
        assert asked == []


class TestNames:
    def test_tags_and_abbreviations(self, real: RealRemote, mirrored: Callable[..., Mirror]) -> None:
        first = real.commit("main", {"a": b"1"})
        opened = mirrored()
        opened.fetch()
        real.git("tag", "-a", "-m", "Release", "v1", first)
        tip = real.commit("main", {"a": b"2"})
        opened.fetch()
        assert opened.resolve("v1") == opened.resolve("main~1") == opened.resolve(first[:10]) == first
        real.git("tag", "later", tip)
        opened.fetch()
        assert opened.resolve("later") == tip

    def test_a_tag_cannot_pose_as_the_branch(self, real: RealRemote, mirrored: Callable[..., Mirror]) -> None:
        evil = real.commit("side", {"a": b"evil"})
        tip = real.commit("main", {"a": b"1"})
        real.git("tag", "main", evil)
        opened = mirrored()
        opened.fetch()
        assert opened.resolve("main") == tip

    def test_a_branch_moved_by_force_is_followed_for_plans(
        self, real: RealRemote, mirrored: Callable[..., Mirror]
    ) -> None:
        tip = real.commit("main", {"a": b"1"})
        real.commit("change", {"a": b"2"}, base=tip)
        opened = mirrored("main")
        opened.fetch()
        real.point("change", None)
        rebased = real.commit("change", {"a": b"3"}, base=tip)
        opened.fetch()
        assert opened.resolve("change") == rebased
        real.point("change", None)
        opened.fetch()
        with pytest.raises(Refused):
            opened.resolve("change")


class TestSurroundings:
    def test_the_callers_git_variables_do_not_reach_it(
        self, real: RealRemote, mirrored: Callable[..., Mirror], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As inside a hook of another repository, or a shell set up for one."""
        tip = real.commit("main", {"a": b"1"})
        for name, value in {
            "GIT_DIR": str(tmp_path / "elsewhere"),
            "GIT_OBJECT_DIRECTORY": str(tmp_path / "objects"),
            "GIT_INDEX_FILE": str(tmp_path / "index"),
            "GIT_NAMESPACE": "other",
            "GIT_CONFIG_PARAMETERS": "'core.bare=nonsense'",
            "GIT_TRACE": "1",
            "GIT_GLOB_PATHSPECS": "1",
        }.items():
            monkeypatch.setenv(name, value)
        opened = mirrored()
        assert opened.fetch() == tip
        assert opened.read(tip, ["a"]) == {"a": b"1"}
        assert opened.last_change(tip, "a", 1).oid == tip

    def test_the_users_configuration_does_not_reach_it(
        self, real: RealRemote, mirrored: Callable[..., Mirror], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tip = real.commit("main", {"a": b"1"})
        home = tmp_path / "home"
        home.mkdir()
        elsewhere = f'[url "{tmp_path}/elsewhere"]\n\tinsteadOf = {real.path}\n'
        (home / ".gitconfig").write_text(f"{elsewhere}[core]\n\thooksPath = {home}\n[fetch]\n\tprune = nonsense\n")
        monkeypatch.setenv("HOME", str(home))
        assert mirrored().fetch() == tip

    def test_no_hook_runs(self, real: RealRemote, mirrored: Callable[..., Mirror], tmp_path: Path) -> None:
        tip = real.commit("main", {"a": b"1"})
        opened = mirrored()
        hook = tmp_path / "state" / "mirror" / "hooks" / "reference-transaction"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        hook.chmod(0o755)
        assert opened.fetch() == tip
        assert not (tmp_path / "ran").exists()

    def test_no_git_program(
        self, real: RealRemote, mirrored: Callable[..., Mirror], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(Unavailable, match="git"):
            mirrored()


class TestSizes:
    def test_a_fetch_has_a_bound(
        self, real: RealRemote, mirrored: Callable[..., Mirror], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tip = real.commit("main", {"a": b"1"})
        opened = mirrored()
        opened.fetch()
        real.commit("main", {"image": os.urandom(1 << 20)})
        with monkeypatch.context() as patch:
            patch.setattr(mirror, "_LARGEST_FETCH", 64 << 10)
            with pytest.raises(Refused, match="large files"):
                opened.fetch()
        assert opened.head() == tip
        assert opened.fetch() == real.tip("main")

    def test_a_file_too_large_is_known_by_its_size_and_not_read(
        self, real: RealRemote, mirrored: Callable[..., Mirror], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tip = real.commit("main", {"image": b"x" * 2000, "small": b"1"})
        opened = mirrored()
        opened.fetch()
        monkeypatch.setattr(objects, "LARGEST_BLOB", 1000)
        assert opened.tree(tip)["image"].size == 2000
        with pytest.raises(Refused, match="keep large files outside"):
            opened.read(tip, ["image", "small"])
        assert opened.read(tip, ["small"]) == {"small": b"1"}

    def test_what_was_read_is_kept_within_a_budget(self) -> None:
        kept: objects.Kept[bytes] = objects.Kept(100, len)
        for number in range(10):
            kept.put(str(number), b"x" * 30)
            kept.get("0")
        assert [key for key in map(str, range(10)) if kept.get(key)] == ["0", "8", "9"]
        kept.put("large", b"x" * 1000)
        assert kept.newest() == ("large", b"x" * 1000)
        assert kept.get("0") is None


class TestContents:
    def test_modes_links_and_submodules(self, real: RealRemote, mirrored: Callable[..., Mirror]) -> None:
        base = real.commit("main", {"plain": b"1"})
        blob = real.git("rev-parse", f"{base}:plain").decode().strip()
        lines = [f"100755 blob {blob}\trun", f"120000 blob {blob}\tlink", f"160000 commit {base}\tsub"]
        tree = real.git("mktree", "--missing", stdin="\n".join(lines).encode() + b"\n").decode().strip()
        tip = real.git("commit-tree", "-p", base, "-m", "Modes", tree).decode().strip()
        real.point("main", tip)
        opened = mirrored()
        opened.fetch()
        assert {path: entry.mode for path, entry in opened.tree(tip).items()} == {"link": "120000", "run": "100755"}
        assert [change.path for change in opened.changes(base, tip)] == ["link", "plain", "run"]
        assert opened.tree(base).keys() == {"plain"}

    def test_a_path_that_is_not_utf8(self, real: RealRemote, mirrored: Callable[..., Mirror]) -> None:
        base = real.commit("main", {"plain": b"1"})
        blob = real.git("rev-parse", f"{base}:plain").strip()
        tree = real.git("mktree", stdin=b"100644 blob %s\tcaf\xe9\n" % blob).decode().strip()
        tip = real.git("commit-tree", "-p", base, "-m", "Latin", tree).decode().strip()
        real.point("main", tip)
        opened = mirrored()
        opened.fetch()
        assert list(opened.tree(tip)) == ["caf\udce9"]
        assert opened.read(tip, ["caf\udce9"]) == {"caf\udce9": b"1"}

    def test_commits_in_another_encoding(self, real: RealRemote, mirrored: Callable[..., Mirror]) -> None:
        base = real.commit("main", {"plain": b"1"}, "Caf\u00e9")
        text = real.git("cat-file", "commit", base).decode().replace("Caf\u00e9", "Caf\u00e9")
        text = text.replace("\n\n", "\nencoding ISO-8859-1\n\n", 1)
        tip = real.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=text.encode("latin-1")).decode().strip()
        real.point("main", tip)
        opened = mirrored()
        opened.fetch()
        assert opened.commit(tip).subject == "Caf\u00e9"

    def test_many_threads_read_at_once(self, real: RealRemote, mirrored: Callable[..., Mirror]) -> None:
        commits = [real.commit("main", {f"f{number}": b"%d" % number * 1000}) for number in range(8)]
        opened = mirrored()
        opened.fetch()
        wrong: list[object] = []

        def read(oid: str) -> None:
            for number in range(8):
                path = f"f{number}"
                found = opened.read(oid, [path])
                expected = {path: b"%d" % number * 1000} if number <= commits.index(oid) else {}
                if found != expected or opened.commit(oid).oid != oid:
                    wrong.append((oid, path, found))

        threads = [threading.Thread(target=read, args=(oid,)) for oid in commits]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


class TestForeignSignatures:
    def test_openpgp_is_not_asked(
        self, real: RealRemote, mirrored: Callable[..., Mirror], make_key: Callable[[str], Key], tmp_path: Path
    ) -> None:
        """A key in the daemon's own keyring would otherwise verify as good."""
        ran = tmp_path / "ran"
        (tmp_path / "gpg").write_text(f"#!/bin/sh\ntouch {ran}\necho '[GNUPG:] GOODSIG A B' >&2\n")
        (tmp_path / "gpg").chmod(0o755)
        base = real.commit("main", {"a": b"1"})
        armour = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iHUEABYKAB0W\n -----END PGP SIGNATURE-----"
        text = real.git("cat-file", "commit", base).decode().replace("\n\n", f"\n{armour}\n\n", 1)
        tip = real.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=text.encode()).decode().strip()
        real.point("main", tip)
        opened = mirrored()
        opened.fetch()
        path = os.environ["PATH"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", f"{tmp_path}:{path}")
            assert opened.signature(tip, make_key("listed").as_allowed_signer()) == "unlisted"
        assert not ran.exists()

    def test_a_signature_in_another_namespace_or_of_an_expired_key(
        self, real: RealRemote, mirrored: Callable[..., Mirror], make_key: Callable[[str], Key]
    ) -> None:
        key = make_key("listed")
        tip = real.commit("main", {"a": b"1"}, key=key)
        opened = mirrored()
        opened.fetch()
        assert opened.signature(tip, f'a namespaces="file" {key.public}\n'.encode()) != "good"
        assert opened.signature(tip, f'a valid-before="20200101" {key.public}\n'.encode()) != "good"
        assert opened.signature(tip, b"\xff not a line of the format\n") != "good"


def children(word: str) -> set[int]:
    """Processes of ours whose command line holds `word`."""
    listing = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False
    ).stdout
    return {int(line.split()[0]) for line in listing.splitlines() if word in line}
