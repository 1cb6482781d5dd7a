"""Commits written by `git fast-import`: only what changed, on top of a commit, without a work tree or an index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.core.problem import Defect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.adapters.git.command import Git

AUTHOR = "opsctl <opsctl@localhost>"
# One pack per commit, never loose objects: then counting packs is all that is needed to know when to repack.
_SETTINGS = {"fastimport.unpackLimit": "0"}
_SCRATCH = "refs/opsctl/written"


@dataclass(frozen=True, slots=True)
class Edit:
    """A file's new content and Git mode; `content` None deletes it."""

    content: bytes | None
    mode: str = "100644"


def written(git: Git, base: str | None, edits: Mapping[str, Edit], message: str, *, at: int) -> str:
    """The id of a commit with `edits` on top of `base` (None: a first commit), made at `at` Unix milliseconds.

    The same arguments give the same commit. No branch is moved.
    """
    stream = b"".join(_stream(base, edits, message, at))
    answer = git.run(
        "fast-import", "--quiet", "--force", "--date-format=raw", "--done", stdin=stream, settings=_SETTINGS
    )
    return answer.decode().strip()


def _stream(base: str | None, edits: Mapping[str, Edit], message: str, at: int) -> Iterator[bytes]:
    text = message.encode()
    yield b"reset %s\n" % _SCRATCH.encode()
    yield b"commit %s\nmark :1\ncommitter %s %d +0000\n" % (_SCRATCH.encode(), AUTHOR.encode(), at // 1000)
    yield b"data %d\n%s\n" % (len(text), text)
    if base is not None:
        yield b"from %s\n" % base.encode()
    # Deletions first: a file may give way to a folder of its name.
    for path, edit in edits.items():
        if edit.content is None:
            yield b"D %s\n" % _quoted(path)
    for path, edit in edits.items():
        if edit.content is not None:
            yield b"M %s inline %s\ndata %d\n" % (edit.mode.encode(), _quoted(path), len(edit.content))
            yield edit.content
            yield b"\n"
    yield b"get-mark :1\ndone\n"


def _quoted(path: str) -> bytes:
    parts = path.split("/")
    if "\0" in path or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        raise Defect(f"{path!r} is no path of a file in a repository")
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return b'"%s"' % escaped.encode(errors="surrogateescape")
