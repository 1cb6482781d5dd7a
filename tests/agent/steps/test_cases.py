"""Every step by its case files: dry run, apply, and a second look that changes nothing.

A case: the `host` it starts on, an `action` with its `inputs`, the `claims` reported and the tree `after`. It runs on
the machine in memory and, where `memory_only` is not set, beneath a directory of this machine too. `programs` and
`scripts` say what commands answer, with `then` for what they do to the host, and `web` what is at a URL; `commands` are
those expected while applying, looks left out.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.contract.wire import Body, ClaimReport
from agent.host import Host, LocalHost, Ran
from agent.host.memory import MemoryHost
from tests.agent.converging import Node, body, build, matches, step, tree

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
LOOKS = {"show", "is-enabled", "policy"}


def cases() -> Iterator[Any]:
    for path in CASES:
        for case in yaml.safe_load(path.read_text()):
            for place in ["memory"] if case.get("memory_only") else ["memory", "local"]:
                yield pytest.param(case, place, id=f"{path.stem}: {case['name']} ({place})")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.mark.parametrize(("case", "place"), list(cases()))
def test_case(case: dict[str, Any], place: str, root: Path, tmp_path: Path) -> None:
    host = made(case, place, root)
    node = Node(host, tmp_path / "state", case.get("labels", {}), case.get("vars", {}), case.get("facts", {}))
    files = {path: text.encode() for path, text in case.get("files", {}).items()}
    node.hold(*files.values())
    wanted = body(step(case["action"], case["inputs"]), files=files)

    dry = looked(node, wanted, root)
    applied = acted(node, wanted, case, root)
    assert [facts(claim) for claim in dry if claim.outcome == "Drifted"] == [
        facts(claim) for claim in applied if claim.before is not None
    ], "a dry run is exactly what apply does"
    if all(claim.outcome in ("Changed", "Unchanged") for claim in applied):
        settled(node, wanted, root)
    node.close()


def looked(node: Node, wanted: Body, root: Path) -> list[ClaimReport]:
    """A dry run: nothing is touched, nothing is noted."""
    before, noted = tree(node.host, root), node.written()
    result = node.converge(wanted, apply=False)
    assert tree(node.host, root) == before
    assert node.written() == noted
    assert "Changed" not in {claim.outcome for claim in result.claims}
    return result.claims


def acted(node: Node, wanted: Body, case: Mapping[str, Any], root: Path) -> list[ClaimReport]:
    if isinstance(node.host, MemoryHost):
        node.host.commands.clear()
    claims = node.converge(wanted).claims
    assert len(claims) == len(case["claims"])
    assert [told(claim, expected) for claim, expected in zip(claims, case["claims"])] == case["claims"]
    assert matches(tree(node.host, root), case.get("after", {})) == []
    if "commands" in case:
        assert isinstance(node.host, MemoryHost)
        assert [argv for argv in node.host.commands if not LOOKS & set(argv)] == case["commands"]
    return claims


def settled(node: Node, wanted: Body, root: Path) -> None:
    """A second run: no change, and nothing written anywhere."""
    before, noted = tree(node.host, root), node.written()
    if isinstance(node.host, MemoryHost):
        node.host.writes.clear()
    result = node.converge(wanted, cause="Interval")
    assert {claim.outcome for claim in result.claims} == {"Unchanged"}
    assert not result.changed
    assert tree(node.host, root) == before
    assert node.written() == noted
    if isinstance(node.host, MemoryHost):
        assert node.host.writes == []


def told(claim: ClaimReport, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Of the report, the fields that the case speaks of; a reason may be given by its beginning."""
    seen = {name: getattr(claim, name) for name in expected}
    reason = expected.get("reason")
    if isinstance(reason, str) and isinstance(seen["reason"], str) and seen["reason"].startswith(reason):
        seen["reason"] = reason
    return seen


def facts(claim: ClaimReport) -> tuple[str, str | None, str | None, str | None]:
    return claim.claim, claim.before, claim.after, claim.diff


def made(case: Mapping[str, Any], place: str, root: Path) -> Host:
    host: Host
    if place == "local":
        host = LocalHost(str(root), runs_scripts=True)
    else:
        host = MemoryHost(sandbox=bool(case.get("sandbox", False)))
        host.users.update(case.get("users", {}))
        host.groups.update(case.get("groups", {}))
        host.peers.update({server: base64.b64decode(der) for server, der in case.get("peers", {}).items()})
        host.web.update({url: text.encode() for url, text in case.get("web", {}).items()})
        answers = case.get("programs", [])
        for name in {answer["run"][0] for answer in answers}:
            host.programs[name] = program([answer for answer in answers if answer["run"][0] == name])
        if "scripts" in case:
            host.shell = shell(case["scripts"])
    build(host, root, case.get("host", {}))
    return host


def program(answers: Sequence[Mapping[str, Any]]) -> Callable[[MemoryHost, Sequence[str]], Ran]:
    """A program that gives the first answer whose words are all in argv, in order, and whose `when` holds."""

    def run(host: MemoryHost, argv: Sequence[str]) -> Ran:
        for answer in answers:
            words = iter(argv)
            if all(word in words for word in answer["run"]) and not matches(tree(host, None), answer.get("when", {})):
                build(host, None, answer.get("then", {}))
                return answered(answer)
        raise AssertionError(f"no answer to {argv}")

    return run


def shell(answers: Mapping[str, Any]) -> Callable[[MemoryHost, str], Ran]:
    def run(host: MemoryHost, text: str) -> Ran:
        for answer in answers[text.rstrip("\n")]:
            if not matches(tree(host, None), answer.get("when", {})):
                build(host, None, answer.get("then", {}))
                return answered(answer)
        raise AssertionError(f"no answer to {text!r}")

    return run


def answered(answer: Mapping[str, Any]) -> Ran:
    return Ran(
        answer.get("rc", 0),
        answer.get("stdout", "").encode(),
        answer.get("stderr", "").encode(),
        timed_out=answer.get("timed_out", False),
    )
