"""`opsctl document run RUNBOOK --local`: logic and scripts here, and what needs more says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cli.conftest import Run
from tests.controller.test_automations import runbook, step

SCRIPT = (
    "import tool\ndef handler(events, context):\n    print('at it')\n    return {'word': tool.loud(events['word'])}\n"
)
CALL = {"Runtime": "python3.11", "Handler": "handler", "Script": SCRIPT, "InputPayload": {"word": "{{ Word }}"}}
TOOL = "def loud(word): return word.upper()\n"


def written(directory: Path, *steps: dict[str, Any], **more: Any) -> str:
    (directory / "attachments").mkdir(exist_ok=True)
    (directory / "attachments" / "tool.py").write_text(TOOL)
    file = directory / "mine.json"
    file.write_text(runbook(*steps, **more))
    return str(file)


def test_logic_and_scripts(tmp_path: Path, run: Run) -> None:
    output = [{"Name": "word", "Selector": "$.Payload.word", "Type": "String"}]
    choice = {"NextStep": "nap", "Variable": "{{ call.word }}", "StringEquals": "HELLO"}
    file = written(
        tmp_path,
        step("call", "executeScript", {**CALL, "Attachment": "tool.py"}, outputs=output),
        step("choose", "branch", {"Choices": [choice]}, isEnd=True),
        step("nap", "sleep", {"Duration": "PT1S"}, isEnd=True),
        parameters={"Word": {"type": "String"}},
        outputs=["call.word"],
    )
    ran = run("document", "run", file, "-p", "Word=hello", "--local", "--repo", str(tmp_path))
    assert ran.code == 0, ran
    assert "at it" in ran.out
    assert "HELLO" in ran.out
    found = run(
        "document", "run", file, "-p", "Word=x", "--local", "--repo", str(tmp_path), "--format", "json"
    ).document
    assert (found["status"], found["outputs"]) == ("Success", {"call.word": "X"})
    assert [one["status"] for one in found["steps"]] == ["Success", "Success", "Pending"]


def test_what_needs_more_says_so(tmp_path: Path, run: Run) -> None:
    file = written(tmp_path, step("go", "runCommand", {"DocumentName": "x", "InstanceIds": ["web-1"]}))
    ran = run("document", "run", file, "--local", "--format", "json")
    assert (ran.code, json.loads(ran.out)["steps"][0]["reason"]) == (
        1, "Unsupported: it is not done with --local: it needs a server"
    )  # fmt: skip
    asks = written(tmp_path, step("ok", "approve", {"Approvers": ["alice"]}))
    ran = run("document", "run", asks, "--local")
    assert ran.code == 1
    assert "`ok` waits for a person" in ran.err
