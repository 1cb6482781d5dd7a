"""ops:archive with real archives: what is unpacked, drifts, goes with another version or prune, and is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Dict

import pytest

from agent.contract.canonical import digest
from agent.contract.inputs.files import ArchiveInputs
from agent.host import Host, LocalHost
from agent.host.memory import MemoryHost
from agent.steps import archives, watched
from tests.agent.converging import Node, body, build, outcomes, reasons, step, tree

APP: dict[str, dict[str, Any]] = {
    "app-1/": {"kind": "directory", "mode": 0o775},
    "app-1/bin/app": {"data": b"#!/bin/sh\n", "mode": 0o4775},
    "app-1/etc/secret": {"data": b"s\n", "mode": 0o600},
    "app-1/lib/so.1": {"data": b"\x00\xff" * 1000, "mode": 0o644},
    "app-1/lib/so": {"target": "so.1"},
    "app-1/top": {"target": "bin"},
}
BUNDLE = "files/app"
Tree = Dict[str, Dict[str, Any]]


def gzipped(data: bytes) -> bytes:
    """The same whenever it is made."""
    return gzip.compress(data, mtime=0)


def tarred(entries: Tree, compress: Callable[[bytes], bytes] = gzipped) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:") as archive:
        for name, entry in entries.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            info.mode, info.uid, info.gid, info.uname = entry.get("mode", 0o644), 1234, 1234, "stranger"
            info.type = {"directory": tarfile.DIRTYPE, "fifo": tarfile.FIFOTYPE, "device": tarfile.CHRTYPE}.get(
                entry.get("kind", ""), tarfile.REGTYPE
            )
            if "target" in entry:
                info.type, info.linkname = entry.get("type", tarfile.SYMTYPE), entry["target"]
            data = entry.get("data", b"")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return compress(out.getvalue())


def zipped(entries: Tree) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, entry in entries.items():
            info = zipfile.ZipInfo(name)
            kind = stat.S_IFLNK if "target" in entry else stat.S_IFDIR if name.endswith("/") else stat.S_IFREG
            info.create_system, info.external_attr = 3, (kind | entry.get("mode", 0o644)) << 16
            archive.writestr(info, entry.get("target", "").encode() or entry.get("data", b""))
    return out.getvalue()


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


MAKERS: dict[str, Callable[[Tree], bytes]] = {
    "tar": lambda entries: tarred(entries, bytes),
    "tar.gz": tarred,
    "tar.bz2": lambda entries: tarred(entries, bz2.compress),
    "tar.xz": lambda entries: tarred(entries, lzma.compress),
    "zip": zipped,
}


class Place:
    """A node and what it converges to."""

    def __init__(self, host: Host, root: Path | None, state: Path) -> None:
        self.host, self.root = host, root
        self.node = Node(host, state)
        self.generation = 0

    def unpack(self, data: bytes, *, apply: bool = True, prune: bool = False, **more: Any) -> Any:
        self.node.hold(data)
        self.generation += 1
        inputs = {"path": "/opt/app", "source": BUNDLE, "stripComponents": 1, **more}
        held = body(step("ops:archive", inputs), files={BUNDLE: data}, prune=prune)
        return self.node.converge(held, apply=apply, generation=self.generation)

    def drop(self) -> Any:
        self.generation += 1
        return self.node.converge(body(prune=True), generation=self.generation)

    def build(self, **entries: Any) -> None:
        build(self.host, self.root, {"/" + path.replace("__", "/"): entry for path, entry in entries.items()})

    def put(self, path: str, entry: Any) -> None:
        build(self.host, self.root, {path: entry})

    @property
    def tree(self) -> dict[str, Any]:
        seen = tree(self.host, self.root)
        return {path: seen[path] for path in seen if path.startswith("/opt/") and "opsctl-manifest" not in path}

    @property
    def files(self) -> set[str]:
        return {path[len("/opt/app/") :] for path in self.tree if path != "/opt/app"}


@pytest.fixture(params=["memory", "local"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    root = tmp_path / "root"
    root.mkdir()
    host: Host = MemoryHost() if request.param == "memory" else LocalHost(str(root))
    made = Place(host, root, tmp_path / "state")
    made.put("/opt", {})
    return made


ALL = {"bin", "bin/app", "etc", "etc/secret", "lib", "lib/so.1", "lib/so", "top"}


def test_every_unpacked_path_is_watched(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.unpack(tarred(APP))
    inputs = ArchiveInputs("/opt/app", source=BUNDLE)
    seen = watched.watched(place.host, "ops:archive", inputs)["tree:/opt/app"].paths
    assert set(seen) == {"/opt/.app.opsctl-manifest", *(f"/opt/app/{path}" for path in ALL)}
    monkeypatch.setattr(watched, "TREE_AT_MOST", 3)
    assert watched.watched(place.host, "ops:archive", inputs)["tree:/opt/app"].paths == ("/opt/.app.opsctl-manifest",)


@pytest.mark.parametrize("kind", MAKERS)
def test_every_kind_is_unpacked_to_the_byte(place: Place, kind: str) -> None:
    data = MAKERS[kind](APP)
    before = place.tree
    dry = place.unpack(data, apply=False)
    assert outcomes(dry) == {"path:/opt/app": "Drifted", "tree:/opt/app": "Drifted"}
    assert place.tree == before
    result = place.unpack(data)
    assert outcomes(result) == {"path:/opt/app": "Changed", "tree:/opt/app": "Changed"}, reasons(result)
    assert place.files == ALL
    seen = place.tree
    assert seen["/opt/app/bin/app"]["mode"] == "0755", "setuid and the write permission of others are gone"
    assert seen["/opt/app/etc/secret"]["mode"] == "0600"
    assert seen["/opt/app/lib/so.1"]["content"].encode("utf-8", "surrogateescape") == b"\x00\xff" * 1000
    assert seen["/opt/app/lib/so"]["target"] == "so.1"
    assert not place.unpack(data).changed
    assert place.tree == seen


def test_what_drifts_is_found_named_and_mended(place: Place) -> None:
    data = tarred(APP)
    place.unpack(data)
    right = place.tree
    place.put("/opt/app/bin/app", {"content": "#!/bin/false\n", "mode": "0755"})
    place.put("/opt/app/etc/secret", {"content": "s\n", "mode": "0644"})
    place.put("/opt/app/lib/so.1", None)
    place.put("/opt/app/own", {"content": "mine"})
    dry = place.unpack(data, apply=False)
    (claim,) = (claim for claim in dry.claims if claim.claim == "tree:/opt/app")
    assert claim.before == f"archive {digest(data)[:19]}, but for 3 of 8 entries"
    assert sorted(str(claim.diff).splitlines()) == [
        "bin/app: another content",
        "etc/secret: mode 0644",
        "lib/so.1: missing",
    ]
    assert outcomes(place.unpack(data)) == {"path:/opt/app": "Unchanged", "tree:/opt/app": "Changed"}
    assert place.tree.pop("/opt/app/own")["content"] == "mine"
    assert {path: entry for path, entry in place.tree.items() if path != "/opt/app/own"} == right


def test_another_version_takes_away_what_it_does_not_have(place: Place) -> None:
    place.unpack(tarred(APP))
    place.put("/opt/app/etc/secret", {"content": "edited\n", "mode": "0600"})
    place.put("/opt/app/lib/plugin", {"content": "theirs"})
    newer: Tree = {"app-2/bin/app": {"data": b"two"}, "app-2/top/now": {"data": b"a directory"}}
    result = place.unpack(tarred(newer))
    assert outcomes(result)["tree:/opt/app"] == "Changed", reasons(result)
    assert result.output == "left in place, for it was changed or was there before: etc/secret\n"
    assert place.files == {"bin", "bin/app", "top", "top/now", "etc", "etc/secret", "lib", "lib/plugin"}
    assert not place.unpack(tarred(newer)).changed


def test_prune_takes_away_what_was_brought_and_nothing_else(place: Place) -> None:
    place.put("/opt/app", {})
    place.put("/opt/app/bin", {})
    place.put("/opt/app/own", {"content": "mine"})
    place.unpack(tarred(APP))
    gone = place.drop()
    assert outcomes(gone) == {"tree:/opt/app": "Changed"}, reasons(gone)
    assert place.files == {"own", "bin"}
    assert not any("manifest" in path for path in tree(place.host, place.root))


def test_prune_of_all_of_it(place: Place) -> None:
    place.unpack(tarred(APP))
    assert outcomes(place.drop()) == {"tree:/opt/app": "Changed", "path:/opt/app": "Changed"}
    assert place.tree == {}


def test_prune_leaves_what_was_edited(place: Place) -> None:
    place.unpack(tarred(APP))
    place.put("/opt/app/bin/app", {"content": "edited"})
    gone = reasons(place.drop())
    assert gone["tree:/opt/app"] == "left in place: it was changed since opsctl left it"
    assert place.files == ALL


def test_absent_takes_away_what_was_unpacked_even_if_edited(place: Place) -> None:
    place.unpack(tarred(APP))
    place.put("/opt/app/bin/app", {"content": "edited"})
    place.put("/opt/app/lib/plugin", {"content": "theirs"})
    gone = place.unpack(b"", source=None, state="absent")
    assert outcomes(gone) == {"path:/opt/app": "Unchanged", "tree:/opt/app": "Changed"}, reasons(gone)
    assert place.files == {"lib", "lib/plugin"}
    assert not place.unpack(b"", source=None, state="absent").changed
    place.put("/opt/app/lib/plugin", None)


def test_absent_takes_the_directory_too(place: Place) -> None:
    place.unpack(tarred(APP))
    assert set(outcomes(place.unpack(b"", source=None, state="absent")).values()) == {"Changed"}
    assert place.tree == {}


def test_a_run_that_was_cut_off_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also then prune knows what it made."""
    publish = type(place.host).publish

    def cut(host: Any, path: str) -> None:
        if path.endswith("so.1"):
            raise OSError(28, "No space left on device", path)
        publish(host, path)

    monkeypatch.setattr(type(place.host), "publish", cut)
    assert reasons(place.unpack(tarred(APP)))["tree:/opt/app"] == "/opt/app/lib/so.1: No space left on device"
    monkeypatch.undo()
    again = place.unpack(tarred(APP))
    assert outcomes(again)["tree:/opt/app"] == "Changed"
    assert place.files == ALL
    place.drop()
    assert place.tree == {}


