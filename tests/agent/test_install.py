"""Installation beneath another root, and what the unit promises."""

from __future__ import annotations

import configparser
import os
import subprocess
from pathlib import Path

import pytest

import agent
from agent import install, limits
from tests.agent import program
from tests.agent.oldest import oldest_python
from tests.agent.program import run


@pytest.fixture(params=["this", "oldest"])
def python(request: pytest.FixtureRequest) -> str:
    return program.THIS if request.param == "this" else oldest_python()


def tree(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.lstat().st_mtime_ns for path in sorted(root.rglob("*"))}


def test_it_unpacks_links_and_writes_a_unit_once(tmp_path: Path, python: str) -> None:
    first = run(python, "install", "--root", str(tmp_path))
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == [
        f"unpacked /opt/opsctl/{agent.__version__}",
        f"/opt/opsctl/current is {agent.__version__}",
        "wrote /etc/systemd/system/opsctl-agent.service",
        "made /var/lib/amazon/ssm",
    ]
    home = tmp_path / "opt/opsctl"
    assert sorted(path.name for path in home.iterdir()) == [agent.__version__, "current"]
    assert os.readlink(home / "current") == agent.__version__
    assert (home / "current/agent/__pycache__").is_dir()
    installed = run(python, "--version", program=home / "current")
    assert installed.stdout == f"opsctl agent {agent.__version__}\n"
    before = tree(tmp_path)
    again = run(python, "install", "--root", str(tmp_path))
    assert again.stdout == f"version {agent.__version__} is installed already\n"
    assert tree(tmp_path) == before


def test_a_newer_archive_of_the_same_version_replaces_the_program(tmp_path: Path) -> None:
    run(program.THIS, "install", "--root", str(tmp_path))
    stray = tmp_path / "opt/opsctl" / agent.__version__ / "agent" / "stray.py"
    stray.write_text("")
    other = tmp_path / "other.pyz"
    other.write_bytes(b"#!/usr/bin/env python3\n#\n" + program.archive().read_bytes().partition(b"\n")[2])
    done = run(program.THIS, "install", "--root", str(tmp_path), program=other)
    assert done.stdout == f"unpacked /opt/opsctl/{agent.__version__}\n", done.stderr
    assert not stray.exists()
    assert len(list((tmp_path / "opt/opsctl").iterdir())) == 2


def test_it_does_not_install_from_anything_but_the_archive(tmp_path: Path) -> None:
    run(program.THIS, "install", "--root", str(tmp_path))
    done = run(program.THIS, "install", "--root", str(tmp_path), program=tmp_path / "opt/opsctl/current")
    assert done.returncode == 1
    assert "run `python3 agent.pyz install`" in done.stderr


def test_it_does_not_leave_its_root_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root" / "opt").symlink_to(tmp_path / "elsewhere")
    done = run(program.THIS, "install", "--root", str(tmp_path / "root"))
    assert done.returncode == 1
    assert "leads out of" in done.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_unit_keeps_the_agent_up_and_lets_jobs_be() -> None:
    unit = configparser.ConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
    unit.read_string(install.unit_text("/var/lib/opsctl", "/usr/bin/python3"))
    service = unit["Service"]
    assert service["ExecStart"] == "/usr/bin/python3 -I -S /opt/opsctl/current serve --state /var/lib/opsctl"
    assert service["KillMode"] == "process"
    assert service["Restart"] == "always"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit["Unit"]["ConditionPathExists"] == "/var/lib/opsctl/identity.json"
    assert service["Nice"] == "10"
    assert service["MemoryMax"] == str(limits.MEMORY)
    inherited = ("Protect", "Private", "Restrict", "NoNewPrivileges", "SystemCall", "ReadOnly", "Inaccessible")
    assert not [name for name in service if name.startswith(inherited)]


def test_systemd_finds_no_fault_with_the_unit(tmp_path: Path) -> None:
    try:
        path = tmp_path / "opsctl-agent.service"
        path.write_text(install.unit_text("/var/lib/opsctl", program.THIS).replace("/opt/opsctl/current", "/"))
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("systemd-analyze is not installed")
    complaints = [line for line in done.stderr.splitlines() if "opsctl-agent" in line]
    assert complaints == []


@pytest.mark.parametrize("changed", [True, False])
def test_a_running_agent_is_restarted_only_when_something_changed(changed: bool) -> None:
    ran: list[list[str]] = []
    install._start(changed, ran.append)
    verbs = [argv[0] for argv in ran]
    assert verbs == (["daemon-reload", "enable", "restart"] if changed else ["enable", "start"])
