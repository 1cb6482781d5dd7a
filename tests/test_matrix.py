"""The matrix of faults: what it makes of a run, and of one that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import matrix
from tests.matrix import Cell, Outcome

TESTS = """
import os, pytest
def test_that_passes(): assert os.environ["OPSCTL_SEED"] == "7" and os.environ["ASKED"] == "for"
def test_that_fails(): assert False
@pytest.mark.parametrize("n", [1, 2])
def test_that_is_skipped(n): pytest.skip("there is no reason")
@pytest.fixture
def broken(): raise OSError
def test_that_is_not_reached(broken): pass
"""


@pytest.fixture(autouse=True)
def _build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "BUILD", tmp_path)


def test_a_run_is_counted_with_its_reasons(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    selected = (str(tmp_path / "test_it.py"), "-c", "/dev/null", "--rootdir", str(tmp_path))
    found = matrix.run(Cell("here", "3.11", selected=selected, environment={"ASKED": "for"}), 1, 7, ["-q"])
    assert (found.passed, found.failed, found.skipped) == (1, 2, 2)
    assert found.failures == ("test_it::test_that_fails", "test_it::test_that_is_not_reached")
    assert found.skips == {"there is no reason": 2}
    shown = matrix.table([found, Outcome("there", "3.8", skips={"nobody lives there": 1})])
    assert "    failed: test_it::test_that_fails\n" in shown
    assert shown.endswith("    skipped: nobody lives there")


def test_a_run_without_tests_has_failed(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("")
    selected = (str(tmp_path / "test_it.py"), "-c", "/dev/null", "--rootdir", str(tmp_path))
    found = matrix.run(Cell("here", "3.11", selected=selected), 1, 7, ["-q"])
    assert (found.passed, found.failed, found.failures) == (0, 1, ("no test was found",))


def test_what_cannot_be_run_says_why_and_has_not_failed() -> None:
    found = matrix.run(Cell("there", "3.8", refusal="nobody lives there"), 1, 7, [])
    assert (found.passed, found.failed, found.skips) == (0, 0, {"nobody lives there": 1})
