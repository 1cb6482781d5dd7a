"""ops:file where it is hard: large and binary content, a file system in motion, a kill in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import agent
from agent.contract.canonical import digest
from agent.host import LocalHost
from tests import faults
from tests.agent.converging import Node, body, outcomes, reasons, step

pytestmark = pytest.mark.fault

SOURCE = "blobs/large"
WRITES = faults.count(few=100, full=2000)
KILLS = faults.count(few=5, full=100)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def node(root: Path, tmp_path: Path) -> Iterator[Node]:
    made = Node(LocalHost(str(root)), tmp_path / "state")
    yield made
    made.close()


def test_fifty_megabytes_to_the_byte(node: Node, root: Path) -> None:
    large = os.urandom(1 << 20) * 50
    held = body(step("ops:file", {"path": "/large", "source": SOURCE}), files={SOURCE: large})
    node.hold(large)
    assert outcomes(node.converge(held)) == {"path:/large": "Changed"}
    assert digest((root / "large").read_bytes()) == digest(large)

    tracemalloc.start()
    assert outcomes(node.converge(held, cause="Interval")) == {"path:/large": "Unchanged"}
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 << 20, "what is right is read in pieces"

    before = (root / "large").stat()
    with (root / "large").open("r+b") as file:
        file.seek(30 << 20)
        file.write(bytes([large[30 << 20] ^ 1]))
    os.utime(root / "large", ns=(before.st_atime_ns, before.st_mtime_ns))
    healed = node.converge(held, cause="Interval")
    assert outcomes(healed) == {"path:/large": "Changed"}
    assert healed.claims[0].diff is None, "too large to be shown"
    assert digest((root / "large").read_bytes()) == digest(large)


def test_every_byte_there_is(node: Node, root: Path) -> None:
    content = bytes(range(256)) * 3
    held = body(step("ops:file", {"path": "/binary", "source": "b"}), files={"b": content})
    node.hold(content)
    (root / "binary").write_bytes(content[::-1])
    result = node.converge(held)
    assert outcomes(result) == {"path:/binary": "Changed"}
    assert result.claims[0].diff is not None
    assert result.claims[0].diff.startswith("768 bytes (sha256:")
    assert (root / "binary").read_bytes() == content
    assert not node.converge(held, cause="Interval").changed


@contextmanager
def swapping(one: Path, other: Path) -> Iterator[None]:
    """Meanwhile the two change places and go back, again and again."""
    end = threading.Event()

    def swap() -> None:
        aside = one.with_name("aside")
        while not end.is_set():
            for _ in range(2):
                one.rename(aside)
                other.rename(one)
                aside.rename(other)
                end.wait(0.0005)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a stranger's link")
def test_a_directory_that_becomes_a_strangers_link_leads_nowhere(node: Node, root: Path) -> None:
    for name in ("home", "etc"):
        (root / name).mkdir()
    (root / "link").symlink_to("/etc")
    os.chown(root / "link", 1000, 1000, follow_symlinks=False)
    with swapping(root / "home", root / "link"):
        for number in range(WRITES):
            held = body(step("ops:file", {"path": "/home/file", "content": f"{number}\n"}))
            assert set(outcomes(node.converge(held, generation=number)).values()) <= {"Changed", "Failed", "Unknown"}
    assert list((root / "etc").iterdir()) == []
    assert node.converge(held, generation=WRITES).status == "Success"
    assert names(root / "home") == ["file"]


def test_a_file_that_becomes_a_link_is_not_written_through(node: Node, root: Path) -> None:
    (root / "precious").write_text("precious\n")
    (root / "file").write_text("old\n")
    (root / "link").symlink_to("precious")
    with swapping(root / "file", root / "link"):
        for number in range(WRITES):
            held = body(step("ops:file", {"path": "/file", "content": f"{number}\n", "mode": f"06{number % 5}4"}))
            node.converge(held, generation=number)
    assert (root / "precious").read_text() == "precious\n"
    assert (root / "precious").stat().st_mode & 0o777 == 0o644


WRITER = """
import sys
from agent.host import LocalHost, replace
host = LocalHost(sys.argv[1])
contents = [bytes([letter]) * (8 << 20) for letter in b"ab"]
while True:
    for content in contents:
        replace(host, "/file", content, 0o644)
        print(flush=True)
"""


def test_a_write_that_is_cut_off_leaves_the_old_file_or_the_new(node: Node, root: Path) -> None:
    environment = {"PYTHONPATH": str(Path(agent.__file__).parent.parent)}
    for number in range(KILLS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root)], env=environment, stdout=subprocess.PIPE, start_new_session=True
        )
        assert writer.stdout is not None
        writer.stdout.readline()  # one is whole; the next is under way
        threading.Event().wait(0.001 * (number * 7 % 40))
        os.killpg(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert set((root / "file").read_bytes()) in ({ord("a")}, {ord("b")})
        assert (root / "file").stat().st_size == 8 << 20
    held = body(step("ops:file", {"path": "/file", "content": "c"}))
    assert outcomes(node.converge(held)) == {"path:/file": "Changed"}, reasons(node.converge(held))
    assert names(root) == ["file"]
