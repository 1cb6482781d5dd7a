"""Steps of a repository's own: by cases with real programs, and killed while they act."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.contract.wire import Body
from agent.host import LocalHost
from agent.host.port import EndNotSeen, Ran
from tests.agent.converging import Node, body, outcomes, reasons, step
from tests.agent.jobs import until
from tests.agent.steps.test_cases import told

CASES = yaml.safe_load((Path(__file__).parent / "custom.yaml").read_text())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def node(root: Path, tmp_path: Path) -> Iterator[Node]:
    host = LocalHost(str(root), str(tmp_path / "scripts"), executions=str(tmp_path / "executions"), runs_scripts=True)
    (tmp_path / "scripts").mkdir()
    made = Node(host, tmp_path / "state")
    yield made
    made.close()


def asked(node: Node, case: dict[str, Any]) -> Body:
    """A body with one step, as the case has it."""
    files = {"steps/thing/bin/it": case["program"].encode(), "steps/thing/beside": case.get("beside", "").encode()}
    node.hold(*files.values())
    inputs = {
        "name": "thing",
        "desired": case["desired"],
        "get": ["bin/it", "get"],
        "test": ["bin/it", "test"] if case.get("test") else [],
        "set": ["bin/it", "set"] if case.get("set", True) else [],
        "platforms": case.get("platforms", ["Linux"]),
        "timeoutSeconds": case.get("timeout", 30),
        "key": "a",
        "executable": ["bin/it"],
        "links": case.get("links", {}),
        "environment": case.get("environment", []),
        "exits": case.get("exits", {}),
    }
    return body(step("x:thing", inputs, on_failure="continue"), files=files)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any], node: Node, root: Path) -> None:
    file, ran = root / "file", root / "ran"
    if case.get("before") is not None:
        file.write_text(case["before"])
    wanted = asked(node, case)
    dry = node.converge(wanted, apply=False).claims
    claims = node.converge(wanted).claims
    assert [told(claim, expected) for claim, expected in zip(claims, case["claims"])] == case["claims"]
    assert [(claim.before, claim.after, claim.diff) for claim in dry] == [
        (claim.before, claim.after, claim.diff) for claim in claims
    ], "a dry run is exactly what apply does"
    if "file" in case:
        assert (file.read_text() if file.exists() else None) == case["file"]
    if "ran" in case:
        assert ran.read_text().split() == case["ran"]
    if {claim.outcome for claim in claims} <= {"Changed", "Unchanged"}:
        again = node.converge(wanted, cause="Interval")
        assert ({claim.outcome for claim in again.claims}, again.changed) == ({"Unchanged"}, False)


PLAIN = next(case for case in CASES if case["name"] == "get and set, compared property by property")


def test_what_somebody_changed_in_its_folder_is_put_right_before_it_is_run(node: Node, tmp_path: Path) -> None:
    wanted = asked(node, PLAIN)
    assert node.converge(wanted).status == "Success"
    (folder,) = (tmp_path / "scripts" / "programs").iterdir()
    (folder / "bin" / "it").write_text("#!/bin/sh\ntouch $OPSCTL_ROOT/taken-over\n")
    (folder / "left-by-the-program").touch()
    assert outcomes(node.converge(wanted, cause="Interval")) == {"x:thing:a": "Unchanged"}
    (folder / "bin" / "it").chmod(0o600)
    assert outcomes(node.converge(wanted, cause="Interval")) == {"x:thing:a": "Unchanged"}
    assert not (tmp_path / "root" / "taken-over").exists()


def test_another_content_is_another_folder_and_bytes_that_are_not_here_are_named(node: Node, tmp_path: Path) -> None:
    node.converge(asked(node, PLAIN))
    node.converge(asked(node, {**PLAIN, "beside": "changed"}))
    assert len(list((tmp_path / "scripts" / "programs").iterdir())) == 2
    wanted = asked(node, {**PLAIN, "beside": "not here"})
    node.blobs.clear()
    assert "steps/thing/" in str(reasons(node.converge(wanted))["x:thing:a"])


def test_two_steps_own_one_thing_on_no_node(node: Node) -> None:
    wanted = asked(node, PLAIN)
    both = body(*wanted.steps, step("x:thing", wanted.steps[0].inputs, name="other"))
    assert "x:thing:a is already claimed by step it" in str(node.converge(both).claims[1].reason)


def test_a_sandbox_runs_none_unless_told_to(root: Path, tmp_path: Path) -> None:
    made = Node(LocalHost(str(root), str(tmp_path)), tmp_path / "state")
    assert outcomes(made.converge(asked(made, PLAIN))) == {"x:thing:a": "Skipped"}
    made.close()


SLOW = """#!/bin/sh
test "$1" = get && { cat "$OPSCTL_ROOT/file" 2>/dev/null || echo '{}'; exit; }
echo once >> "$OPSCTL_ROOT/begun"
while [ ! -e "$OPSCTL_ROOT/go" ]; do sleep 0.02; done
cat > "$OPSCTL_ROOT/file"
"""


@pytest.mark.fault
def test_killed_in_set_it_is_awaited_and_looked_at_again(node: Node, root: Path) -> None:
    """The agent is killed; the program is not, and is not begun a second time."""
    wanted = asked(node, {"program": SLOW, "desired": {"name": "a"}})
    agent = os.fork()
    if agent == 0:  # the agent that will be killed
        node.converge(wanted)
        os._exit(0)
    until("set to begin", (root / "begun").exists)
    os.kill(agent, signal.SIGKILL)
    os.waitpid(agent, 0)
    (root / "go").touch()
    node.reopen()
    result = node.converge(wanted, cause="Boot")
    assert (outcomes(result), (root / "begun").read_text()) == ({"x:thing:a": "Changed"}, "once\n")
    assert outcomes(node.converge(wanted, cause="Interval")) == {"x:thing:a": "Unchanged"}


@pytest.mark.fault
def test_killed_with_its_supervisor_it_is_begun_again_where_it_has_to_be(
    node: Node, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = asked(node, {"program": SLOW, "desired": {"name": "a"}})

    def lost(self: LocalHost, *arguments: Any, execution: str = "", **named: Any) -> Ran:
        if execution:
            raise EndNotSeen(errno.ECHILD, "its supervisor was killed")
        return run_script(self, *arguments, execution=execution, **named)

    run_script = LocalHost.run_script
    with monkeypatch.context() as patched:
        patched.setattr(LocalHost, "run_script", lost)
        assert outcomes(node.converge(wanted)) == {"x:thing:a": "Failed"}
    (root / "go").touch()
    node.reopen()
    assert outcomes(node.converge(wanted, cause="Interval")) == {"x:thing:a": "Changed"}
    assert (root / "begun").read_text() == "once\n"
