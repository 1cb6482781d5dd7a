"""The parameters of a repository on this machine: read as its files lie there, edited, and committed."""

from __future__ import annotations

import functools
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.contract.canonical import canonical, digest
from reconciler.adapters.git import Checkout, GitProposals, Remote, Worktree
from reconciler.adapters.parameters import SopsUnseal
from reconciler.adapters.private_files import EVERYONE_READS, write_whole
from reconciler.adapters.sops import formats, metadata
from reconciler.core.parameters import History, is_parameters
from reconciler.core.problem import Invalid, Refused
from reconciler.engine.load import load
from reconciler.engine.parameter_views import Book
from reconciler.engine.parameters import KINDS, collected
from reconciler.engine.readers import readers
from reconciler.engine.sources import Sources, Workings
from reconciler.wiring import local
from reconciler.wiring.local import WORKTREE, WorktreeView
from reconciler.wiring.parameter_edits import Edits
from reconciler.wiring.secrets import keyring, resealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.core.parameters import Parameter, Stored
    from reconciler.engine.parameters import Collected


class Library:
    """What a working directory declares. Raises `Invalid` for files that declare nothing rightly."""

    def __init__(self, directory: Path, checkout: Checkout) -> None:
        self.directory, self.checkout = directory, checkout
        self.worktree = Worktree.at(directory)
        view = WorktreeView(self.worktree, checkout)
        read = Sources(view, view.tree(WORKTREE), Workings()).read(is_parameters)
        findings = [found for file in read for found in file.unreadable]
        findings += [found for file in read for broken in file.broken for found in broken.findings]
        drafts = [draft for file in read for draft in file.drafts if draft.kind in KINDS]
        self.collected: Collected = collected(drafts)
        findings += [found for _, found in self.collected.faults]
        if findings:
            raise Invalid(tuple(dict.fromkeys(findings)))
        self.stored: Stored = self.collected.stored(lambda: History.at(view, WORKTREE))
        self.unseal = SopsUnseal(functools.cache(keyring))

    @property
    def book(self) -> Book:
        """The parameters as they are shown."""
        return Book(self.collected, self.stored, self.unseal)


@dataclass(frozen=True, slots=True)
class Edited:
    """What an edit came to. `commit` is None where nothing was committed, `branch` where none was pushed."""

    message: str
    files: tuple[str, ...]
    commit: str | None
    branch: str | None


def edited(directory: Path, edit: Callable[[Edits], str], *, commit: bool, propose: bool) -> Edited:
    """Edit a checkout's files, and commit them alone; or push them for review and leave the checkout as it is.

    `edit` says what it does, for the commit. Raises `Refused` where one of its files has changes that are not
    committed, and `Invalid` for what the repository would then have wrong.
    """
    with opened(directory) as library:
        edits = Edits(library, lambda path, change: resealed(directory / path, change))
        message = edit(edits)
        edits.check()
        files = {path: data for path, data in edits.files.items() if library.worktree.files().get(path) != data}
        if not files:
            raise Refused("that is so already", "parameter")
        if propose:
            branch, pushed = _proposed(library.checkout, directory, files, message)
            return Edited(message, tuple(files), pushed, branch)
        if commit and (dirty := set(library.checkout.uncommitted()) & files.keys()):
            raise Refused(f"{', '.join(sorted(dirty))} has changes that are not committed", "parameter", "commit first")
        for path, data in files.items():
            _write(directory / path, data)
        made = local.commit(directory, list(files), message) if commit else None
        return Edited(message, tuple(files), made, None)


def _write(file: Path, data: bytes | None) -> None:
    if data is None:
        file.unlink()
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, data, EVERYONE_READS)


def _proposed(checkout: Checkout, directory: Path, files: dict[str, bytes | None], message: str) -> tuple[str, str]:
    """Push the files, upon HEAD, as a branch of their own."""
    url = local.remote_of(directory)
    base = checkout.fetch()
    if base is None:
        raise Refused(f"{directory} has no commits", "parameter", "commit something first")
    name = digest(canonical([base, message, *sorted(files)])).removeprefix("sha256:")
    branch = f"opsctl/{name}"
    proposals = GitProposals(local.git_directory(directory), Remote.parse(url))
    return branch, proposals.propose(branch, base, files, message, at=int(time.time() * 1000))


def who_reads(directory: Path, path: str) -> list[dict[str, Any]]:
    """What can read the parameters at or below a level, by what a working tree says."""
    with Checkout(directory) as checkout:
        catalog = load(WorktreeView(Worktree.at(directory), checkout), WORKTREE)
        return readers(catalog, path, _recipients)


def _recipients(parameter: Parameter) -> list[str]:
    found = metadata.read(formats.read(parameter.file, parameter.path))
    return [str(recipient) for recipient in found.recipients]


@contextmanager
def opened(directory: Path) -> Iterator[Library]:
    """The parameters of a checkout."""
    with Checkout(directory) as checkout:
        yield Library(directory, checkout)
