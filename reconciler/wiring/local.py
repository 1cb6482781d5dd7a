"""What commands do on this machine alone: read a repository, make one, write out the agent, reach a server."""

from __future__ import annotations

import base64
import importlib.resources
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agent.contract import sshsig
from agent.contract.canonical import digest
from reconciler.adapters.git import Checkout, Mirror, Remote, Worktree
from reconciler.adapters.private_files import EVERYONE_READS, write_whole
from reconciler.adapters.renderer import BoundedRenderer
from reconciler.adapters.signer import read_key
from reconciler.controller.contents import FileContents
from reconciler.core.ports import EXECUTABLE, LINK, Change, Commit
from reconciler.core.problem import Refused, Unavailable
from reconciler.engine import automated
from reconciler.engine import gate as gating
from reconciler.engine import plan as planning
from reconciler.engine.assumed import assumed
from reconciler.engine.load import load
from reconciler.engine.preview import draw
from reconciler.engine.validate import validate as find
from reconciler.engine.views import PlanView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.core.ports import Entry, Source
    from reconciler.core.problem import Finding
    from reconciler.engine.catalog import Catalog

WORKTREE = "worktree"


def validate(directory: Path) -> tuple[tuple[Finding, ...], int]:
    """Findings on the files as they lie in `directory`, and how many files there are."""
    tree = Worktree.at(directory)
    executable = {entry.path for entry in tree.entries.values() if entry.mode == EXECUTABLE}
    links = {entry.oid: tree.contents[entry.oid] for entry in tree.entries.values() if entry.mode == LINK}
    return find(tree.files(), tree.others(), executable=executable, links=links), len(tree.entries)


def plan_from_git(repo: str, rev: str | None, base: str | None, *, worktree: bool) -> PlanView:
    """Git against Git: what `rev` asks for, compared with `base` applied everywhere (None: with nothing)."""
    with _opened(repo) as source:
        if isinstance(source, Checkout) and rev is None and not worktree and (dirty := source.uncommitted()):
            shown = ", ".join(dirty[:5]) + (" ..." if len(dirty) > 5 else "")
            raise Refused(f"{repo} has uncommitted changes ({shown})", "plan", "commit them, or plan with --worktree")
        if worktree:
            if rev is not None:
                raise Refused("--worktree and --rev exclude each other", "plan")
            here = WorktreeView(Worktree.at(Path(repo)), source)
            catalog = load(here, WORKTREE)
            return _drawn(catalog, _based(source, base), here)
        head = source.fetch()
        if head is None:
            raise Refused(f"{repo} has no commits", "plan", "commit something, or plan with --worktree")
        commit = source.resolve(rev) if rev is not None else head
        return _drawn(load(source, commit), _based(source, base), source)


class WorktreeView:
    """A repository whose newest commit is the files as they lie there; older ones are the repository's own."""

    def __init__(self, worktree: Worktree, source: Source) -> None:
        self._worktree, self._source = worktree, source

    def tree(self, oid: str) -> Mapping[str, Entry]:
        return self._worktree.tree() if oid == WORKTREE else self._source.tree(oid)

    def blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        wanted = set(oids)
        here = {oid: data for oid in wanted if (data := self._worktree.contents.get(oid)) is not None}
        return here | self._source.blobs(wanted - here.keys())

    def touching(self, oid: str, folder: str, after: str | None = None) -> list[tuple[Commit, list[Change]]]:
        if oid != WORKTREE:
            return self._source.touching(oid, folder, after)
        head = self._source.fetch()
        before = self._source.tree(head) if head is not None else {}
        steps = self._source.touching(head, folder, after) if head is not None else []
        after_all = self._worktree.tree()
        paths = sorted(path for path in before.keys() | after_all.keys() if path.startswith(folder))
        changes = [
            Change(path, before.get(path), after_all.get(path))
            for path in paths
            if before.get(path) != after_all.get(path)
        ]
        return [*steps, (Commit(WORKTREE, (), "", 0, ""), changes)] if changes else steps

    def first_parents(self, oid: str, limit: int) -> Iterator[Commit]:
        if oid != WORKTREE:
            yield from self._source.first_parents(oid, limit)
            return
        yield Commit(WORKTREE, (), "", 0, "")
        head = self._source.fetch()
        if head is not None:
            yield from self._source.first_parents(head, limit - 1)


@contextmanager
def _opened(repo: str) -> Iterator[Checkout | Mirror]:
    """A directory's repository as it is, or a copy of a remote one for as long as it is looked at."""
    if Path(repo).is_dir():
        with Checkout(Path(repo)) as checkout:
            yield checkout
        return
    with (
        tempfile.TemporaryDirectory(prefix="opsctl-") as directory,
        Mirror(Path(directory) / "mirror", Remote.parse(repo)) as mirror,
    ):
        yield mirror


def _based(source: Source, base: str | None) -> Catalog | None:
    return load(source, source.resolve(base)) if base is not None else None


