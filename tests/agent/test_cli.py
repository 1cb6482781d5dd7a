"""The program itself, as built, by this Python and by the oldest it promises."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from agent.contract import wire
from tests.agent import program
from tests.agent.gateway import NODE, Gateway
from tests.agent.oldest import oldest_python
from tests.agent.program import Serving, run, until
from tests.agent.rig import body, script


@pytest.fixture(params=["this", "oldest"])
def python(request: pytest.FixtureRequest) -> str:
    return program.THIS if request.param == "this" else oldest_python()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root" / "etc").mkdir(parents=True)
    return tmp_path / "root"


def enroll(python: str, gateway: Gateway, root: Path) -> None:
    done = run(python, "enroll", "--token-file", "-", "--name", "web-1", "--root", str(root), stdin=gateway.token())
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"enrolled as web-1 ({NODE}) in fleet fleet-1\n"


def templated() -> wire.Body:
    made = body()
    made.steps[0].inputs.update(
        content="{{ name }} is a {{ labels.env }} host with {{ facts.cpus }} CPUs\n", template=True
    )
    return made


def test_the_whole_story_in_a_sandbox(python: str, gateway: Gateway, root: Path) -> None:
    enroll(python, gateway, root)
    gateway.want(1, [templated(), script("echo ran on $AWS_SSM_INSTANCE_ID")], interval=1)
    once = run(python, "once", "--scripts", "--root", str(root))
    assert once.returncode == 0, once.stderr
    assert (root / "etc/motd").read_text() == f"web-1 is a test host with {os.cpu_count()} CPUs\n"
    gateway.wait(lambda: len(gateway.reports) == 2)
    assert {report.status for report in gateway.reports} == {"Success"}
    assert gateway.reports[1].output == f"ran on {NODE}\n"
    assert gateway.held[0].serial == 1
    assert gateway.hellos[0].steps["ops:file"] == 1
    assert gateway.hellos[0].facts["hostname"]

    with Serving(python, "--scripts", "--root", str(root)) as serving:
        gateway.wait(lambda: len(gateway.hellos) == 2)
        (root / "etc/motd").write_text("by hand\n")
        gateway.wait(lambda: len(gateway.reports) == 3, "the healing")
        assert (root / "etc/motd").read_text().startswith("web-1 is")
        gateway.wait(lambda: len(gateway.pulses) >= 2, "pulses")

        second = run(python, "serve", "--root", str(root))
        assert second.returncode == 1
        assert f"another agent (process {serving.process.pid}) runs on the state directory" in second.stderr

        gateway.shut()
        (root / "etc/motd").write_text("by hand, while the server is away\n")
        until(lambda: (root / "etc/motd").read_text().startswith("web-1 is"), "healing without a server")
        until(lambda: "is away since" in run(python, "status", "--root", str(root)).stdout, "the status")
        gateway.listen()
        gateway.wait(lambda: len(gateway.reports) == 4, "the report of it")

        gateway.want(2, [], interval=1)
        gateway.wait(lambda: len(gateway.reports) == 6, "the last reports")
        assert {report.cause for report in gateway.reports[4:]} == {"Removed"}
        code, said = serving.terminate()
        assert code == 0, said
    assert "Traceback" not in said
    assert gateway.closes[-1] == (1001, "the agent stops")


def test_a_sandbox_runs_no_scripts_unless_told_to(gateway: Gateway, root: Path) -> None:
    enroll(program.THIS, gateway, root)
    gateway.want(1, [script("echo ran >> $OPSCTL_ROOT/runs")])
    assert run(program.THIS, "once", "--root", str(root)).returncode == 0
    gateway.wait(lambda: len(gateway.reports) == 1)
    assert gateway.reports[0].status == "Skipped"
    assert gateway.reports[0].reason == (
        "a script would act on the machine itself, not on the sandbox; --scripts runs it"
    )
    assert not (root / "runs").exists()


def test_killed_in_the_middle_it_tells_of_an_interruption_and_runs_nothing_twice(
    python: str, gateway: Gateway, root: Path
) -> None:
    enroll(python, gateway, root)
    gateway.want(1, [script("echo begun >> $OPSCTL_ROOT/runs; exec sleep 600")])
    with Serving(python, "--scripts", "--root", str(root)) as serving:
        until(lambda: (root / "runs").exists(), "the script's start")
        serving.process.kill()
        serving.process.wait()
    _end_sleepers(root)
    gateway.want(2, [script("echo begun >> $OPSCTL_ROOT/runs; exec sleep 600"), body()])
    once = run(python, "once", "--scripts", "--root", str(root))
    assert once.returncode == 1
    gateway.wait(lambda: len(gateway.reports) == 2)
    by_uid = {report.uid: report for report in gateway.reports}
    assert "Interrupted" in (by_uid["Association/script"].reason or "")
    assert by_uid["Association/motd"].status == "Success"
    assert (root / "runs").read_text() == "begun\n"


def _end_sleepers(root: Path) -> None:
    """End what the killed agent left running: the processes that work in this sandbox."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "cwd") == str(root):
                    os.kill(int(entry.name), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue


def test_told_to_stop_it_leaves_a_script_to_itself_and_the_next_agent_takes_it_up(gateway: Gateway, root: Path) -> None:
    enroll(program.THIS, gateway, root)
    waits = "echo begun >> runs; while [ ! -e go ]; do sleep 0.05; done; echo ended >> runs"
    gateway.want(1, [script("cd $OPSCTL_ROOT; " + waits), body("Association/z", path="/etc/z")])
    with Serving(program.THIS, "--scripts", "--root", str(root)) as serving:
        until(lambda: (root / "runs").exists(), "the script's start")
        code, said = serving.terminate()
        assert code == 0, said
        assert "the next agent takes it up" in said
    assert (root / "runs").read_text() == "begun\n"
    (root / "go").touch()
    assert program.run(program.THIS, "once", "--scripts", "--root", str(root)).returncode == 0
    assert (root / "runs").read_text() == "begun\nended\n"
    assert {item.status for item in gateway.reports} == {"Success"}


def test_reports_wait_on_disk_for_a_server_that_is_away(python: str, gateway: Gateway, root: Path) -> None:
    enroll(python, gateway, root)
    gateway.acknowledge = False
    gateway.want(1, [body()])
    once = run(python, "once", "--wait", "1", "--root", str(root))
    assert once.returncode == 1
    assert "reports not acknowledged yet: 1" in once.stderr
    gateway.acknowledge = True
    assert run(python, "once", "--root", str(root)).returncode == 0
    assert [report.seq for report in gateway.reports] == [1, 1]


def test_status_tells_people_and_programs(python: str, gateway: Gateway, root: Path) -> None:
    enroll(python, gateway, root)
    before = run(python, "status", "--root", str(root)).stdout
    assert before.splitlines() == [
        f"node     web-1 ({NODE}) of fleet fleet-1",
        "agent    0.1.0, not running",
        f"server   {gateway.url}, never tried",
        "holds    nothing yet",
    ]
    gateway.want(1, [body(), script("echo no more paper >&2; exit 3")], interval=7)
    assert run(python, "once", "--scripts", "--root", str(root)).returncode == 1
    text = run(python, "status", "--root", str(root)).stdout
    assert "holds    2 associations, set 1.1, looked at every 7 s" in text
    assert "reports  " not in text
    table = text.split("\n\n")[1].splitlines()
    assert table[0].split() == ["ASSOCIATION", "GEN", "STATUS", "TOLD", "LOOK"]
    assert table[1].split("  ")[0] == "Association/motd"
    assert "Success (1 Changed)" in table[1]
    assert table[3] == "  script:run Failed: exit 3: no more paper"
    found = json.loads(run(python, "status", "--format", "json", "--root", str(root)).stdout)
    assert found["nodeId"] == NODE
    assert found["link"]["state"] == "connected"
    assert found["assignments"]["Association/script"]["status"] == "Failed"
    gateway.want(2, [dataclasses.replace(body(), mode="AuditOnly")], generation=2)
    run(python, "once", "--root", str(root))
    gateway.want(3, [], retire=True)
    run(python, "once", "--root", str(root))
    assert "nothing: this node is retired" in run(python, "status", "--root", str(root)).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "COMMAND"),
        (["dance"], 2, "invalid choice"),
        (["enroll"], 2, "--token-file"),
        (["enroll", "--token-file", "/nonexistent/token"], 1, "/nonexistent/token"),
        (["enroll", "--token-file", "-"], 1, "not a join token"),
        (["serve"], 1, "this node is not enrolled"),
        (["once"], 1, "this node is not enrolled"),
        (["status"], 1, "this node is not enrolled"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
    where = ["--state", str(tmp_path / "state")] if arguments and arguments != ["dance"] else []
    done = run(program.THIS, *arguments, *where)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    if code == 1:
        assert len(done.stderr.splitlines()) == 1


def test_a_token_is_never_an_argument() -> None:
    done = run(program.THIS, "enroll", "--help")
    assert "--token-file" in done.stdout
    assert "--token " not in done.stdout


def test_a_damaged_identity_is_said(tmp_path: Path) -> None:
    (tmp_path / "identity.json").write_text("{")
    done = run(program.THIS, "serve", "--state", str(tmp_path))
    assert done.returncode == 1
    assert "identity.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_server_is_said_and_status_says_why(gateway: Gateway, root: Path) -> None:
    enroll(program.THIS, gateway, root)
    gateway.shut()
    done = run(program.THIS, "once", "--wait", "0.5", "--root", str(root))
    assert done.returncode == 1
    assert "no server of this fleet could be reached; `status` says why" in done.stderr
    assert "Connection refused" in run(program.THIS, "status", "--root", str(root)).stdout


@pytest.mark.parametrize("output", [">&-", "2>&-", ">/dev/null"])
def test_a_pass_without_a_server_ends_with_its_code_whatever_it_may_write_to(
    python: str, tmp_path: Path, output: str
) -> None:
    command = f'"$0" -I "$1" once --offline --state "$2" {output}'
    argv = ["sh", "-c", command, python, str(program.archive()), str(tmp_path / "none")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert ("is not enrolled" in done.stderr) == (output != "2>&-"), done.stderr
