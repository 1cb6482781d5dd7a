"""Git objects by id: one long-lived `cat-file --batch` process, and what it read, kept within a budget of bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

from reconciler.core.ports import Commit
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from reconciler.adapters.git.command import Git

LARGEST_BLOB = 64 << 20  # bytes; a larger file is refused, not read
_BLOB_BUDGET = 64 << 20
_AT_ONCE = 200  # requests written before answers are read: well within a pipe's buffer, so neither side blocks

V = TypeVar("V")


def blob_id(content: bytes) -> str:
    """The id Git gives to a file of this content (in a SHA-1 repository)."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class Kept(Generic[V]):
    """Least recently used values by id, dropped once their sizes together exceed `budget`; never the newest.

    Safe to use from several threads.
    """

    def __init__(self, budget: int, size: Callable[[V], int]) -> None:
        self._budget = budget
        self._size = size
        self._held = 0
        self._values: OrderedDict[str, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> V | None:
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: str, value: V) -> None:
        with self._lock:
            if key in self._values:
                self._held -= self._size(self._values.pop(key))
            self._values[key] = value
            self._held += self._size(value)
            while self._held > self._budget and len(self._values) > 1:
                self._held -= self._size(self._values.popitem(last=False)[1])

    def newest(self) -> tuple[str, V] | None:
        """The pair used last."""
        with self._lock:
            return next(reversed(self._values.items()), None)


class Batch:
    """A `cat-file` process that answers one line per request; started when first asked, again after it died."""

    def __init__(self, git: Git, mode: str) -> None:
        self._git = git
        self._mode = mode
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, names: Sequence[str]) -> Iterator[tuple[list[str], bytes]]:
        """Per name the header's words (`ID TYPE SIZE`, or `NAME missing`) and, in mode `--batch`, the content."""
        if any("\n" in name for name in names):
            raise Refused("an object's name has no line break")
        for start in range(0, len(names), _AT_ONCE):
            yield from self._exchange(names[start : start + _AT_ONCE])

    def _exchange(self, names: Sequence[str]) -> list[tuple[list[str], bytes]]:
        reused = self._process is not None
        try:
            process = self._running()
            assert process.stdin is not None
            process.stdin.write("".join(f"{name}\n" for name in names).encode(errors="surrogateescape"))
            process.stdin.flush()
            answers = [self._answer(process) for _ in names]
        except (OSError, EOFError) as error:
            why = self._last_words()
            self.close()
            if reused:
                return self._exchange(names)
            raise Unavailable(f"repository {self._git.directory}", why or "git cat-file ended early") from error
        except BaseException:
            self.close()  # answers nobody read would be taken for those to the next request
            raise
        self._last_words()  # a pipe never read would one day be full and stop the process
        return answers

    def _answer(self, process: subprocess.Popen[bytes]) -> tuple[list[str], bytes]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        header = line.decode(errors="surrogateescape").rsplit(maxsplit=2)
        if self._mode != "--batch" or not header[-1].isdigit():
            return header, b""
        size = int(header[2])
        if size > LARGEST_BLOB:
            raise Refused(
                f"object {header[0]} has {size >> 20} MiB",
                rule=f"a file has at most {LARGEST_BLOB >> 20} MiB",
                remedy="keep large files outside the config repository",
            )
        content = process.stdout.read(size + 1)
        if len(content) != size + 1:
            raise EOFError
        return header, content[:-1]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = self._git.start("cat-file", self._mode)
            assert self._process.stderr is not None
            os.set_blocking(self._process.stderr.fileno(), False)
        return self._process

    def _last_words(self) -> str:
        if self._process is None or self._process.stderr is None:
            return ""
        said = (self._process.stderr.read() or b"").decode(errors="replace").strip()
        return said.splitlines()[-1] if said else ""

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with contextlib.suppress(BrokenPipeError), process:
                pass  # leaving it closes its pipes and waits for its end


class Objects:
    """Blobs, commits and names of one repository. Safe to use from several threads."""

    def __init__(self, git: Git) -> None:
        self._directory = git.directory
        self._contents = Batch(git, "--batch")
        self._headers = Batch(git, "--batch-check")
        self._blobs: Kept[bytes] = Kept(_BLOB_BUDGET, len)
        self._lock = threading.Lock()

    def identify(self, name: str) -> str | None:
        """The object id that a name stands for, None where there is none or several."""
        with self._lock:
            ((header, _),) = self._headers.ask([name])
        return header[0] if len(header) == 3 and header[2].isdigit() else None

    def sizes(self, oids: Iterable[str]) -> dict[str, int]:
        """Sizes in bytes by id."""
        with self._lock:
            headers = [header for header, _ in self._headers.ask(list(oids))]
        for header in headers:
            self._require(header[0], header, "blob")
        return {oid: int(size) for oid, _, size in headers}

    def blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        """Contents by id; `Unavailable` for an id that the repository lacks, `Refused` for one too large."""
        with self._lock:
            found = {oid: self._blobs.get(oid) for oid in oids}
            absent = [oid for oid, content in found.items() if content is None]
            for oid, (header, content) in zip(absent, self._contents.ask(absent), strict=True):
                self._require(oid, header, "blob")
                self._blobs.put(oid, content)
                found[oid] = content
        return {oid: content for oid, content in found.items() if content is not None}

    def commit_text(self, oid: str) -> bytes:
        """A commit as Git stores it: headers, an empty line, the message."""
        with self._lock:
            ((header, content),) = self._contents.ask([oid])
        self._require(oid, header, "commit")
        return content

    def close(self) -> None:
        with self._lock:
            self._contents.close()
            self._headers.close()

    def _require(self, oid: str, header: list[str], kind: str) -> None:
        if len(header) != 3 or header[1] != kind:
            raise Unavailable(f"{kind} {oid}", f"repository {self._directory} does not hold it")


def parse_commit(oid: str, text: bytes) -> Commit:
    """A commit's text as people quote it."""
    headers, _, message = text.partition(b"\n\n")
    fields: dict[bytes, list[bytes]] = {}
    for line in headers.split(b"\n"):
        name, _, value = line.partition(b" ")
        fields.setdefault(name, []).append(value)
    encoding = fields.get(b"encoding", [b"utf-8"])[0].decode("ascii", "replace")
    committer = fields.get(b"committer", [b""])[0].rsplit(maxsplit=2)
    seconds = int(committer[1]) if len(committer) == 3 and committer[1].isdigit() else 0
    return Commit(
        oid=oid,
        parents=tuple(parent.decode() for parent in fields.get(b"parent", [])),
        author=_decoded(fields.get(b"author", [b""])[0].rpartition(b">")[0] + b">", encoding),
        at=seconds * 1000,
        subject=" ".join(_decoded(message.lstrip().partition(b"\n\n")[0], encoding).split("\n")).strip(),
    )


def _decoded(text: bytes, encoding: str) -> str:
    try:
        return text.decode(encoding, "replace")
    except LookupError:
        return text.decode(errors="replace")
