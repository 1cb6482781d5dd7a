"""What a replaced file keeps besides its bytes, on a file system that has it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from agent.host import LocalHost, replace

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
LIST = bytes.fromhex("0200000001000600ffffffff02000400d204000004000400ffffffff10000400ffffffff20000000ffffffff")
"""u::rw- u:1234:r-- g::r-- m::r-- o::---"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    try:
        os.setxattr(tmp_path, "user.probe", b"")
    except OSError as error:
        pytest.skip(f"this file system has no extended attributes: {error.strerror}")
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def host(root: Path) -> LocalHost:
    return LocalHost(str(root))


def give(path: Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        pytest.skip(f"{name} cannot be set here: {error.strerror}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user.origin", b"https://example.org/\x00\xff"),
        ("user.empty", b""),
        (ACCESS, LIST),
        ("security.selinux", b"system_u:object_r:httpd_config_t:s0\x00"),
        ("trusted.mark", b"x"),
    ],
)
def test_an_attribute_is_kept(host: LocalHost, root: Path, name: str, value: bytes) -> None:
    replace(host, "/file", b"one", 0o640)
    give(root / "file", name, value)
    replace(host, "/file", b"two", 0o640)
    assert (root / "file").read_bytes() == b"two"
    assert os.getxattr(root / "file", name) == value


def test_what_vouches_for_the_bytes_is_not_kept(host: LocalHost, root: Path) -> None:
    replace(host, "/file", b"one", 0o755)
    give(root / "file", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    replace(host, "/file", b"two", 0o755)
    assert "security.capability" not in os.listxattr(root / "file")


def test_a_file_without_an_access_list_gets_none_from_its_directory(host: LocalHost, root: Path) -> None:
    replace(host, "/file", b"one", 0o640)
    give(root, DEFAULT, LIST)
    replace(host, "/file", b"two", 0o640)
    assert ACCESS not in os.listxattr(root / "file")
    replace(host, "/new", b"one", 0o640)
    assert ACCESS in os.listxattr(root / "new")


def test_a_file_system_without_attributes_is_no_trouble(
    host: LocalHost, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> list[str]:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    replace(host, "/file", b"one", 0o640)
    monkeypatch.setattr(os, "listxattr", unsupported)
    replace(host, "/file", b"two", 0o640)
    assert (root / "file").read_bytes() == b"two"


@pytest.mark.parametrize(("name", "number"), [("user.big", errno.ENOSPC), (ACCESS, errno.EPERM)])
def test_an_attribute_that_is_lost_fails_the_write(
    host: LocalHost, root: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    replace(host, "/file", b"one", 0o640)
    give(root / "file", name, LIST)
    monkeypatch.setattr(os, "setxattr", refused)
    with pytest.raises(OSError, match=os.strerror(number)):
        replace(host, "/file", b"two", 0o640)
    assert sorted(path.name for path in root.iterdir()) == ["file"]
    assert (root / "file").read_bytes() == b"one"


def test_a_label_that_the_agent_may_not_set_stays_the_systems(
    host: LocalHost, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    replace(host, "/file", b"one", 0o640)
    give(root / "file", "security.selinux", b"system_u:object_r:etc_t:s0\x00")
    monkeypatch.setattr(os, "setxattr", refused)
    replace(host, "/file", b"two", 0o640)
    assert (root / "file").read_bytes() == b"two"
