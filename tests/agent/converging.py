"""Converging for tests: a real journal and ledger, a body from plain values, a look at the whole tree."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict

from agent.contract.canonical import digest
from agent.contract.inputs import ACTIONS
from agent.contract.wire import Body, BodyStep, FileRef, NodeContext
from agent.host import Host, Ran
from agent.host.memory import MemoryHost
from agent.rounds.claimants import Claimants
from agent.rounds.ledger import Ledger
from agent.rounds.outcome import RunResult
from agent.rounds.runner import converge
from agent.state.journal import Journal

BOOT = "11111111-2222-3333-4444-555555555555"


def step(action: str, inputs: Mapping[str, Any], name: str = "it", **more: Any) -> BodyStep:
    version = ACTIONS[action].version if action in ACTIONS else 1
    return BodyStep(name, action, more.pop("version", version), dict(inputs), **more)


def body(*steps: BodyStep, uid: str = "Association/web", files: Mapping[str, bytes] | None = None, **more: Any) -> Body:
    refs = {path: FileRef(digest(data), len(data)) for path, data in (files or {}).items()}
    return Body(uid, "Document/web", list(steps), files=refs, **more)


def shell(host: MemoryHost, text: str) -> Ran:
    """What runs scripts in memory: `exit N`, or a line that is said."""
    word, _, rest = text.strip().partition(" ")
    return Ran(int(rest)) if word == "exit" else Ran(0, text.encode())


def file(name: str, content: str = "x\n", **more: Any) -> BodyStep:
    return step("ops:file", {"path": f"/etc/{name}", "content": content}, name=name, **more)


def script(name: str, text: str = "hello", **more: Any) -> BodyStep:
    return step("aws:runShellScript", {"runCommand": [text]}, name=name, **more)


@dataclass
class Node:
    """One node of a test: its host, and a state directory."""

    host: Host
    state: Path
    labels: Mapping[str, str] = field(default_factory=dict)
    vars: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state.mkdir(exist_ok=True)
        self.open()

    def open(self) -> None:
        self.journal = Journal(str(self.state))
        self.ledger = Ledger(str(self.state / "ledger.json"))

    def reopen(self) -> None:
        """What a restart of the agent finds."""
        self.journal.close()
        self.open()

    def close(self) -> None:
        self.journal.close()

    def hold(self, *contents: bytes) -> None:
        self.blobs.update({digest(content): content for content in contents})

    def converge(
        self,
        held: Body,
        *,
        cause: str = "Assigned",
        apply: bool = True,
        generation: int = 1,
        run_instant: str = "",
        claimants: Claimants | None = None,
        boot_id: str = BOOT,
    ) -> RunResult:
        return converge(
            self.host,
            held,
            NodeContext("web-1", dict(self.labels), dict(self.vars)),
            self.facts,
            self.journal,
            self.ledger,
            generation=generation,
            cause=cause,
            run_instant=run_instant,
            boot_id=boot_id,
            blob=self.blobs.__getitem__,
            apply=apply,
            environment={"AWS_SSM_INSTANCE_ID": "mi-1"},
            claimants=claimants,
        )

    def written(self) -> dict[str, bytes]:
        """The bytes of every file of the state directory."""
        return {entry.name: entry.read_bytes() for entry in self.state.iterdir() if entry.is_file()}


def outcomes(result: RunResult) -> dict[str, str]:
    return {claim.claim: claim.outcome for claim in result.claims}


def reasons(result: RunResult) -> dict[str, str | None]:
    return {claim.claim: claim.reason for claim in result.claims}


Tree = Dict[str, Dict[str, Any]]


def build(host: Host, root: Path | None, entries: Mapping[str, Mapping[str, Any] | None]) -> None:
    """Makes (or with None removes) entries on either kind of host, past the host's own doors."""
    for path, entry in entries.items():
        if isinstance(host, MemoryHost):
            _build_in_memory(host, path, entry)
        else:
            assert root is not None
            _build_on_disk(root / path.lstrip("/"), entry)


def tree(host: Host, root: Path | None) -> Tree:
    """Everything on the host."""
    if isinstance(host, MemoryHost):
        return {path: _memory_entry(host, path) for path in sorted(host.nodes) if path != "/"}
    assert root is not None
    return {"/" + str(path.relative_to(root)): _disk_entry(path) for path in sorted(root.rglob("*"))}


def matches(seen: Tree, wanted: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    """Where the tree is not as wanted; an attribute not named in `wanted` may be anything."""
    wrong = []
    for path, entry in wanted.items():
        if entry is None or path not in seen:
            if (entry is None) != (path not in seen):
                wrong.append(f"{path}: {'there' if entry is None else 'missing'}")
            continue
        for name, value in entry.items():
            if seen[path].get(name) != value:
                wrong.append(f"{path}: {name} is {seen[path].get(name)!r}, not {value!r}")
    return wrong


def _build_in_memory(host: MemoryHost, path: str, entry: Mapping[str, Any] | None) -> None:
    from agent.host import memory

    if entry is None:
        host.nodes.pop(path, None)
        return
    default = {"file": "0644", "directory": "0755"}.get(_kind(entry), "0777")
    host.nodes[path] = memory.Node(
        _kind(entry),
        int(entry.get("mode", default), 8),
        host.users[entry.get("owner", "root")],
        host.groups[entry.get("group", "root")],
        _bytes(entry),
        entry.get("target", ""),
    )


def _build_on_disk(path: Path, entry: Mapping[str, Any] | None) -> None:
    if entry is None:
        path.unlink(missing_ok=True)
        return
    kind = _kind(entry)
    if kind == "directory":
        path.mkdir(exist_ok=True)
        path.chmod(int(entry.get("mode", "0755"), 8))
    elif kind == "link":
        path.symlink_to(entry["target"])
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(_bytes(entry))
        path.chmod(int(entry.get("mode", "0644"), 8))


def _memory_entry(host: MemoryHost, path: str) -> dict[str, Any]:
    node = host.nodes[path]
    seen: dict[str, Any] = {"kind": node.kind, "owner": host.user_name(node.uid), "group": host.group_name(node.gid)}
    return {**seen, **_content(node.kind, node.mode, node.target, node.data)}


def _disk_entry(path: Path) -> dict[str, Any]:
    found = path.lstat()
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo"}
    kind = kinds[stat.S_IFMT(found.st_mode)]
    target = os.readlink(path) if kind == "link" else ""
    data = path.read_bytes() if kind == "file" else b""
    return {"kind": kind, **_content(kind, stat.S_IMODE(found.st_mode), target, data)}


def _content(kind: str, mode: int, target: str, data: bytes) -> dict[str, Any]:
    if kind == "link":
        return {"target": target}
    entry: dict[str, Any] = {"mode": f"{mode:04o}"}
    if kind == "file":
        entry["content"] = data.decode("utf-8", "surrogateescape")
    return entry


def _kind(entry: Mapping[str, Any]) -> str:
    if "kind" in entry:
        return str(entry["kind"])
    if "content" in entry or "hex" in entry:
        return "file"
    return "link" if "target" in entry else "directory"


def _bytes(entry: Mapping[str, Any]) -> bytes:
    if "hex" in entry:
        return bytes.fromhex(entry["hex"])
    return str(entry.get("content", "")).encode("utf-8", "surrogateescape")
