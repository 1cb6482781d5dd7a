"""What Git costs: taking one changed file of 2,000 into account, and committing compliance of 10,000 nodes."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.adapters.git import GitReportBranch, Mirror, Remote, fast_import, storage
from reconciler.adapters.git.command import Git
from reconciler.adapters.git.fast_import import Edit

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILES = 2_000
_NODES = 10_000
_CHANGED = 200
_ASSOCIATIONS = 20  # per node
_AT = 1_700_000_000_000


def bench_sync_1_of_2000() -> list[float]:
    """Seconds from fetched to known: changed paths, the new tree, the contents that changed. `git.sync.1of2000`"""
    with _directory() as directory:
        git = storage.opened(directory / "remote.git", {})
        files = {f"associations/{number % 40}/{number}.yaml": _association(number, 0) for number in range(_FILES)}
        tip = _committed(git, None, files)
        samples = []
        with Mirror(directory / "mirror", Remote.parse(str(git.directory)), "main") as mirror:
            old = str(mirror.fetch())
            mirror.blobs(entry.oid for entry in mirror.tree(old).values())
            for turn in range(1, 16):
                path = f"associations/{turn % 40}/{turn}.yaml"
                tip = _committed(git, tip, {path: _association(turn, turn)})
                new = str(mirror.fetch())
                started = time.perf_counter()
                changes = mirror.changes(old, new)
                tree = mirror.tree(new)
                contents = mirror.blobs(change.new.oid for change in changes if change.new)
                samples.append(time.perf_counter() - started)
                assert new == tip
                assert len(tree) == _FILES
                assert list(contents.values()) == [_association(turn, turn)]
                old = new
        return samples


def bench_commit_10k() -> list[float]:
    """Seconds to commit and push the first report of 10,000 nodes. `compliance.commit.10k`"""
    samples = []
    for _ in range(3):
        with _directory() as directory, _reports(directory) as reports:
            samples.append(_timed_write(reports, {_path(node): _report(node, 0) for node in range(_NODES)}, 0))
    return samples


def bench_commit_200_of_10k() -> list[float]:
    """Seconds to commit and push a report in which 200 nodes of 10,000 changed. `compliance.commit.200of10k`"""
    with _directory() as directory, _reports(directory) as reports:
        _timed_write(reports, {_path(node): _report(node, 0) for node in range(_NODES)}, 0)
        return [_timed_write(reports, _changed(turn), turn) for turn in range(1, 41)]


def bench_bytes_per_changed_node() -> list[float]:
    """Bytes by which the packed copy and the packed remote grow per changed node. `compliance.bytes`"""
    with _directory() as directory, _reports(directory) as reports:
        copies = [directory / "reports", directory / "remote.git"]
        _timed_write(reports, {_path(node): _report(node, 0) for node in range(_NODES)}, 0)
        before = [_packed_bytes(copy) for copy in copies]
        turns = 40
        for turn in range(1, turns + 1):
            _timed_write(reports, _changed(turn), turn)
        return [(_packed_bytes(copy) - size) / (turns * _CHANGED) for copy, size in zip(copies, before, strict=True)]


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="opsctl-bench-") as name:
        yield Path(name)


@contextmanager
def _reports(directory: Path) -> Iterator[GitReportBranch]:
    remote = directory / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
    # A collection in the background would outlive the measurement, and the directory it works in.
    subprocess.run(["git", "-C", str(remote), "config", "receive.autogc", "false"], check=True)
    reports = GitReportBranch(directory / "reports", Remote.parse(str(remote)))
    yield reports
    reports.close()


def _committed(git: Git, base: str | None, files: dict[str, bytes]) -> str:
    edits = {path: Edit(content) for path, content in files.items()}
    oid = fast_import.written(git, base, edits, "Change", at=_AT)
    git.run("update-ref", "refs/heads/main", oid)
    return oid


def _timed_write(reports: GitReportBranch, files: dict[str, bytes], turn: int) -> float:
    contents: dict[str, bytes | None] = dict(files)
    started = time.perf_counter()
    oid = reports.write(contents, f"{len(files)} nodes changed", at=_AT + turn * 60_000, instance="bench")
    elapsed = time.perf_counter() - started
    assert oid is not None
    return elapsed


def _changed(turn: int) -> dict[str, bytes]:
    nodes = {(turn * 7_919 + step * 37) % _NODES for step in range(_CHANGED)}
    return {_path(node): _report(node, turn) for node in nodes}


def _packed_bytes(directory: Path) -> int:
    subprocess.run(["git", "-C", str(directory), "repack", "-a", "-d", "-q"], check=True)
    return sum(path.stat().st_size for path in directory.glob("objects/pack/*.pack"))


def _association(number: int, turn: int) -> bytes:
    return (
        "# yaml-language-server: $schema=../schemas/kinds/association.json\n"
        "apiVersion: ops/v1\nkind: Association\n"
        f"metadata:\n  name: association-{number}\n"
        f"spec:\n  document: base-{number % 7}\n  targets: [tag:Env=prod-{number % 9}]\n"
        f"  parameters:\n    message: ['text {turn} of {number}']\n"
    ).encode()


def _node_id(node: int) -> str:
    return "mi-" + hashlib.sha256(b"node %d" % node).hexdigest()[:17]


def _path(node: int) -> str:
    return f"nodes/{_node_id(node)[-2:]}/node-{node:05d}.yaml"


def _report(node: int, turn: int) -> bytes:
    """State transitions of a node, one of whose associations changed at `turn`."""
    lines = [f"id: {_node_id(node)}", f"name: node-{node:05d}", "associations:"]
    for number in range(_ASSOCIATIONS):
        at = turn if number == (node + turn) % _ASSOCIATIONS else 0
        commit = hashlib.sha256(b"commit %d" % at).hexdigest()[:40]
        lines += [
            f"  association-{(node * 31 + number * 53) % 1000}:",
            f"    status: {'NON_COMPLIANT' if at % 2 else 'COMPLIANT'}",
            f"    since: 2026-01-01T{at % 24:02d}:00:00.000Z",
            f"    commit: {commit}",
        ]
    return ("\n".join(lines) + "\n").encode()
