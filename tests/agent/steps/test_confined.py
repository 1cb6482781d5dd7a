"""Scripts of aws:executeScript, really run: what they are asked, what they return, and what they cannot do."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.contract import wire
from agent.contract.codec import from_wire
from agent.contract.inputs import ACTIONS
from agent.contract.inputs.scripts import ExecuteScriptInputs
from agent.host import LocalHost, Ran
from agent.steps.confined import ConfinedStep
from agent.steps.step import Given, StepFailed
from tests.agent.jobs import Runner
from tests.agent.rig import Rig

CASES = yaml.safe_load((Path(__file__).parent / "scripts.yaml").read_text())
ACTION = "aws:executeScript"
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def runner(rig: Rig) -> Iterator[Runner]:
    made = Runner(rig)
    yield made
    made.stop()


@pytest.fixture
def programs() -> Iterator[Path]:
    """A directory of programs for whoever a script is: not among the temporary files, which it does not see."""
    with tempfile.TemporaryDirectory(dir="/run" if os.geteuid() == 0 else None, prefix="opsctl-test-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


class Recording(LocalHost):
    """The machine, and what the last script on it came to."""

    ran: Ran

    def run_script(self, text: str, **more: Any) -> Ran:
        self.ran = super().run_script(text, **{**more, "keep": 4 * 1024 * 1024})
        return self.ran


def asked(**inputs: Any) -> dict[str, Any]:
    return {"runtime": "python3.11", "handler": "handler", "executionId": "an-execution", **inputs}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any], programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = asked(inputPayload=json.dumps(case.get("input", {})))
    inputs.update({name: case[name] for name in ("script", "runtime", "handler") if name in case})
    inputs["timeoutSeconds"] = case.get("seconds", 600)
    if "powershell" in case:
        pwsh = programs / "pwsh"
        pwsh.write_text(case["powershell"])
        pwsh.chmod(0o755)
        inputs.update({"runtime": "PowerShell 7.4", "script": "ignored"})
        monkeypatch.setattr("agent.host.local.ENVIRONMENT", {"PATH": f"{programs}:/usr/bin:/bin"})
    content = {}
    if "attachment" in case:
        attached = case["attachment"]
        inputs["attachment"] = attached["path"]
        content[attached["path"]] = (
            archived(attached["archive"]) if "archive" in attached else attached["content"].encode()
        )
    host, given = Recording(), Given("here", {}, {}, {}, content=content.__getitem__)
    typed = from_wire(ExecuteScriptInputs, inputs)
    if "payload" in case:
        ConfinedStep().apply(host, typed, [], given)
        assert json.loads(host.ran.stdout) == case["payload"]
        assert case.get("says", "") in host.ran.stderr.decode()
        return
    with pytest.raises(StepFailed) as failure:
        ConfinedStep().apply(host, typed, [], given)
    assert failure.value.status in case.get("status", "Failed").split("|")
    assert case["reason"] in failure.value.reason
    assert host.ran.stdout == b""


def called(runner: Runner, **inputs: Any) -> wire.StepReport:
    """What a job that calls one script reports of it."""
    step = wire.BodyStep("call", ACTION, ACTIONS[ACTION].version, asked(**inputs))
    runner.take(wire.Body("Command/x", "x", [step]))
    (report,) = runner.reported()
    return report.steps[0]


def test_what_a_job_reports(runner: Runner) -> None:
    step = called(
        runner, script="def handler(events, context):\n    print('so far')\n    return {'list': [1, 0.5] * 10000}"
    )
    assert json.loads(str(step.payload)) == {"list": [1, 0.5] * 10000}
    assert "so far" in str(step.output)


def test_what_a_job_reports_of_a_script_that_failed(runner: Runner) -> None:
    step = called(runner, script="def handler(events, context):\n    return [][1]\n")
    assert (step.status, step.rc, step.payload) == ("Failed", 1, None)
    assert str(step.reason).startswith("Traceback (most recent call last):")
    assert str(step.reason).endswith("IndexError: list index out of range")


def archived(files: dict[str, str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return data.getvalue()


@root
def test_a_script_is_nobody_in_particular(runner: Runner) -> None:
    script = f"""
import os, subprocess
def handler(events, context):
    def refused(act):
        try:
            act()
        except OSError as error:
            return type(error).__name__
        return "allowed"
    status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines() if ":" in line)
    return {{
        "user": os.getuid(),
        "groups": os.getgroups(),
        "capabilities": int(status["CapEff"], 16),
        "noNewPrivileges": status["NoNewPrivs"].strip(),
        "shadow": refused(lambda: open("/etc/shadow")),
        "root": refused(lambda: os.listdir("/root")),
        "kill": refused(lambda: os.kill({os.getpid()}, 0)),
        "own": refused(lambda: open("mine", "w")),
        "seen": sorted(os.listdir(os.environ["TMPDIR"])),
        "forks": subprocess.run(["true"]).returncode,
    }}
"""
    step = called(runner, script=script)
    assert step.status == "Success", step
    found = json.loads(str(step.payload))
    assert 61184 <= found.pop("user") <= 65519
    assert found == {
        "groups": [], "capabilities": 0, "noNewPrivileges": "1", "shadow": "PermissionError", "root": "PermissionError",
        "kill": "PermissionError", "own": "allowed", "seen": ["mine", "script.py"], "forks": 0,
    }  # fmt: skip


@root
def test_nothing_of_a_script_goes_on_after_it(runner: Runner) -> None:
    script = """
import subprocess
def handler(events, context):
    return subprocess.Popen(["sleep", "600"], start_new_session=True).pid
"""
    step = called(runner, script=script)
    pid = json.loads(str(step.payload))
    status = Path(f"/proc/{pid}/status")
    assert not status.exists() or "State:\tZ" in status.read_text()