def test_from_the_web_by_its_digest(place: Place) -> None:
    data = tarred(APP)
    url = "https://example.org/app.tar.gz"
    if not isinstance(place.host, MemoryHost):
        pytest.skip("the machine in memory has a web of its own")
    place.host.web[url] = data
    more: dict[str, Any] = {"source": None, "url": url, "sha256": digest(data)[7:]}
    assert outcomes(place.unpack(b"", **more))["tree:/opt/app"] == "Changed"
    assert place.files == ALL
    place.host.commands.clear()
    assert not place.unpack(b"", **more).changed
    assert place.host.commands == []
    assert place.host.staged == {}
    wrong = reasons(place.unpack(b"", **{**more, "sha256": "0" * 64}))["tree:/opt/app"]
    assert "which is not the declared one" in str(wrong)
    assert place.files == ALL


HARD = tarfile.LNKTYPE
REFUSED: dict[str, tuple[Tree, str]] = {
    "an absolute name": ({"/etc/passwd": {}}, "the archive has an absolute name: /etc/passwd"),
    "a name that goes up": ({"a/../../etc/passwd": {}}, "the archive has a name that leads out"),
    "an absolute link": ({"a/l": {"target": "/etc"}}, "the archive has a link that leads out: l -> /etc"),
    "a link that goes up": ({"a/l": {"target": "../x"}}, "the archive has a link that leads out: l -> ../x"),
    "a link through a link": (
        {"a/d": {"target": "."}, "a/e": {"target": "d/d/../.."}},
        "the archive has a link that leads out: e -> d/d/../..",
    ),
    "a file below a link": (
        {"a/d/": {"kind": "directory"}, "a/l": {"target": "d"}, "a/l/x": {}},
        "the archive has l/x below l, which is a link",
    ),
    "a link in place of a directory": (
        {"a/d/x": {}, "a/e/": {"kind": "directory"}, "a/d": {"target": "e"}},
        "the archive has d twice, as a directory and as a link",
    ),
    "a FIFO": ({"a/f": {"kind": "fifo"}}, "the archive has a/f, which is a device or FIFO"),
    "a device": ({"a/f": {"kind": "device"}}, "the archive has a/f, which is a device or FIFO"),
    "a hard link out": (
        {"a/h": {"target": "/etc/passwd", "type": HARD}},
        "the archive has a hard link to what is no file before it: a/h",
    ),
    "more bytes than are taken": ({"a/f": {"data": b"x" * 2000}}, "the archive holds more than 1000 bytes"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_could_land_elsewhere_is_refused_whole(place: Place, why: str) -> None:
    entries, expected = REFUSED[why]
    result = place.unpack(tarred({"a/first": {"data": b"x"}, **entries}), maxBytes=1000)
    assert str(reasons(result)["tree:/opt/app"]).startswith(expected)
    assert place.files == set()


def test_too_many_entries(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "ENTRIES_AT_MOST", 3)
    result = place.unpack(tarred(APP))
    assert reasons(result)["tree:/opt/app"] == "the archive has more than 3 entries"


def test_a_zip_that_leads_out(place: Place) -> None:
    hostile: list[Tree] = [{"../x": {}}, {"a/l": {"target": "../../x"}}, {"/x": {}}]
    for entries in hostile:
        assert "the archive has" in str(reasons(place.unpack(zipped(entries)))["tree:/opt/app"])
    assert place.files == set()


DAMAGED = {
    "empty": b"",
    "no archive": b"no archive",
    **{f"half a {kind}": half(maker(APP)) for kind, maker in MAKERS.items() if kind != "tar"},
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_an_archive_that_is_damaged(place: Place, data: bytes) -> None:
    assert str(reasons(place.unpack(data))["tree:/opt/app"]).startswith("the archive cannot be read: ")
    assert place.files == set()


@pytest.mark.parametrize(
    ("local", "central", "value", "says"),
    [
        (6, 8, 1, "the archive is encrypted: app/x"),
        (8, 10, 99, "the archive cannot be read: "),
    ],
    ids=["encrypted", "a compression that nobody knows"],
)
def test_a_zip_that_cannot_be_unpacked(place: Place, local: int, central: int, value: int, says: str) -> None:
    """As the heads of its entry say, at these bytes of them."""
    data = bytearray(zipped({"app/x": {"data": b"x"}}))
    data[local] = data[data.index(b"PK\x01\x02") + central] = value
    assert str(reasons(place.unpack(bytes(data)))["tree:/opt/app"]).startswith(says)
    assert place.files == set()


def test_a_hard_link_is_a_file_of_its_own(place: Place) -> None:
    entries: Tree = {"a/one": {"data": b"x"}, "a/two": {"target": "a/one", "type": HARD}}
    assert outcomes(place.unpack(tarred(entries)))["tree:/opt/app"] == "Changed"
    assert place.tree["/opt/app/two"] == place.tree["/opt/app/one"]


def test_what_stands_in_the_way_is_not_replaced(place: Place) -> None:
    place.put("/opt/app", {})
    place.put("/srv", {})
    place.put("/opt/app/bin", {"target": "/srv"})
    result = place.unpack(tarred(APP))
    assert reasons(result)["tree:/opt/app"] == (
        "/opt/app/bin is a symbolic link to /srv where the archive has a directory; move it away"
    )
    assert not any(path.startswith("/srv/") for path in tree(place.host, place.root))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owners_are_those_declared(place: Place) -> None:
    if not isinstance(place.host, MemoryHost):
        pytest.skip("a sandbox leaves owners alone")
    place.host.users["app"] = 990
    place.unpack(tarred(APP), owner="app")
    assert {entry["owner"] for entry in place.tree.values()} == {"app"}
    place.host.nodes["/opt/app/bin/app"].uid = 0
    assert place.unpack(tarred(APP), owner="app").changed
    assert {entry["owner"] for entry in place.tree.values()} == {"app"}
