"""The scripts of aws:configureDocker, as far as they can be run where docker is not to be touched."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.contract.inputs.services import ConfigureDockerInputs
from agent.host.memory import MemoryHost
from agent.steps.docker import ConfigureDockerStep
from agent.steps.step import Given

GIVEN = Given("web-1", {}, {}, {}, content=lambda _: b"")


def programs(directory: Path, **scripts: str) -> None:
    for name, text in scripts.items():
        file = directory / name.replace("_", "-")
        file.write_text("#!/bin/sh\n" + text)
        file.chmod(0o755)


def run(action: str, directory: Path) -> tuple[int, str]:
    lines = ConfigureDockerStep().lines(MemoryHost(), ConfigureDockerInputs(action), GIVEN)
    done = subprocess.run(
        ["/bin/sh", "-c", "\n".join(lines)], env={"PATH": str(directory)}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("there", "said"), [
    ({"apt_get": "echo apt-get $*; : >docker.io"}, "apt-get -q update\napt-get -q -y install docker.io\n"),
    ({"dnf": "echo dnf $*; [ $3 = moby-engine ]"}, "dnf -y install docker-ce\ndnf -y install moby-engine\n"),
    ({"yum": "echo yum $*"}, "yum -y install docker\n"),
    ({"zypper": "echo zypper $*"}, "zypper --non-interactive install docker\n"),
])  # fmt: skip
def test_docker_is_installed_by_what_there_is(tmp_path: Path, there: dict[str, str], said: str) -> None:
    programs(tmp_path, **there)
    code, output = run("Install", tmp_path)
    assert said in output
    assert (code, "no package gave this node a docker" in output) == (1, True), "none of them really did"


def test_docker_that_is_there_is_left(tmp_path: Path) -> None:
    programs(tmp_path, docker="echo Docker 27", apt_get="echo no; exit 1")
    code, output = run("Install", tmp_path)
    assert output.startswith("docker is installed already: Docker 27\n")
    assert code == 0 or "docker.service" in output


def test_a_node_that_installs_nothing_says_so(tmp_path: Path) -> None:
    assert run("Install", tmp_path) == (1, "Unsupported: needs apt-get, dnf, yum or zypper to install docker with\n")
    assert run("Uninstall", tmp_path) == (1, "Unsupported: needs dpkg or rpm to uninstall docker with\n")


def test_what_is_installed_is_uninstalled(tmp_path: Path) -> None:
    query = "case $4 in docker.io) echo installed ;; docker-ce) echo config-files ;; *) exit 1 ;; esac"
    programs(tmp_path, dpkg_query=query.replace("$4", "$4"), apt_get="echo apt-get $*")
    assert run("Uninstall", tmp_path) == (0, "apt-get -q -y remove docker.io\n")
    programs(tmp_path, dpkg_query="exit 1")
    assert run("Uninstall", tmp_path) == (0, "docker is not installed\n")
