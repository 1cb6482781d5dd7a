"""Steps done together: in which order they reach the disk, and what comes of one that fails among them."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from agent.host.memory import MemoryHost
from tests.agent.converging import Node, body, file, outcomes, script, step


def test_adjacent_files_are_one_batch(node: Node, host: MemoryHost, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("stage", "publish", "sync_directory", "mkdir", "symlink"):
        noted(monkeypatch, MemoryHost, name, done)
    noted(monkeypatch, type(node.journal), "started", done)
    noted(monkeypatch, type(node.journal), "finished", done)
    result = node.converge(body(file("a"), file("b"), file("c"), step("ops:directory", {"path": "/srv"}), file("d")))
    assert set(outcomes(result).values()) == {"Changed"}
    assert done == [
        *("stage /etc/a", "stage /etc/b", "stage /etc/c", "started"),
        *("publish /etc/a", "publish /etc/b", "publish /etc/c", "sync_directory /etc", "finished"),
        *("started", "mkdir /srv", "sync_directory /", "finished"),
        *("stage /etc/d", "started", "publish /etc/d", "sync_directory /etc", "finished"),
    ]


def test_adjacent_directories_and_links_are_batches_too(
    node: Node, host: MemoryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for name in ("mkdir", "symlink", "sync_directory"):
        noted(monkeypatch, MemoryHost, name, done)
    for name in ("started", "finished"):
        noted(monkeypatch, type(node.journal), name, done)
    directories = [step("ops:directory", {"path": path}, name=path) for path in ("/srv", "/srv/a", "/srv/a/b")]
    links = [step("ops:link", {"path": f"/srv/{name}", "target": "a"}, name=name) for name in "xy"]
    beneath = step("ops:link", {"path": "/srv/x/deep", "target": "b"}, name="deep")
    result = node.converge(body(*directories, *links, beneath))
    assert set(outcomes(result).values()) == {"Changed"}
    assert done == [
        *("started", "mkdir /srv", "mkdir /srv/a", "mkdir /srv/a/b"),
        *("sync_directory /", "sync_directory /srv", "sync_directory /srv/a", "finished"),
        *("started", "symlink a", "symlink a", "sync_directory /srv", "finished"),
        *("started", "symlink b", "sync_directory /srv/x", "finished"),
    ]


def test_directories_are_removed_from_within(node: Node, host: MemoryHost) -> None:
    paths = ("/srv", "/srv/a", "/srv/a/b")
    node.converge(body(*(step("ops:directory", {"path": path}, name=path) for path in paths)))
    gone = [step("ops:directory", {"path": path, "state": "absent"}, name=path) for path in reversed(paths)]
    assert set(outcomes(node.converge(body(*gone))).values()) == {"Changed"}
    assert host.lstat("/srv") is None


def test_a_directory_that_fails_ends_its_batch(node: Node, host: MemoryHost) -> None:
    paths = ("/one", "/no/such/parent", "/two")
    result = node.converge(body(*(step("ops:directory", {"path": path}, name=path[1:]) for path in paths)))
    assert list(outcomes(result).values()) == ["Changed", "Failed", "Skipped"]


@pytest.mark.parametrize("fails_at", ["stage", "publish"])
@pytest.mark.parametrize("on_failure", ["stop", "continue"])
def test_a_batch_that_fails_in_the_middle(
    node: Node, host: MemoryHost, monkeypatch: pytest.MonkeyPatch, fails_at: str, on_failure: str
) -> None:
    whole = getattr(MemoryHost, fails_at)

    def full(self: MemoryHost, path: str, *rest: Any, **named: Any) -> None:
        if path == "/etc/b":
            raise OSError(errno.ENOSPC, "No space left on device", path)
        whole(self, path, *rest, **named)

    monkeypatch.setattr(MemoryHost, fails_at, full)
    result = node.converge(body(*(file(name, on_failure=on_failure) for name in "abc")))
    last = "Skipped" if on_failure == "stop" else "Changed"
    assert outcomes(result) == {"path:/etc/a": "Changed", "path:/etc/b": "Failed", "path:/etc/c": last}
    assert result.reason == "b: /etc/b: No space left on device"
    assert host.staged == {}
    monkeypatch.setattr(MemoryHost, fails_at, whole)
    healed = node.converge(body(*(file(name) for name in "abc")), cause="Interval")
    assert outcomes(healed)["path:/etc/b"] == "Changed"
    assert node.ledger.entries("Association/web")[0].done


def test_a_batch_whose_directory_cannot_be_synced_has_failed(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: MemoryHost, path: str) -> None:
        raise OSError(errno.EIO, "Input/output error", path)

    monkeypatch.setattr(MemoryHost, "sync_directory", broken)
    result = node.converge(body(file("a"), file("b")))
    assert outcomes(result) == {"path:/etc/a": "Failed", "path:/etc/b": "Failed"}


def test_a_journal_that_cannot_be_written_lets_nothing_change(
    node: Node, host: MemoryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/var/lib/opsctl/journal")

    monkeypatch.setattr(type(node.journal), "started", full)
    result = node.converge(body(file("a"), script("say", on_failure="continue")))
    assert outcomes(result)["path:/etc/a"] == "Failed"
    assert result.reason == "a: /var/lib/opsctl/journal: No space left on device"
    assert "/etc/a" not in host.nodes
    assert host.staged == {}
    assert host.commands == []


def noted(monkeypatch: pytest.MonkeyPatch, cls: Any, name: str, done: list[str]) -> None:
    whole = getattr(cls, name)

    def note(self: Any, first: Any, *rest: Any, **named: Any) -> Any:
        done.append(f"{name} {first}" if isinstance(first, str) else name)
        return whole(self, first, *rest, **named)

    monkeypatch.setattr(cls, name, note)
