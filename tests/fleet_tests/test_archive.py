"""Which of a host's apt sources is the distribution's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleet import archive
from tests.fleet.archive import Archive, host_archive
from tests.fleet.commands import FleetError

THIRD_PARTY = "deb [arch=amd64 signed-by=/keys/third.gpg] https://third.example/apt bookworm main\n"
DEB822 = """\
Types: deb
# a comment
URIs: https://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /keys/debian.gpg

Types: deb
URIs: https://mirror.example/security
Suites: bookworm-security
Components: main
"""
ONE_LINE = """\
# deb https://old.example/debian bookworm main
deb-src https://mirror.example/debian bookworm main
deb https://mirror.example/debian bookworm main contrib # ours
deb https://mirror.example/debian bookworm-updates main
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(archive, "host_release", lambda: {"VERSION_CODENAME": "bookworm"})
    monkeypatch.setattr(archive, "run", lambda *_: 'Acquire::http::Proxy "http://proxy.example";\nDir "/";\n')
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "a-third-party.list").write_text(THIRD_PARTY)
    return tmp_path


def test_deb822_sources(apt: Path) -> None:
    (apt / "sources.list.d" / "debian.sources").write_text(DEB822)
    found = host_archive(apt)
    proxy = 'Acquire::http::Proxy "http://proxy.example";'
    assert found == Archive("https://mirror.example/debian", ("main", "contrib"), "/keys/debian.gpg", (proxy,))
    assert found.line("trixie") == "deb [signed-by=/keys/debian.gpg] https://mirror.example/debian trixie main contrib"


def test_one_line_sources(apt: Path) -> None:
    (apt / "sources.list").write_text(ONE_LINE)
    assert host_archive(apt).line("trixie") == "deb https://mirror.example/debian trixie main contrib"


def test_disabled_stanza_is_no_source(apt: Path) -> None:
    (apt / "sources.list.d" / "debian.sources").write_text(
        DEB822.replace("Types: deb\n#", "Types: deb\nEnabled: no\n#")
    )
    assert host_archive(apt).uri == "https://third.example/apt"


def test_mirror_list_gives_its_first_entry(apt: Path) -> None:
    mirrors = apt / "mirrors.list"
    mirrors.write_text("# nearest first\n\nhttps://near.example/debian/ priority:1\nhttps://far.example/debian\n")
    text = ONE_LINE.replace("https://mirror.example/debian", f"mirror+file:{mirrors}")
    (apt / "sources.list").write_text(text)
    assert host_archive(apt).uri == "https://near.example/debian"


def test_no_source_for_the_release(apt: Path) -> None:
    (apt / "sources.list.d" / "a-third-party.list").unlink()
    with pytest.raises(FleetError, match="no source for bookworm main"):
        host_archive(apt)
