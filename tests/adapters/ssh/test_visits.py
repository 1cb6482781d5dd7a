"""A visit over real SSH, with the real agent and the real gateway: join, converge, report, leave."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.contract import ephemeral, wire
from agent.visit import IN_MEMORY, PREFIX
from reconciler.adapters.ssh import Identity, SshSettings, SshVisitor
from reconciler.core.problem import Refused, Unavailable
from tests.adapters.gateway.conftest import Edge
from tests.adapters.ssh.conftest import MemoryGuest
from tests.adapters.ssh.host import Host, new_key
from tests.agent.program import archive as agent_archive
from tests.agent.program import until
from tests.agent.rig import script

MOTD = wire.Body(
    "Association/motd", "motd", [wire.BodyStep("motd", "ops:file", 1, {"path": "/etc/motd", "content": "hello\n"})]
)


def _in_memory() -> set[str]:
    return {path.name for path in Path(IN_MEMORY).glob(PREFIX + "*")}


def _files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def _reports(edge: Edge, guest: MemoryGuest) -> list[wire.Report]:
    return [report for report in edge.intake.reports if report.node_id == guest.node_id]


def test_a_machine_joins_converges_and_keeps_its_identity_and_nothing_else(
    edge: Edge, host: Host, visitor: SshVisitor, guest: MemoryGuest
) -> None:
    assert visitor.visit(host.reached(), guest) == guest.node_id
    guest.want(MOTD)
    visitor.visit(host.reached(), guest)
    assert (host.root / "etc/motd").read_text() == "hello\n"
    (first,) = _reports(edge, guest)
    assert (first.uid, first.status, first.seq) == (MOTD.uid, "Success", 1)
    assert edge.intake.holdings[guest.node_id].serial == 2
    (host.root / "etc/motd").write_text("somebody else\n")
    visitor.visit(host.reached(), guest)
    assert (host.root / "etc/motd").read_text() == "hello\n"
    assert [report.seq for report in _reports(edge, guest)] == [1, 2]
    assert len(guest.requests) == 1
    outside = {name for name in _files(host.root) if not name.startswith("var/lib/opsctl/")}
    assert outside == {"etc/motd"}
    assert not [name for name in _files(host.root) if name.endswith(".pyz")]


def test_a_node_that_has_this_very_program_installed_is_not_sent_it(
    edge: Edge, host: Host, visitor: SshVisitor, guest: MemoryGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reconciler.adapters.ssh import program

    visitor.visit(host.reached(), guest)
    size = len(visitor.program.archive)
    assert host.received > size
    before = host.received
    home = host.directory / "installed"
    shutil.unpack_archive(str(agent_archive()), home, "zip")
    (home / "archive.digest").write_text(visitor.program.digest)
    monkeypatch.setattr(program, "INSTALLED", str(home))
    visitor.visit(host.reached(), guest)
    assert host.received - before < size // 10


def test_an_ephemeral_node_is_the_same_node_every_time_and_leaves_nothing(
    edge: Edge, host: Host, visitor: SshVisitor, guest: MemoryGuest
) -> None:
    guest.ephemeral = True
    here = host.reached(ephemeral=True)
    left_before = _in_memory()
    visitor.visit(here, guest)
    wanted = guest.want(MOTD)
    visitor.visit(here, guest)
    (first,) = _reports(edge, guest)
    assert (first.status, first.cause, first.seq) == ("Success", "Assigned", 1)
    guest.last_seq = 700
    guest.told = {MOTD.uid: wire.Told(1, wanted.assignments[MOTD.uid].body_digest, wanted.context_digest)}
    visitor.visit(here, guest)
    again = _reports(edge, guest)[-1]
    assert (again.status, again.cause, again.seq) == ("Success", "Boot", 701)
    assert len({request.sign_key for request in guest.requests}) == 3
    assert _files(host.root) == {"etc/motd"}
    assert _in_memory() == left_before


@pytest.mark.parametrize(
    "body",
    [
        dataclasses.replace(MOTD, prune=True),
        dataclasses.replace(MOTD, on_remove="Prune"),
        script("true"),
    ],
)
def test_an_ephemeral_node_says_what_it_cannot_do(
    edge: Edge, host: Host, visitor: SshVisitor, guest: MemoryGuest, body: wire.Body
) -> None:
    guest.ephemeral = True
    visitor.visit(host.reached(ephemeral=True), guest)
    guest.want(body)
    visitor.visit(host.reached(ephemeral=True), guest)
    (refused,) = _reports(edge, guest)
    assert refused.status == "Failed"
    assert (refused.reason or "").startswith(ephemeral.WORD + ": ")
    assert not (host.root / "etc/motd").exists()


def test_a_lost_connection_keeps_the_report_for_the_next_visit(
    edge: Edge, host: Host, visitor: SshVisitor, guest: MemoryGuest
) -> None:
    visitor.visit(host.reached(), guest)
    mark = host.directory / "begun"
    go = host.directory / "go"
    lines = [f"touch {mark}", f"while [ ! -e {go} ]; do sleep 0.05; done"]
    guest.want(
        wire.Body("Association/slow", "slow", [wire.BodyStep("run", "aws:runShellScript", 1, {"runCommand": lines})])
    )
    with ThreadPoolExecutor(1) as threads:
        visit = threads.submit(visitor.visit, host.reached(), guest)
        until(mark.exists, "the script to begin")
        host.cut()
        with pytest.raises(Unavailable):
            visit.result(20)
    with pytest.raises(Unavailable, match="another agent"):
        visitor.visit(host.reached(), guest)
    go.touch()
    until(lambda: host.processes[1].poll() is not None, "the first agent to end")
    visitor.visit(host.reached(), guest)
    (told,) = _reports(edge, guest)
    assert (told.status, told.seq) == ("Success", 1)


def test_a_host_that_greets_everybody_is_understood(
    edge: Edge, host: Host, visitor: SshVisitor, guest: MemoryGuest
) -> None:
    host.greeting = b"Welcome!\r\nhave\nwant\n" * 50
    assert visitor.visit(host.reached(), guest) == guest.node_id


def test_a_host_is_one_node(edge: Edge, host: Host, visitor: SshVisitor, guest: MemoryGuest) -> None:
    visitor.visit(host.reached(), guest)
    with pytest.raises(Refused, match=f"holds the identity of web-1 \\({guest.node_id}\\), not of a new node"):
        visitor.visit(host.reached("web-2"), MemoryGuest(edge))


def test_what_was_taken_from_the_node_is_not_given_again(
    edge: Edge, host: Host, visitor: SshVisitor, guest: MemoryGuest
) -> None:
    visitor.visit(host.reached(), guest)
    shutil.rmtree(host.state)
    with pytest.raises(Refused, match="a node of this name is enrolled already"):
        visitor.visit(host.reached(), guest)


def test_a_retired_node_lets_go_and_its_machine_may_join_again(
    edge: Edge, host: Host, visitor: SshVisitor, guest: MemoryGuest
) -> None:
    visitor.visit(host.reached(), guest)
    guest.want(dataclasses.replace(MOTD, on_remove="Prune"))
    visitor.visit(host.reached(), guest)
    assert (host.root / "etc/motd").exists()
    present = edge.intake.sets[guest.node_id]
    edge.intake.sets[guest.node_id] = dataclasses.replace(present, serial=present.serial + 1, retire=True)
    visitor.visit(host.reached(), guest)
    assert not (host.root / "etc/motd").exists()
    again = MemoryGuest(edge)
    assert visitor.visit(host.reached(), again) not in ("", guest.node_id)


# What stands in the way


def test_a_wrong_host_key_is_refused_before_anything_is_sent(
    tmp_path: Path, host: Host, visitor: SshVisitor, guest: MemoryGuest
) -> None:
    other = new_key(tmp_path / "other")
    with pytest.raises(Refused, match="another host key"):
        visitor.visit(host.reached(host_keys=(f"{other.get_name()} {other.get_base64()}",)), guest)
    assert host.commands == []


def test_an_unknown_host_key_is_shown_and_not_trusted(host: Host, visitor: SshVisitor, guest: MemoryGuest) -> None:
    with pytest.raises(Refused, match="not known here") as caught:
        visitor.visit(host.reached(host_keys=()), guest)
    assert host.host_key in str(caught.value)
    assert host.commands == []


def test_the_servers_known_hosts_vouch_for_a_host(
    host: Host, settings: SshSettings, visitor: SshVisitor, guest: MemoryGuest
) -> None:
    assert settings.known_hosts is not None
    settings.known_hosts.write_text(f"[127.0.0.1]:{host.port} {host.host_key}\n")
    assert visitor.visit(host.reached(host_keys=()), guest) == guest.node_id


def test_who_is_not_let_in_says_so(
    edge: Edge, tmp_path: Path, host: Host, settings: SshSettings, guest: MemoryGuest
) -> None:
    new_key(tmp_path / "stranger", "open sesame")
    (tmp_path / "passphrase").write_text("open sesame\n")
    stranger = Identity(tmp_path / "stranger", tmp_path / "passphrase")
    visitor = SshVisitor(bytes, dataclasses.replace(settings, identities={"stranger": stranger}), edge.gateway.attend)
    with pytest.raises(Unavailable, match="does not let identity stranger in as root"):
        visitor.visit(host.reached(identity="stranger"), guest)
    with pytest.raises(Refused, match=r"no SSH identity 'strangers'.*did you mean stranger"):
        visitor.visit(host.reached(identity="strangers"), guest)


def test_a_host_without_python_says_so(host: Host, visitor: SshVisitor, guest: MemoryGuest) -> None:
    host.path = "/nowhere"
    with pytest.raises(Refused, match=r"no python3 on the node.*spec\.ssh\.python"):
        visitor.visit(host.reached(), guest)


def test_an_old_python_says_so(tmp_path: Path, host: Host, visitor: SshVisitor, guest: MemoryGuest) -> None:
    old = tmp_path / "bin"
    old.mkdir()
    (old / "python3").write_text(
        f'#!/bin/sh\nshift 2\nexec {sys.executable} -c "import sys; sys.version_info = (3, 6); $1"\n'
    )
    (old / "python3").chmod(0o755)
    host.path = f"{old}:{host.path}"
    with pytest.raises(Refused, match=r"needs Python 3\.8 or newer, and this is 3\.6"):
        visitor.visit(host.reached(), guest)


def test_a_host_that_is_not_there_says_so(host: Host, visitor: SshVisitor, guest: MemoryGuest) -> None:
    there = host.reached()
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1: Connection refused"):
        visitor.visit(dataclasses.replace(there, port=1), guest)
    with pytest.raises(Unavailable, match="no address of that name"):
        visitor.visit(dataclasses.replace(there, host="no-such-host.invalid"), guest)


def test_nothing_of_it_is_in_the_command(host: Host, visitor: SshVisitor, guest: MemoryGuest) -> None:
    visitor.visit(host.reached(), guest)
    assert host.commands == ["""python3 -I -c 'exec(open(0,"rb",0,closefd=False).readline())'"""]
