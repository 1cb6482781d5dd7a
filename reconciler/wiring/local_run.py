"""A document run on this machine, without a server: compiled here, run by the agent's runner in its own process."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from agent.contract.codec import from_wire, to_wire
from agent.contract.job import Compile
from reconciler.adapters.git import Checkout, Worktree
from reconciler.adapters.parameters import TreeParameters
from reconciler.core.problem import Defect, Invalid, Place, Refused
from reconciler.documents import document as documents
from reconciler.documents.compile import compile_document
from reconciler.documents.found import steps_of
from reconciler.engine.commands import body_of
from reconciler.engine.sources import Sources, Workings
from reconciler.wiring.local import WORKTREE, WorktreeView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from agent.contract.wire import BodyStep
    from reconciler.core.manifest import Loc
    from reconciler.core.ports import Entry

    Said = Callable[[str, str, bytes], None]
    Found = Callable[[Compile], list[BodyStep]]


class _Nothing:
    """A repository with no file in it."""

    def tree(self, oid: str) -> Mapping[str, Entry]:
        del oid
        return {}

    def blobs(self, oids: object) -> dict[str, bytes]:
        del oids
        return {}

    def touching(self, oid: str, folder: str, after: str | None = None) -> Any:
        del oid, folder, after
        return []

    def fetch(self) -> None:
        return None

    def first_parents(self, oid: str, limit: int) -> Any:
        del oid, limit
        return iter(())


def run(
    data: bytes, path: str, given: Mapping[str, Sequence[str]], repo: Path | None, said: Said, *, check: bool
) -> dict[str, Any]:
    """Run the document of a file; a job's report, as the wire has it. `said` is told what steps say, as they say it.

    `repo` is the config repository whose files steps may name. Raises `Invalid` for what is wrong with the document.
    """
    document = documents.load(data, path)
    with _past(repo) as past:
        view: Any = WorktreeView(Worktree.at(repo), past) if repo is not None else past
        sources = Sources(view, view.tree(WORKTREE), Workings())
        kept = TreeParameters(view, WORKTREE)
        steps = compile_document(document, given, sources, parameter_place, kept, at=int(time.time() * 1000))
        blobs = view.blobs({file.blob for file in steps.files.values()})
        files = {file.ref.digest: base64.b64encode(blobs[file.blob]).decode() for file in steps.files.values()}
        asked = {"body": json.loads(body_of(document.name, steps, check=check)), "files": files}

        def found(question: Compile) -> list[BodyStep]:
            return steps_of(question, document.name, sources, kept, int(time.time() * 1000))

        return in_child(asked, said, found)


@contextmanager
def _past(repo: Path | None) -> Iterator[Any]:
    """What was committed in a directory, if anything: it is where versions of parameters come from."""
    try:
        checkout = Checkout(repo) if repo is not None else None
    except Refused:
        checkout = None
    if checkout is None:
        yield _Nothing()
        return
    with checkout:
        yield checkout


def parameter_place(loc: Loc) -> Place:
    """Where a parameter was given."""
    return Place(f"-p {loc[0]}" if loc else "-p")


def in_child(asked: dict[str, Any], said: Said, found: Found) -> dict[str, Any]:
    """The report on a body that is run. `found` is asked what documents mean that are found here.

    What interrupts this process asks the child to end, and waits for its report.
    """
    with tempfile.TemporaryDirectory(prefix="opsctl-run-") as state:
        return _in_child(state, asked, said, found)


def _in_child(state: str, asked: dict[str, Any], said: Said, found: Found) -> dict[str, Any]:
    command = [sys.executable, "-m", "agent.local_run", state]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    former = signal.signal(signal.SIGINT, lambda *_: child.terminate())
    report: dict[str, Any] | None = None
    try:
        with child:
            assert child.stdin is not None
            assert child.stdout is not None
            _write_line(child.stdin, asked)
            for line in child.stdout:
                value = json.loads(line)
                if "report" in value:
                    report = value["report"]
                elif "compile" in value:
                    _write_line(child.stdin, _answer(value["compile"], found))
                else:
                    said(value["step"], value["stream"], base64.b64decode(value["data"]))
    finally:
        signal.signal(signal.SIGINT, former)
    if report is None:
        raise Defect(f"the process that ran the document ended with {child.returncode} and no report")
    return report


def _write_line(file: IO[bytes], value: Any) -> None:
    file.write(json.dumps(value).encode() + b"\n")
    file.flush()


def _answer(asked: Any, found: Found) -> dict[str, Any]:
    try:
        return {"steps": to_wire(found(from_wire(Compile, asked))), "problem": ""}
    except Invalid as invalid:
        return {"steps": [], "problem": "; ".join(map(str, invalid.findings))}