def _drawn(catalog: Catalog, base: Catalog | None, view: Source | WorktreeView) -> PlanView:
    world, kept = assumed(catalog, base)
    plan = planning.plan(catalog, world)
    contents = FileContents(view, kept.get, catalog, *([base] if base else []))
    with BoundedRenderer() as renderer:
        render = renderer.for_plan()
        drawn = draw(plan, gating.Gated(), catalog, world, kept.get, contents, render, live=False).view()
    started = {resource.uid: resource.fingerprint for resource in automated.automated(base)} if base else {}
    drawn["warnings"] += automated.announced(catalog, started)
    return drawn


def init(directory: Path, operator_key: Path | None) -> tuple[str, int]:
    """Make a config repository in a new or empty directory; its first commit and how many files it has."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise Refused(f"{directory} is not empty", "init", "name a new directory")
    key = _public_key(operator_key) if operator_key is not None else None
    with importlib.resources.as_file(_data("example-config-repo")) as example:
        shutil.copytree(example, directory, dirs_exist_ok=True)
    with importlib.resources.as_file(_data("schemas")) as schemas:
        shutil.copytree(schemas, directory / ".opsctl" / "schemas", ignore=shutil.ignore_patterns("faces", "wire"))
    if key is not None:
        operators = directory / "access" / "operators.yaml"
        operators.write_text(operators.read_text() + _operator(key))
    for arguments in (["init", "--quiet", "--initial-branch=main"], ["add", "--all"], _FIRST_COMMIT):
        _git(directory, arguments)
    commit = _git(directory, ["rev-parse", "HEAD"])
    return commit, len(_git(directory, ["ls-files"]).splitlines())


_FIRST_COMMIT = ["commit", "--quiet", "--message", "Describe the fleet"]


def _git(directory: Path, arguments: list[str]) -> str:
    """git as the person who asked has set it up, with a name where none was."""
    named = _ran(directory, ["config", "user.email"]).stdout.strip()
    identity = [] if named else ["-c", "user.name=opsctl", "-c", "user.email=opsctl@localhost"]
    done = _ran(directory, [*identity, *arguments])
    if done.returncode != 0:
        raise Unavailable("git " + arguments[0], done.stderr.strip())
    return done.stdout.strip()


def _ran(directory: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["git", *arguments], cwd=directory, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Unavailable("git", "it is not installed") from error


def commit(directory: Path, paths: list[str], message: str) -> str:
    """Commit these files of a checkout and nothing else; the commit."""
    _git(directory, ["add", "--all", "--", *paths])
    _git(directory, ["commit", "--quiet", "--message", message, "--", *paths])
    return _git(directory, ["rev-parse", "HEAD"])


def git_directory(directory: Path) -> Path:
    """Where Git keeps what a checkout has of its repository."""
    return Path(_git(directory, ["rev-parse", "--absolute-git-dir"]))


def remote_of(directory: Path) -> str:
    """Where a checkout's branch is pushed to. Raises `Refused` where it has no remote."""
    found = _ran(directory, ["remote", "get-url", "--push", "origin"])
    if found.returncode != 0:
        raise Refused(f"{directory} has no remote `origin`", "propose", "add one with git remote add, or commit here")
    return found.stdout.strip()


def _public_key(path: Path) -> str:
    try:
        text = path.read_text().strip()
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}", "init", "name the public half of your key") from error
    if not text.startswith("ssh-ed25519 ") or "\n" in text:
        raise Refused(f"{path} is no ed25519 public key", "init", "make one with ssh-keygen -t ed25519")
    return text


def _operator(key: str) -> str:
    return (
        "---\napiVersion: ops/v1\nkind: Operator\nmetadata:\n  name: owner\n"
        f"spec:\n  keys:\n    - {key}\n  roles: [operator]\n"
    )


@dataclass(frozen=True, slots=True)
class PackedAgent:
    """agent.pyz as it was written: bytes and digest."""

    size: int
    digest: str


def agent_archive() -> bytes:
    """agent.pyz."""
    return _data("agent.pyz").read_bytes()


def write_agent(out: Path) -> PackedAgent:
    """Write agent.pyz."""
    data = agent_archive()
    out.write_bytes(data)
    out.chmod(0o755)
    return PackedAgent(len(data), digest(data))


class Signature(NamedTuple):
    """What was signed, by its digest, and with which public key (OpenSSH text)."""

    path: Path
    digest: str
    key: str


def sign_release(file: Path, state: Path) -> Signature:
    """Write FILE.sig: the controller key's word that nodes may run FILE. `state` is the server's state directory."""
    key = read_key(state / "keys" / "controller.key")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise Unavailable(str(file), error.strerror or str(error)) from error
    signed = key.sign(data, sshsig.RELEASE)
    path = file.with_name(file.name + ".sig")
    write_whole(path, sshsig.armoured(base64.b64decode(signed.sig)).encode(), mode=EVERYONE_READS)
    return Signature(path, digest(data), key.public)


def _data(name: str) -> importlib.resources.abc.Traversable:
    """What the wheel carries beside the code; in a checkout, the thing itself."""
    packed = importlib.resources.files("reconciler") / "_data" / name
    if packed.is_file() or packed.is_dir():
        return packed
    top = Path(__file__).resolve().parents[2]
    if name == "agent.pyz":
        # the build script is no package, and stands beside a checkout only
        from hatch_build import build_agent  # type: ignore[import-not-found,unused-ignore]

        build_agent(top / "build" / "agent.pyz")
        return top / "build" / "agent.pyz"
    return top / name
