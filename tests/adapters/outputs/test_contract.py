"""What every output store keeps and refuses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.adapters.outputs import DirectoryOutputs, MemoryOutputs
from reconciler.core.effect import job_id
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from reconciler.core.ports import OutputStore

JOB, LATER = (job_id(at, "0" * 64) for at in (1_700_000_000_000, 1_700_000_001_000))
LIMIT = 100


@pytest.fixture(params=["directory", "memory"])
def outputs(request: pytest.FixtureRequest, tmp_path: Path) -> OutputStore:
    return DirectoryOutputs(tmp_path / "outputs", LIMIT) if request.param == "directory" else MemoryOutputs(LIMIT)


def test_what_is_appended_is_read(outputs: OutputStore) -> None:
    assert outputs.append(JOB, "one", "stdout", 0, b"hello ") == (6, False)
    assert outputs.append(JOB, "one", "stdout", 6, b"world") == (11, False)
    assert outputs.append(JOB, "one", "stderr", 0, b"oh") == (2, False)
    assert outputs.read(JOB, "one", "stdout", 0, 100) == b"hello world"
    assert outputs.read(JOB, "one", "stdout", 6, 3) == b"wor"
    assert outputs.sizes(JOB) == {("one", "stdout"): 11, ("one", "stderr"): 2}


def test_steps_of_old_documents_are_called_as_their_plugins(outputs: OutputStore) -> None:
    outputs.append(JOB, "aws:runShellScript", "stdout", 0, b"said")
    assert outputs.sizes(JOB) == {("aws:runShellScript", "stdout"): 4}
    assert outputs.read(JOB, "aws:runShellScript", "stdout", 0, 9) == b"said"


def test_nothing_is_there_before(outputs: OutputStore) -> None:
    assert outputs.append(JOB, "one", "stdout", 0, b"") == (0, False)
    assert outputs.read(JOB, "one", "stdout", 0, 10) == b""
    assert outputs.read(LATER, "one", "stdout", 0, 10) == b""
    assert outputs.sizes(JOB) == outputs.sizes(LATER) == {}


def test_what_is_sent_again_is_kept_once(outputs: OutputStore) -> None:
    outputs.append(JOB, "one", "stdout", 0, b"abcdef")
    assert outputs.append(JOB, "one", "stdout", 0, b"abc") == (6, False)
    assert outputs.append(JOB, "one", "stdout", 4, b"efgh") == (8, False)
    assert outputs.read(JOB, "one", "stdout", 0, 100) == b"abcdefgh"


def test_no_gap_comes_about(outputs: OutputStore) -> None:
    assert outputs.append(JOB, "one", "stdout", 5, b"late") == (0, False)
    assert outputs.read(JOB, "one", "stdout", 0, 100) == b""


def test_more_than_the_limit_is_not_taken(outputs: OutputStore) -> None:
    assert outputs.append(JOB, "one", "stdout", 0, b"x" * 99) == (99, False)
    assert outputs.append(JOB, "one", "stdout", 99, b"yz") == (100, True)
    assert outputs.append(JOB, "one", "stdout", 100, b"w") == (100, True)
    assert outputs.read(JOB, "one", "stdout", 98, 10) == b"xy"


@pytest.mark.parametrize(
    ("job", "step", "stream"), [("../x", "one", "stdout"), (JOB, "a/b", "stdout"), (JOB, "", "stdout"), (JOB, "a", "x")]
)
def test_a_name_that_is_none_is_refused(outputs: OutputStore, job: str, step: str, stream: str) -> None:
    with pytest.raises(Refused):
        outputs.append(job, step, stream, 0, b"x")
    with pytest.raises(Refused):
        outputs.read(job, step, stream, 0, 1)


def test_the_old_goes_and_the_oldest_of_too_much(outputs: OutputStore) -> None:
    for job in (JOB, LATER):
        outputs.append(job, "one", "stdout", 0, b"x" * 50)
    assert outputs.collect(before=1_600_000_000_000, most=1000) == 0
    assert outputs.collect(before=1_600_000_000_000, most=60) == 1
    assert outputs.sizes(JOB) == {}
    assert outputs.sizes(LATER) == {("one", "stdout"): 50}
    assert outputs.collect(before=1_800_000_000_000, most=1000) == 1
    assert outputs.sizes(LATER) == {}


def test_a_directory_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    store = DirectoryOutputs(tmp_path / "outputs")
    (tmp_path / "outputs").rmdir()
    with pytest.raises(Unavailable):
        store.append(JOB, "one", "stdout", 0, b"x")
