"""What may be wrong with a state directory, made for real."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.doctor import machine, state
from agent.doctor.finding import Finding, as_text, fail, healthy, ok, warn
from agent.state import identity, status
from tests.agent.pki import Authority
from tests.agent.program import ROOT
from tests.agent.rig import Rig, body

CA = Authority()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """An enrolled node with a CA, which has reported once."""
    made = Rig(tmp_path)
    found = identity.load(made.state)
    identity.save(made.state, identity.Identity(**{**vars(found), "ca_digest": CA.digest}), CA.pem)
    made.give(1, body())
    made.run()
    yield made
    made.close()


def only(findings: list[Finding], level: str, says: str, remedy: str) -> None:
    """Exactly one of them is not well, and this is it."""
    (found,) = [finding for finding in findings if finding.level != "ok"]
    assert found.level == level, found
    assert says in found.says
    assert remedy in found.remedy


def everything(directory: str) -> list[Finding]:
    return [*state.directory(directory), *state.disk(directory), *state.enrolled(directory), *state.journal(directory)]


def test_all_is_well(rig: Rig) -> None:
    found = everything(rig.state)
    assert {finding.level for finding in found} == {"ok"}
    assert [finding.check for finding in found] == ["state", "disk", "identity", "keys", "ca", "journal"]


def test_a_node_that_is_not_enrolled_yet(tmp_path: Path) -> None:
    directory = str(tmp_path / "none" / "yet")
    only(everything(directory), "warn", "this node is not enrolled", "opsctl token create")


def test_a_directory_open_to_others(rig: Rig) -> None:
    Path(rig.state).chmod(0o755)
    only(everything(rig.state), "warn", "is open to others (mode 0755)", f"chmod 700 {rig.state}")


def test_a_file_where_the_directory_should_be(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    (found,) = state.directory(str(tmp_path / "state"))
    assert (found.level, found.says) == ("fail", f"{tmp_path}/state is not a directory")


def test_another_user(rig: Rig) -> None:
    """As a user who may not look into it."""
    if os.geteuid() != 0:
        pytest.skip("to become another user takes root")
    code = (
        "import os, sys; sys.path.insert(0, os.getcwd()); from agent.doctor import state; os.setuid(65534); "
        f"print(*state.directory({rig.state!r})[0], sep='|')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.startswith("state|fail|"), done.stderr
    assert "run this as" in done.stdout


def test_keys_that_others_can_read(rig: Rig) -> None:
    Path(identity.keys_path(rig.state)).chmod(0o644)
    only(everything(rig.state), "fail", "can be read by others (mode 0644)", "chmod 600")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("keys.json", None, "cannot prove who it is"),
        ("keys.json", "{", "keys.json: "),
        ("keys.json", '{"generation": 1, "sign": "c2hvcnQ=", "seal": "c2hvcnQ="}', "no keys of 32 bytes"),
        ("keys.json", '{"generation": 1, "sign": "not base64!", "seal": ""}', "no keys of 32 bytes"),
        ("ca.pem", None, "no server can be trusted"),
        ("ca.pem", "nonsense", "is not a certificate"),
        pytest.param("ca.pem", Authority("another").pem, "is not the CA that this node pinned", id="another CA"),
        ("identity.json", None, "identity.json is gone"),
        ("identity.json", "{}", "identity.json"),
    ],
)
def test_what_does_not_fit_together(rig: Rig, name: str, content: str | None, says: str) -> None:
    path = Path(rig.state, name)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    only(everything(rig.state), "fail", says, "enroll again")
    assert "c2hvcnQ" not in repr(everything(rig.state))


def test_a_ca_out_of_its_time() -> None:
    day = 86_400.0
    now = CA.certificate.not_valid_before_utc.timestamp()
    assert state.validity("ca", CA.pem, now - day).remedy.startswith("the clock is behind")
    assert "has expired" in state.validity("ca", CA.pem, now + 40 * day).says
    assert state.validity("ca", CA.pem, now + 20 * day).level == "warn"
    assert state.validity("ca", CA.pem, now + day / 2).level == "ok"


def test_a_journal_that_is_lost(rig: Rig) -> None:
    Path(rig.state, "journal").unlink()
    status.StatusFile(rig.state, "results.json").write({"Association/motd": {"seq": 7}})
    only(everything(rig.state), "fail", "and its 7 reports", "enroll again with a new token")


def test_a_journal_that_is_damaged(rig: Rig) -> None:
    path = Path(rig.state, "journal")
    data = bytearray(path.read_bytes())
    data[30] ^= 0xFF
    path.write_bytes(data)
    only(everything(rig.state), "warn", "bytes in the middle of it are damaged", "smartctl")
    assert path.read_bytes() == data, "it was only looked at"


def mounted(directory: Path, options: str, then: str) -> subprocess.CompletedProcess[str]:
    """A disk check in mounts of its own, with a small file system on the directory."""
    code = f"from agent.doctor import state; print(*state.disk({str(directory)!r})[0], sep='|')"
    script = f'mount -t tmpfs -o {options} none {directory} && {then} && exec {sys.executable} -c "{code}"'
    try:
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if "not permitted" in done.stderr or "permission denied" in done.stderr:
        pytest.skip("mounts of its own take root")
    return done


@pytest.mark.parametrize(
    ("options", "then", "says"),
    [
        ("size=2m", "{ head -c 3m /dev/zero >DIR/fill || true; } 2>/dev/null", "has 0 MiB free"),
        ("size=8m,nr_inodes=20", "touch DIR/a DIR/b DIR/c DIR/d DIR/e DIR/f", "inodes"),
        ("size=8m", "mount -o remount,ro DIR", "is on a file system that is read-only"),
        ("size=256m", "true", "it can be written"),
    ],
)
def test_disks(tmp_path: Path, options: str, then: str, says: str) -> None:
    done = mounted(tmp_path, options, then.replace("DIR", str(tmp_path)))
    level = "ok" if "can be written" in says else "fail"
    assert done.stdout.startswith(f"disk|{level}|"), done.stderr
    assert says in done.stdout


def test_the_links_last_word(rig: Rig) -> None:
    (found,) = state.link(rig.state)
    assert (found.level, found.check) == ("warn", "link")
    shown = status.StatusFile(rig.state, "link.json")
    since = {"server": "https://a:1", "since": "2026-03-01T00:00:00.000Z"}
    shown.write({"state": "connected", **since})
    assert state.link(rig.state)[0].level == "ok"
    shown.write({"state": "refused", "why": "the server closed the connection (4403: retired)", **since})
    (found,) = state.link(rig.state)
    assert found.level == "fail"
    assert "4403: retired" in found.says
    shown.write({"state": "waiting", "why": "Connection refused", **since})
    assert state.link(rig.state)[0].level == "warn"


def test_the_machine() -> None:
    assert machine.python().level == "ok"
    assert machine.libcrypto().level == "ok"
    assert machine.clock().level == "ok"
    assert machine.clock(0.0).level == "fail"


@pytest.mark.parametrize(
    ("told", "running", "level", "says"),
    [
        ({"LoadState": "not-found"}, None, "warn", "there is no opsctl-agent.service"),
        ({"ActiveState": "active", "SubState": "running", "UnitFileState": "enabled"}, 7, "ok", "active (running)"),
        ({"ActiveState": "active", "SubState": "running", "UnitFileState": "disabled"}, 7, "warn", "at boot"),
        ({"ActiveState": "inactive", "ConditionResult": "no"}, None, "warn", "waits for this node to be enrolled"),
        ({"ActiveState": "inactive", "SubState": "dead"}, 7, "warn", "process 7 runs the agent by hand"),
        ({"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"}, None, "fail", "exit-code"),
    ],
)
def test_what_systemd_says(told: dict[str, str], running: int | None, level: str, says: str) -> None:
    found = machine._service({"LoadState": "loaded", **told}, running)
    assert found.level == level
    assert says in found.says
    assert (level == "ok") == (not found.remedy)


def test_findings_fit_the_terminal() -> None:
    findings = [ok("dns", "short"), fail("tls", "a long story " * 20, "a long remedy " * 20), warn("x", "y", "z")]
    for columns in (40, 80, 200):
        assert all(len(line) <= columns for line in as_text(findings, columns).splitlines())
    assert not healthy(findings)
    assert as_text(findings, 80).splitlines()[0] == "ok    dns  short"
