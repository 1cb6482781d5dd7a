"""The ledger, and prune: only what opsctl made and nobody changed since."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agent.contract.claims import Claim
from agent.contract.wire import Body, BodyStep
from agent.host import LocalHost, Ran, replace
from agent.rounds import ledger as ledgers
from agent.rounds.claimants import claimants
from agent.rounds.departures import withdraw
from agent.rounds.ledger import Ledger
from agent.rounds.outcome import RunResult
from tests.agent.converging import Node, body, outcomes, reasons, step


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/etc").mkdir(parents=True)
    return tmp_path / "root"


@pytest.fixture
def node(root: Path, tmp_path: Path) -> Iterator[Node]:
    made = Node(LocalHost(str(root), runs_scripts=True), tmp_path / "state")
    yield made
    made.close()


def file(name: str, content: str = "ours\n", **more: str) -> BodyStep:
    return step("ops:file", {"path": f"/etc/{name}", "content": content, **more}, name=name)


def drop(node: Node, *kept: BodyStep, apply: bool = True) -> RunResult:
    """A new generation of the document, pruned, with only these steps left."""
    node.reopen()
    return node.converge(body(*kept, prune=True), generation=2, apply=apply)


def test_what_was_made_is_taken_away(node: Node, root: Path) -> None:
    held = [
        step("ops:directory", {"path": "/srv"}, name="srv"),
        step("ops:file", {"path": "/srv/a", "content": "a"}, name="a"),
        step("ops:link", {"path": "/srv/l", "target": "a"}, name="l"),
        step("ops:line", {"path": "/srv/lines", "line": "x", "create": True}, name="x"),
    ]
    node.converge(body(*held, file("kept")))
    result = drop(node, file("kept"))
    assert outcomes(result) == {
        "path:/etc/kept": "Unchanged",
        "path:/srv/lines#line:x": "Changed",
        "path:/srv/l": "Changed",
        "path:/srv/a": "Changed",
        "path:/srv": "Changed",
    }
    assert [(claim.before, claim.after) for claim in result.claims[2:]] == [("left by opsctl", "absent")] * 3
    assert sorted(path.name for path in root.iterdir()) == ["etc"]
    again = drop(node, file("kept"))
    assert outcomes(again) == {"path:/etc/kept": "Unchanged"}


def test_without_prune_everything_stays(node: Node, root: Path) -> None:
    node.converge(body(file("a"), file("b")))
    result = node.converge(body(file("a")), generation=2)
    assert outcomes(result) == {"path:/etc/a": "Unchanged"}
    assert (root / "etc/b").exists()
    assert outcomes(drop(node, file("a")))["path:/etc/b"] == "Changed"


def test_a_dry_run_of_prune_only_tells(node: Node, root: Path) -> None:
    node.converge(body(file("a")))
    noted = node.written()
    told = drop(node, apply=False)
    assert [(claim.claim, claim.outcome, claim.step) for claim in told.claims] == [("path:/etc/a", "Drifted", "prune")]
    assert node.written() == noted
    assert outcomes(drop(node)) == {"path:/etc/a": "Changed"}


def test_what_somebody_changed_since_is_left_and_named_once(node: Node, root: Path) -> None:
    node.converge(body(file("a"), file("b")))
    (root / "etc/a").write_text("by hand\n")
    (root / "etc/b").chmod(0o600)
    result = drop(node)
    assert outcomes(result) == {"path:/etc/a": "Skipped", "path:/etc/b": "Skipped"}
    assert set(reasons(result).values()) == {"left in place: it was changed since opsctl left it"}
    assert (root / "etc/a").read_text() == "by hand\n"
    assert drop(node).claims == []


def test_what_somebody_removed_is_not_missed(node: Node, root: Path) -> None:
    node.converge(body(file("a")))
    (root / "etc/a").unlink()
    assert outcomes(drop(node)) == {"path:/etc/a": "Unchanged"}
    assert node.ledger.entries("Association/web") == []


def test_what_was_there_before_is_put_back(node: Node, root: Path) -> None:
    (root / "etc/a").write_text("before\n")
    (root / "etc/a").chmod(0o640)
    (root / "etc/l").symlink_to("before")
    (root / "etc/d").mkdir(mode=0o700)
    (root / "etc/lines").write_text("one\nPort 1\n")
    (root / "etc/gone").write_text("was here\n")
    node.converge(
        body(
            file("a", mode="0644"),
            step("ops:link", {"path": "/etc/l", "target": "ours"}, name="l"),
            step("ops:directory", {"path": "/etc/d", "mode": "0755"}, name="d"),
            step("ops:line", {"path": "/etc/lines", "line": "Port 2", "match": "^Port"}, name="lines"),
            step("ops:file", {"path": "/etc/gone", "state": "absent"}, name="gone"),
        )
    )
    assert not (root / "etc/gone").exists()
    node.converge(body(file("a", "second\n", mode="0644")), generation=2)
    result = drop(node)
    assert set(outcomes(result).values()) == {"Changed"}
    assert {claim.after for claim in result.claims} == {"as it was before opsctl"}
    assert (root / "etc/a").read_text() == "before\n"
    assert (root / "etc/a").stat().st_mode & 0o777 == 0o640
    assert os.readlink(root / "etc/l") == "before"
    assert (root / "etc/d").stat().st_mode & 0o777 == 0o700
    assert (root / "etc/lines").read_text() == "one\nPort 1\n"
    assert (root / "etc/gone").read_text() == "was here\n"


def test_what_was_too_large_to_keep_is_left_and_named(node: Node, root: Path) -> None:
    (root / "etc/a").write_bytes(b"x" * 100_000)
    node.converge(body(file("a")))
    result = drop(node)
    assert reasons(result) == {
        "path:/etc/a": "left in place: it existed before, and its former content was too large to keep"
    }
    assert (root / "etc/a").read_text() == "ours\n"


def test_all_kept_content_together_is_bounded(node: Node, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "PRIOR_BYTES_AT_MOST", 20)
    for name in "ab":
        (root / f"etc/{name}").write_text("before here\n")
    node.converge(body(file("a"), file("b")))
    assert outcomes(drop(node)) == {"path:/etc/b": "Skipped", "path:/etc/a": "Changed"}


def test_a_directory_that_holds_something_else_stays(node: Node, root: Path) -> None:
    node.converge(body(step("ops:directory", {"path": "/srv"})))
    (root / "srv/other").write_text("")
    assert reasons(drop(node)) == {"path:/srv": "left in place: it is not empty"}


def test_something_else_in_its_place_stays(node: Node, root: Path) -> None:
    node.converge(body(file("a"), step("ops:link", {"path": "/etc/l", "target": "a"}, name="l")))
    for name in ("a", "l"):
        (root / "etc" / name).unlink()
        (root / "etc" / name).mkdir()
    assert set(outcomes(drop(node)).values()) == {"Skipped"}
    assert (root / "etc/a").is_dir()


def test_a_removed_line_is_not_put_back(node: Node, root: Path) -> None:
    (root / "etc/lines").write_text("a\nb\n")
    node.converge(body(step("ops:line", {"path": "/etc/lines", "line": "a", "state": "absent"})))
    assert outcomes(drop(node)) == {"path:/etc/lines#line:a": "Skipped"}
    assert (root / "etc/lines").read_text() == "b\n"


def test_a_claim_that_moves_to_another_association_stays(node: Node, root: Path) -> None:
    first = body(file("a"), uid="Association/one", prune=True)
    second = body(file("a"), uid="Association/two", prune=True, on_remove="Prune")
    node.converge(first)
    both = claimants([body(uid="Association/one"), second])
    assert node.converge(body(uid="Association/one", prune=True), generation=2, claimants=both).claims == []
    assert outcomes(node.converge(second, claimants=both)) == {"path:/etc/a": "Unchanged"}
    result = withdraw(node.host, second, node.ledger, claimants([]))
    assert outcomes(result) == {"path:/etc/a": "Changed"}
    assert not (root / "etc/a").exists()


def test_an_association_that_left(node: Node, root: Path) -> None:
    kept = body(file("kept"), uid="Association/kept")
    pruned = body(file("pruned"), uid="Association/pruned", on_remove="Prune")
    for held in (kept, pruned):
        node.converge(held)
    before = node.written()
    told = withdraw(node.host, pruned, node.ledger, claimants([kept]), apply=False)
    assert (outcomes(told), node.written()) == ({"path:/etc/pruned": "Drifted"}, before)
    result = withdraw(node.host, pruned, node.ledger, claimants([kept]))
    assert (result.status, result.changed, outcomes(result)) == ("Success", True, {"path:/etc/pruned": "Changed"})
    retained = withdraw(node.host, kept, node.ledger, claimants([]))
    assert (retained.status, retained.changed, retained.claims) == ("Success", False, [])
    assert sorted(path.name for path in (root / "etc").iterdir()) == ["kept"]
    node.reopen()
    assert node.ledger.entries("Association/kept") == []


def test_a_change_that_was_cut_off_is_remembered(node: Node, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class PowerLoss(BaseException):
        """What nothing catches."""

    whole = LocalHost.publish

    def cut(self: LocalHost, path: str) -> None:
        whole(self, path)
        raise PowerLoss

    (root / "etc/a").write_text("before\n")
    monkeypatch.setattr(LocalHost, "publish", cut)
    with pytest.raises(PowerLoss):
        node.converge(body(file("a")))
    monkeypatch.setattr(LocalHost, "publish", whole)
    node.reopen()
    assert not node.ledger.entries("Association/web")[0].done
    assert outcomes(node.converge(body(file("a")), cause="Boot")) == {"path:/etc/a": "Unchanged"}
    assert outcomes(drop(node)) == {"path:/etc/a": "Changed"}
    assert (root / "etc/a").read_text() == "before\n"


def test_what_opsctl_made_and_then_removed_needs_no_memory(node: Node) -> None:
    node.converge(body(file("a")))
    node.converge(body(step("ops:file", {"path": "/etc/a", "state": "absent"})), generation=2)
    assert node.ledger.entries("Association/web") == []


def test_a_failure_to_take_away_is_told_and_tried_again(
    node: Node, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.converge(body(file("a")))

    def refused(self: LocalHost, path: str) -> None:
        raise PermissionError(1, "Operation not permitted", path)

    with monkeypatch.context() as patched:
        patched.setattr(LocalHost, "unlink", refused)
        result = drop(node)
        assert reasons(result) == {"path:/etc/a": "/etc/a: Operation not permitted"}
        assert result.status == "Failed"
    assert outcomes(drop(node)) == {"path:/etc/a": "Changed"}


def test_a_damaged_ledger_takes_nothing_away(node: Node, root: Path) -> None:
    node.converge(body(file("a")))
    path = node.state / "ledger.json"
    path.write_text('[{"claim"')
    assert drop(node).claims == []
    assert (root / "etc/a").exists()
    assert path.with_suffix(".json.damaged").exists()


PARTS = [
    step("ops:line", {"path": "/etc/x", "line": "c"}, name="line"),
    step("ops:block", {"path": "/etc/x", "name": "a", "content": "1\n2"}, name="block"),
    step("ops:hosts", {"name": "db", "address": "10.0.0.5"}, name="hosts"),
]


def test_parts_of_files_are_taken_out_again(node: Node, root: Path) -> None:
    (root / "etc/x").write_text("a\nb\n")
    (root / "etc/hosts").write_text("10.0.0.1 db\n::1 localhost\n")
    node.converge(body(*PARTS))
    with (root / "etc/x").open("a") as file:
        file.write("theirs\n")
    assert set(outcomes(drop(node)).values()) == {"Changed"}
    assert (root / "etc/x").read_text() == "a\nb\ntheirs\n"
    assert (root / "etc/hosts").read_text() == "10.0.0.1 db\n::1 localhost\n"


def test_a_part_that_was_edited_is_left_and_a_file_made_for_one_goes(node: Node, root: Path) -> None:
    node.converge(
        body(*(step(one.action, {**one.inputs, **_CREATE.get(one.name, {})}, name=one.name) for one in PARTS))
    )
    path = root / "etc/x"
    path.write_text(path.read_text().replace("2\n", "9\n"))
    dropped = drop(node)
    assert outcomes(dropped)["path:/etc/x#block:a"] == "Skipped"
    assert reasons(dropped)["path:/etc/x#block:a"] == "left in place: it was changed since opsctl left it"
    assert path.read_text() == "# BEGIN opsctl a\n1\n9\n# END opsctl a\n"
    assert not (root / "etc/hosts").exists()


_CREATE = {"line": {"create": True}}


def test_packages_services_and_users(tmp_path: Path) -> None:
    from agent.host.memory import MemoryHost
    from agent.host.memory import Node as Place

    host = MemoryHost()
    for path in ("/etc", "/var", "/var/lib", "/var/lib/dpkg", "/run", "/run/systemd", "/run/systemd/system"):
        host.nodes[path] = Place("directory", 0o755)
    replace(host, "/var/lib/dpkg/status", b"", 0o644)
    replace(host, "/etc/passwd", b"", 0o644)
    replace(host, "/etc/group", b"", 0o644)
    running = False

    def apt_get(host: MemoryHost, argv: Sequence[str]) -> Ran:
        words = list(argv)
        if "-s" in words:
            return Ran(0, b"Remv nginx [1.0]\nRemv site [1.0]\n" if "nginx" in words else b"Remv curl [1.0]\n")
        here = host.read("/var/lib/dpkg/status").decode()
        for name in words[words.index("--") + 1 :]:
            stanza = f"Package: {name}\nStatus: install ok installed\nVersion: 1.0\n\n"
            here = here.replace(stanza, "") if "remove" in words else here + stanza
        replace(host, "/var/lib/dpkg/status", here.encode(), 0o644)
        return Ran(0)

    def systemctl(host: MemoryHost, argv: Sequence[str]) -> Ran:
        nonlocal running
        words = list(argv)
        if "start" in words or "stop" in words:
            running = "start" in words
        active = "active" if running else "inactive"
        return Ran(0, f"LoadState=loaded\nActiveState={active}\nSubState=x\nUnitFileState=enabled\n".encode())

    def useradd(host: MemoryHost, argv: Sequence[str]) -> Ran:
        replace(host, "/etc/passwd", b"app:x:998:998::/home/app:/bin/sh\n", 0o644)
        return Ran(0)

    def userdel(host: MemoryHost, argv: Sequence[str]) -> Ran:
        replace(host, "/etc/passwd", b"", 0o644)
        return Ran(0)

    def apt_cache(host: MemoryHost, argv: Sequence[str]) -> Ran:
        names = [word for word in argv if word in ("nginx", "curl")]
        return Ran(0, "".join(f"{name}:\n  Installed: (none)\n  Candidate: 1.0\n" for name in names).encode())

    host.programs.update(
        {"apt-get": apt_get, "apt-cache": apt_cache, "systemctl": systemctl, "useradd": useradd, "userdel": userdel}
    )
    node = Node(host, tmp_path / "state")
    made = node.converge(
        body(
            step("ops:user", {"name": "app", "system": True}, name="user"),
            step("ops:package", {"name": ["nginx", "curl"]}, name="packages"),
            step("ops:service", {"name": "nginx", "state": "started"}, name="service"),
        )
    )
    assert set(outcomes(made).values()) == {"Changed"}
    result = drop(node)
    assert outcomes(result) == {
        "unit:nginx.service": "Changed",
        "package:curl": "Changed",
        "package:nginx": "Skipped",
        "user:app": "Changed",
    }
    assert reasons(result)["package:nginx"] == "left in place: to remove it would remove site as well"
    assert not running
    assert host.read("/etc/passwd") == b""
    node.close()


def test_a_ledger_is_written_only_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    ledger = Ledger(str(path))
    ledger.save()
    assert not path.exists()
    claim = Claim("path", "/etc/a", "line:x", False)
    ledger.intend("Association/web", "ops:line", claim, {"line": None, "file": True})
    ledger.complete(claim, {"line": "x", "file": True})
    ledger.save()
    first = path.stat().st_ino
    again = Ledger(str(path))
    assert again.entries("Association/web") == ledger.entries("Association/web")
    again.adopt("Association/web", claim)
    again.complete(claim, {"line": "x", "file": True})
    again.save()
    assert path.stat().st_ino == first


def test_bodies_may_hold_nothing() -> None:
    assert claimants([Body("Association/x", "Document/x", [])]).claims == frozenset()
