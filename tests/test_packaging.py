"""The wheel stands alone: installed in a clean environment, outside the clone, it makes a repository and plans it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]


def _run(command: Sequence[str | Path], where: Path, expect: int = 0) -> str:
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "OPSCTL_SERVER")}
    done = subprocess.run(
        [str(word) for word in command], cwd=where, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == expect, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose `venv` has the wheel and its dependencies, nothing of the clone."""
    directory = tmp_path_factory.mktemp("wheel")
    build: list[str | Path] = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", directory, TOP]
    _run(build, directory)
    (wheel,) = directory.glob("opsctl-*.whl")
    _run([sys.executable, "-m", "venv", "venv"], directory)
    pip = ["install", "--quiet", "--no-compile", "--disable-pip-version-check", "--constraint"]
    _run([directory / "venv/bin/pip", *pip, TOP / "constraints.txt", wheel], directory)
    return directory


@pytest.mark.timeout(600)
def test_init_validate_plan(installed: Path) -> None:
    opsctl = installed / "venv/bin/opsctl"
    assert "files" in _run([opsctl, "init", "config"], installed)
    assert "0 errors" in _run([opsctl, "validate", "config"], installed)
    plan = _run([opsctl, "plan", "--repo", "config"], installed)
    assert "/etc/motd" in plan
    _run([opsctl, "plan", "--repo", "config", "--detailed-exitcode"], installed, expect=2)


@pytest.mark.timeout(600)
def test_the_agent_is_in_it(installed: Path) -> None:
    opsctl = installed / "venv/bin/opsctl"
    _run([opsctl, "agent", "package", "--out", "agent.pyz"], installed)
    archive = installed / "agent.pyz"
    assert archive.stat().st_size <= 600 * 1024
    assert "enroll" in _run([sys.executable, "-I", archive, "--help"], installed)
