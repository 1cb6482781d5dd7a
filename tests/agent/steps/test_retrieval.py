"""Content from elsewhere, from GitHub's archives and real Git repositories: what lands where."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from agent.contract.inputs.content import GitHubSource, GitSource
from agent.host import LocalHost
from agent.host.memory import MemoryHost
from agent.steps.retrieval import retrieve
from agent.steps.step import StepFailed
from tests.agent.converging import tree

URL = "https://github.com/octo/tools/archive/%s.tar.gz"
FILES = {"README": "read me\n", "scripts/a.sh": "echo a\n", "scripts/deep/b.sh": "echo b\n", "other/c.sh": "echo c\n"}


def archive(**links: str) -> bytes:
    """What GitHub makes of a revision: all of it below one directory."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, text in FILES.items():
            info = tarfile.TarInfo(f"tools-1234/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
        for name, target in links.items():
            info = tarfile.TarInfo(f"tools-1234/{name}")
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return file.getvalue()


@pytest.fixture
def host() -> MemoryHost:
    host = MemoryHost()
    host.mkdir("/srv", 0o755)
    host.web = {URL % "HEAD": archive(), URL % "v/1": archive(link="scripts/a.sh")}
    return host


def brought(host: MemoryHost, place: str, path: str = "", options: str = "") -> dict[str, str]:
    """The files below /srv, by their paths."""
    retrieve(host, "GitHub", GitHubSource("octo", "tools", path, options), place)
    return {
        name[5:]: node.data.decode() or node.target for name, node in host.nodes.items() if node.kind != "directory"
    }


def test_a_file_of_github_under_its_own_name_or_another(host: MemoryHost) -> None:
    assert brought(host, "/srv/", "scripts/a.sh") == {"a.sh": "echo a\n"}
    assert brought(host, "/srv/renamed", "/scripts/deep/b.sh") == {"a.sh": "echo a\n", "renamed": "echo b\n"}
    assert host.nodes["/srv/a.sh"].mode == 0o700


def test_what_is_in_a_directory_of_github(host: MemoryHost) -> None:
    assert brought(host, "/srv/x/", "scripts") == {"x/a.sh": "echo a\n", "x/deep/b.sh": "echo b\n"}
    assert brought(host, "/srv/x", "other/")["x/c.sh"] == "echo c\n"


def test_all_of_a_revision_of_github(host: MemoryHost) -> None:
    found = brought(host, "/srv/all/", options="branch:v/1")
    assert found == {**{f"all/{name}": text for name, text in FILES.items()}, "all/link": "scripts/a.sh"}
    assert not host.staged


def test_what_github_does_not_have(host: MemoryHost) -> None:
    with pytest.raises(StepFailed, match="octo/tools has no nothing"):
        brought(host, "/srv/", "nothing")
    with pytest.raises(StepFailed, match="404 Not Found"):
        brought(host, "/srv/", options="branch:gone")
    host.web = {URL % "HEAD": archive(bad="../../etc/passwd")}
    with pytest.raises(StepFailed, match="a link that leads out"):
        brought(host, "/srv/")
    assert tree(host, None).keys() == {"/srv"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits on main, the second of which changed and removed a file; a tag on the first."""
    directory = tmp_path / "repository"
    said = ["git", "-C", str(directory), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "init", "-q", "-b", "main", str(directory)], check=True)
    (directory / "one").write_text("first\n")
    (directory / "gone").write_text("gone\n")
    subprocess.run([*said, "add", "."], check=True)
    subprocess.run([*said, "commit", "-qm", "one"], check=True)
    subprocess.run([*said, "tag", "v1"], check=True)
    (directory / "one").write_text("second\n")
    (directory / "gone").unlink()
    subprocess.run([*said, "commit", "-qam", "two"], check=True)
    return directory


def cloned(tmp_path: Path, repository: Path, options: str) -> dict[str, str]:
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    retrieve(LocalHost(str(root)), "Git", GitSource(str(repository), options), "/into/")
    return {path.name: path.read_text() for path in (root / "into").iterdir() if path.is_file()}


def test_a_repository_at_each_kind_of_revision(tmp_path: Path, repository: Path) -> None:
    assert cloned(tmp_path, repository, "") == {"one": "second\n"}
    assert (tmp_path / "root" / "into" / ".git").is_dir()
    assert not (tmp_path / "root" / "into" / ".opsctl-clone").exists()
    assert cloned(tmp_path, repository, "branch:v1") == {"one": "first\n", "gone": "gone\n"}
    first = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "v1"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert cloned(tmp_path, repository, "commitID:" + first)["one"] == "first\n"
    with pytest.raises(StepFailed, match="Remote branch none not found"):
        cloned(tmp_path, repository, "branch:none")


def test_hooks_and_programs_of_a_repository_are_not_run(tmp_path: Path, repository: Path) -> None:
    with pytest.raises(StepFailed, match="transport 'ext' not allowed"):
        retrieve(LocalHost(str(tmp_path)), "Git", GitSource("ext::sh -c 'touch /tmp/x'"), "/")
