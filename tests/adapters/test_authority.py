"""The CA and the server's certificate, against TLS as it is spoken."""

from __future__ import annotations

import socket
import ssl
import stat
import subprocess
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.contract.canonical import digest
from reconciler.adapters.authority import CA_LIFE, RENEW_BEFORE, SERVER_LIFE, Authority
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_790_000_000_000


def milliseconds(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)


def at_present() -> int:
    return time.time_ns() // 1_000_000


def leaf(authority: Authority) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.chain_path.read_bytes())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "keys", "fl-1", NOW)


def shake_hands(authority: Authority, name: str) -> bytes:
    """The DER leaf that a client with only `ca.pem` accepts for this name."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(authority.chain_path, authority.key_path)
    client = ssl.create_default_context(cafile=str(authority.ca_path))
    here, there = socket.socketpair()

    def serve() -> None:
        with suppress(OSError), server.wrap_socket(there, server_side=True) as wrapped:  # the client tells of errors
            wrapped.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(here, server_hostname=name) as wrapped:
            presented = wrapped.getpeercert(True)
        assert presented is not None
        return presented
    finally:
        here.close()
        thread.join(10)


class TestTls:
    @pytest.mark.parametrize(
        "name", ["127.0.0.1", "::1", "localhost", "10.77.0.1", "fleet.example.org", "bücher.example", "fd00::5"]
    )
    def test_a_client_with_the_ca_takes_the_server_under_each_name(self, tmp_path: Path, name: str) -> None:
        authority = Authority(tmp_path, "fl-1", at_present())
        names = ["10.77.0.1", "Fleet.Example.org", "bücher.example", "[fd00::5]"]
        assert authority.ensure_server(names, at_present())
        assert digest(shake_hands(authority, name)) == digest(leaf(authority).public_bytes(Encoding.DER))

    def test_another_name_or_another_ca_is_not_taken(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path / "one", "fl-1", at_present())
        other = Authority(tmp_path / "two", "fl-1", at_present())
        for each in (authority, other):
            each.ensure_server([], at_present())
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            shake_hands(authority, "example.org")
        authority.chain_path.write_bytes(other.chain_path.read_bytes())
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(authority, "localhost")

    def test_openssl_finds_nothing_to_object_to(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path, "fl-1", at_present())
        authority.ensure_server(["server.example"], at_present())
        command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "server.example"]
        files = ["-CAfile", str(authority.ca_path), str(authority.chain_path)]
        done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


class TestFiles:
    def test_keys_are_the_owner_s_and_the_ca_is_everyone_s(self, authority: Authority, tmp_path: Path) -> None:
        authority.ensure_server([], NOW)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()}
        assert modes == {"ca.key": 0o600, "ca.pem": 0o644, "server.pem": 0o600}
        assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
        assert b"PRIVATE" not in authority.ca_path.read_bytes()

    def test_the_ca_is_made_once(self, authority: Authority, tmp_path: Path) -> None:
        again = Authority(tmp_path / "keys", "fl-1", NOW + 5)
        assert (again.ca_pem, again.ca_digest) == (authority.ca_pem, authority.ca_digest)
        assert authority.ca_digest == digest(ssl.PEM_cert_to_DER_cert(authority.ca_path.read_text()))

    def test_a_lost_ca_pem_comes_back(self, authority: Authority, tmp_path: Path) -> None:
        before = authority.ca_path.read_bytes()
        for lose in (lambda: authority.ca_path.unlink(), lambda: authority.ca_path.write_text("else")):
            lose()
            assert Authority(tmp_path / "keys", "fl-1", NOW).ca_path.read_bytes() == before

    @pytest.mark.parametrize("content", ["", "rubbish", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
    def test_a_broken_ca_is_never_replaced(self, authority: Authority, tmp_path: Path, content: str) -> None:
        file = tmp_path / "keys" / "ca.key"
        file.write_text(content)
        with pytest.raises(Unavailable, match=r"ca\.key"):
            Authority(tmp_path / "keys", "fl-1", NOW)
        assert file.read_text() == content

    def test_a_ca_key_that_others_may_read_is_refused(self, authority: Authority, tmp_path: Path) -> None:
        (tmp_path / "keys" / "ca.key").chmod(0o644)
        with pytest.raises(Refused, match="chmod 600"):
            Authority(tmp_path / "keys", "fl-1", NOW)


class TestRenewal:
    def test_it_stays_while_it_serves(self, authority: Authority) -> None:
        assert authority.ensure_server(["a.example", "b.example"], NOW)
        before = authority.chain_path.read_bytes()
        assert not authority.ensure_server(["b.example"], NOW + milliseconds(timedelta(days=59)))
        assert authority.chain_path.read_bytes() == before

    def test_a_new_one_well_before_the_end(self, authority: Authority) -> None:
        authority.ensure_server([], NOW)
        before = leaf(authority)
        late = NOW + milliseconds(SERVER_LIFE - RENEW_BEFORE) + 1000
        assert authority.ensure_server([], late)
        after = leaf(authority)
        assert after.not_valid_after_utc - before.not_valid_after_utc == SERVER_LIFE - RENEW_BEFORE + timedelta(
            seconds=1
        )
        assert after.public_key() != before.public_key()

    def test_a_new_one_for_a_new_name(self, authority: Authority) -> None:
        authority.ensure_server(["a.example"], NOW)
        assert authority.ensure_server(["a.example", "10.0.0.9"], NOW)

    def test_a_new_one_where_the_clock_went_back_or_the_file_is_of_no_use(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        authority.ensure_server([], NOW)
        other = Authority(tmp_path / "other", "fl-1", NOW)
        other.ensure_server([], NOW)
        for content in (b"", b"rubbish", other.chain_path.read_bytes()):
            authority.chain_path.write_bytes(content)
            assert authority.ensure_server([], NOW)
        authority.ensure_server([], NOW + milliseconds(timedelta(days=100)))
        assert authority.ensure_server([], NOW)

    def test_it_never_outlives_its_ca(self, authority: Authority) -> None:
        end = NOW + milliseconds(CA_LIFE)
        assert authority.ensure_server([], end - milliseconds(timedelta(days=10)))
        ca = x509.load_pem_x509_certificate(authority.ca_pem)
        assert leaf(authority).not_valid_after_utc == ca.not_valid_after_utc
        with pytest.raises(Unavailable, match="ended on"):
            authority.ensure_server([], end + 1000)

    @pytest.mark.parametrize("name", ["", "*.example", "a b", "a" * 64 + ".example", "x..y", "-\n"])
    def test_what_is_no_name(self, authority: Authority, name: str) -> None:
        with pytest.raises(Refused, match="neither a host name nor an address"):
            authority.ensure_server([name], NOW)

    def test_a_machine_may_be_called_anything(self, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "gethostname", lambda: "what a name.example")
        assert authority.ensure_server([], NOW)
        monkeypatch.setattr(socket, "gethostname", lambda: "web.example")
        assert authority.ensure_server([], NOW)
        names = leaf(authority).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert {"localhost", "web.example", "web"} <= set(names.get_values_for_type(x509.DNSName))
