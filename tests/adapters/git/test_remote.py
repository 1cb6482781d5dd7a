"""Addresses, credentials, and remotes across the network."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.adapters.git import GitReportBranch, Mirror, Remote, remote
from reconciler.adapters.git.command import redacted
from reconciler.core.problem import Refused, Unavailable
from tests.adapters.git.servers import git_daemon, http_backend, silent_peer

if TYPE_CHECKING:
    from tests.adapters.git.remotes import RealRemote

PASSWORD = "s3cr3t/p@ss"
QUOTED = "s3cr3t%2Fp%40ss"


class TestAddresses:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("https://git.example.com/fleet.git", "https://git.example.com/fleet.git"),
            ("ssh://git@git.example.com:2222/fleet.git", "ssh://git@git.example.com:2222/fleet.git"),
            ("git@git.example.com:ops/fleet.git", "git@git.example.com:ops/fleet.git"),
            ("file:///srv/fleet.git", "file:///srv/fleet.git"),
            ("http://localhost:3000/fleet", "http://localhost:3000/fleet"),
            ("git://127.0.0.1/fleet", "git://127.0.0.1/fleet"),
            ("git://[::1]/fleet", "git://[::1]/fleet"),
            ("/srv/fleet.git", "/srv/fleet.git"),
        ],
    )
    def test_accepted(self, text: str, address: str) -> None:
        assert Remote.parse(text) == Remote(address)

    def test_a_relative_path_is_made_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert Remote.parse("fleet.git") == Remote(str(tmp_path / "fleet.git"))

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("http://git.example.com/fleet", "proves no identity"),
            ("git://git.example.com/fleet", "proves no identity"),
            ("http://127.0.0.1.example.com/fleet", "proves no identity"),
            ("ftp://git.example.com/fleet", "'ftp'"),
            ("ssh://git:secret@git.example.com/fleet", "use a key"),
            ("ext::sh -c 'touch ran'", "no address"),
            ("fd::17", "no address"),
            ("--upload-pack=touch ran", "no address"),
            ("", "no address"),
            ("https://git.example.com/\nfleet", "no address"),
        ],
    )
    def test_refused(self, text: str, words: str) -> None:
        with pytest.raises(Refused, match=words):
            Remote.parse(text)

    def test_credentials_are_held_apart(self) -> None:
        found = Remote.parse(f"https://ada:{QUOTED}@git.example.com:8443/fleet.git")
        assert found == Remote("https://git.example.com:8443/fleet.git", "ada", PASSWORD)
        assert PASSWORD not in repr(found)
        assert "ada" not in repr(found)
        assert str(found) == "https://git.example.com:8443/fleet.git"

    def test_a_refused_address_does_not_show_its_password(self) -> None:
        for text in (f"http://ada:{QUOTED}@git.example.com/x", f"ssh://ada:{QUOTED}@git.example.com/x"):
            with pytest.raises(Refused) as refused:
                Remote.parse(text)
            assert QUOTED not in str(refused.value)

    def test_redaction(self) -> None:
        said = f"fatal: unable to access 'https://ada:{QUOTED}@git.example.com/x/': see ssh://git@git.example.com/y"
        assert redacted(said) == (
            "fatal: unable to access 'https://***@git.example.com/x/': see ssh://***@git.example.com/y"
        )


class TestNetwork:
    def test_the_daemon(self, real: RealRemote, tmp_path: Path) -> None:
        tip = real.commit("main", {"a": b"1"})
        with git_daemon(tmp_path) as base:
            address = Remote.parse(f"{base}/remote.git")
            with Mirror(tmp_path / "mirror", address) as mirror:
                assert mirror.fetch() == tip
                assert mirror.read(tip, ["a"]) == {"a": b"1"}
            reports = GitReportBranch(tmp_path / "reports", address)
            oid = reports.write({"summary.yaml": b"{}\n"}, "First", at=1000, instance="one")
            reports.close()
            assert real.tip("compliance") == oid
        with Mirror(tmp_path / "mirror", address) as mirror, pytest.raises(Unavailable, match="Connection refused"):
            mirror.fetch()

    def test_a_password(self, real: RealRemote, tmp_path: Path) -> None:
        tip = real.commit("main", {"a": b"1"})
        real.git("config", "http.receivepack", "true")
        with http_backend(tmp_path, "ada", PASSWORD) as host:
            address = Remote.parse(f"http://ada:{QUOTED}@{host}/remote.git")
            with Mirror(tmp_path / "mirror", address) as mirror:
                assert mirror.fetch() == tip
            reports = GitReportBranch(tmp_path / "reports", address)
            assert reports.write({"summary.yaml": b"{}\n"}, "First", at=1000, instance="one") == real.tip("compliance")
            reports.close()
        for directory in (tmp_path / "mirror", tmp_path / "reports"):
            kept = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
            assert b"s3cr3t" not in kept

    def test_the_password_is_in_no_command_line(self, tmp_path: Path) -> None:
        """As seen by whoever lists processes while a fetch waits for the remote."""
        failures: list[Unavailable] = []

        def fetch() -> None:
            try:
                mirror.fetch()
            except Unavailable as unavailable:
                failures.append(unavailable)

        with silent_peer() as port, Mirror(tmp_path / "mirror", address_at(port)) as mirror:
            fetching = threading.Thread(target=fetch)
            fetching.start()
            seen: list[str] = []
            while fetching.is_alive() and not any("remote-http" in line for line in seen):
                seen = lines_with(f"127.0.0.1:{port}")
        fetching.join()
        assert any("remote-http" in line for line in seen)
        assert not [line for line in seen if "s3cr3t" in line]
        assert "s3cr3t" not in str(failures)
        assert len(failures) == 1

    @pytest.mark.parametrize("userinfo", ["", "ada:wr0ng@", "t0ken@"])
    def test_a_wrong_password_neither_asks_nor_tells(self, real: RealRemote, tmp_path: Path, userinfo: str) -> None:
        with http_backend(tmp_path, "ada", PASSWORD) as host:
            address = Remote.parse(f"http://{userinfo}{host}/remote.git")
            with Mirror(tmp_path / "mirror", address) as mirror, pytest.raises(Unavailable) as unavailable:
                mirror.fetch()
        assert host in str(unavailable.value)
        assert "wr0ng" not in str(unavailable.value)
        assert "t0ken" not in str(unavailable.value)

    def test_a_remote_that_never_answers(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remote, "_NETWORK_DEADLINE", 0.5)
        with silent_peer() as port, Mirror(tmp_path / "mirror", Remote.parse(f"git://127.0.0.1:{port}/x")) as mirror:
            started = time.monotonic()
            with pytest.raises(Unavailable, match=r"no answer within 0\.5 s"):
                mirror.fetch()
            assert time.monotonic() - started < 30
            assert not lines_with(f"127.0.0.1:{port}")

    def test_ssh_does_not_prompt(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither for an unknown host key nor for a passphrase: there is nobody to answer."""
        ssh = tmp_path / "ssh"
        ssh.write_text(
            f'#!/bin/sh\necho "$@" >{tmp_path}/arguments\necho "Permission denied (publickey)." >&2\nexit 255\n'
        )
        ssh.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -o BatchMode=no")
        address = Remote.parse("git@git.example.com:ops/fleet.git")
        with Mirror(tmp_path / "mirror", address) as mirror, pytest.raises(Unavailable, match="Permission denied"):
            mirror.fetch()
        arguments = (tmp_path / "arguments").read_text()
        assert "-o BatchMode=yes" in arguments
        assert "git@git.example.com" in arguments

    def test_no_such_repository(self, tmp_path: Path) -> None:
        with Mirror(tmp_path / "mirror", Remote.parse(str(tmp_path / "absent.git"))) as mirror:
            with pytest.raises(Unavailable, match="does not appear to be a git repository"):
                mirror.fetch()
            assert mirror.head() is None


def address_at(port: int) -> Remote:
    return Remote.parse(f"http://ada:{QUOTED}@127.0.0.1:{port}/remote.git")


def lines_with(word: str) -> list[str]:
    listing = subprocess.run(["ps", "-ww", "-e", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if word in line]
