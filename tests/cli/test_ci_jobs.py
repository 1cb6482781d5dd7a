"""The jobs that post a plan on a pull request: their own shell, run as the forge would."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import OPSCTL, Repository


@pytest.fixture
def pull_request(repository: Repository) -> Mapping[str, str]:
    """A branch with a change, checked out; the ids of its base and head."""
    base = repository.git("rev-parse", "HEAD")
    repository.git("switch", "--quiet", "--create", "greeting")
    repository.replace("documents/base-hardening.yaml", "Questions:", "Questions, always:")
    return {"BASE": base, "HEAD": repository.commit()}


def shell(script: str, cwd: Path, bin_: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """bash as both forges start it, with opsctl and what `bin_` holds before everything else."""
    path = f"{bin_}:{OPSCTL.parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
        cwd=cwd,
        env={**os.environ, "PATH": path, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def program(bin_: Path, name: str, script: str) -> None:
    """A program of the forge's, which is not here."""
    bin_.mkdir(exist_ok=True)
    (bin_ / name).write_text(f"#!/bin/sh\n{script}\n")
    (bin_ / name).chmod(0o755)


def test_github(repository: Repository, pull_request: Mapping[str, str], tmp_path: Path) -> None:
    job = yaml.safe_load((repository.directory / ".github/workflows/plan.yml").read_text())["jobs"]["plan"]
    steps: dict[str, Any] = {step.get("name", step.get("run")): step for step in job["steps"]}
    summary, temp, bin_ = tmp_path / "summary.md", tmp_path / "temp", tmp_path / "bin"
    temp.mkdir()
    program(bin_, "gh", f'printf "%s\\n" "$@" > {tmp_path}/gh')
    env = {"GITHUB_STEP_SUMMARY": str(summary), "RUNNER_TEMP": str(temp), "OPSCTL_SERVER": ""}

    assert shell(steps["opsctl validate"]["run"], repository.directory, bin_, env).returncode == 0
    done = shell(steps["plan"]["run"], repository.directory, bin_, {**env, **pull_request})
    assert done.returncode == 0, done.stderr
    said = shell(steps["comment"]["run"], repository.directory, bin_, {**env, "NUMBER": "7"})
    assert said.returncode == 0, said.stderr

    plan = (repository.directory / "plan.md").read_text()
    assert plan.startswith(f"### opsctl plan: `{pull_request['HEAD'][:12]}`\n\n**Plan: 3 to assign, on 3 nodes.**\n")
    assert "+Questions, always: ops@harbour-books.example" in plan
    assert summary.read_text() == plan
    assert (tmp_path / "gh").read_text().split()[:3] == ["pr", "comment", "7"]


def test_gitlab(repository: Repository, pull_request: Mapping[str, str], tmp_path: Path) -> None:
    job = yaml.safe_load((repository.directory / ".gitlab-ci.yml").read_text())["plan"]
    bin_ = tmp_path / "bin"
    program(bin_, "pip", "exit 0")
    program(bin_, "curl", f'printf "%s\\n" "$@" > {tmp_path}/curl')
    env = {
        "CI_COMMIT_SHA": pull_request["HEAD"],
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": pull_request["BASE"],
        "CI_API_V4_URL": "https://gitlab.example.com/api/v4",
        "CI_PROJECT_ID": "12",
        "CI_MERGE_REQUEST_IID": "7",
        "GITLAB_TOKEN": "token",
    }
    for script in job["script"]:
        done = shell(script, repository.directory, bin_, env)
        assert done.returncode == 0, done.stderr
    plan = (repository.directory / "plan.md").read_text()
    assert plan.startswith(f"### opsctl plan: `{pull_request['HEAD'][:12]}`")
    called = (tmp_path / "curl").read_text().splitlines()
    assert called[-1] == "https://gitlab.example.com/api/v4/projects/12/merge_requests/7/notes"
    assert "body@plan.md" in called
