"""Documents run on nodes, once: what people see, and what becomes of it in waves, offline, cancelled, cut off."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import config
from tests.e2e.conftest import Set
from tests.e2e.scene import Scene
from tests.faults import count

NODES = [f"web-{number}" for number in range(1, 4)]
WAIT = "while [ ! -e {{ go }} ]; do sleep 0.05; done"


def documents() -> dict[str, str]:
    hello = config.script("echo hello {{ who }} from $AWS_SSM_INSTANCE_ID", "echo oh >&2")
    last = {**config.script("echo finally >>{{ log }}"), "finallyStep": True}
    begin_end = config.script("echo begin >>{{ log }}", "sleep 0.2", "echo end >>{{ log }}")
    steps = [config.script("echo one >>{{ log }}", "exit 3"), config.script("echo two >>{{ log }}", onFailure="exit")]
    return {
        **config.document("hello", hello, who="x"),
        **config.document("fail", *steps, last, log="/x"),
        **config.document("exit", {**config.script("exit 3"), "onFailure": "exit"}, steps[1], last, log="/x"),
        **config.document("leave", config.script("exit 168"), config.script("exit 1")),
        **config.document("slow", begin_end, log="/x"),
        **config.document("wait", config.script("echo begun", WAIT, "echo gone"), go="/x"),
        **config.document(
            "much", config.script("i=0; while [ $i -lt 3000 ]; do echo {{ line }} $i; i=$((i+1)); done"), line="x" * 100
        ),
        **config.document("motd", config.file("/etc/motd", "by a job")),
        **config.document("mine", config.file("/etc/mine", "held")),
        **config.document("other", config.file("/etc/mine", "not held")),
    }


@pytest.fixture(scope="module")
def scene(set_scene: Set) -> Scene:
    files = {**config.fleet(), **documents(), **config.association("mine", ["*"])}
    for name in NODES:
        files |= config.node(name, {"Role": "web"})
    scene = set_scene(files)
    scene.join(*NODES)
    return scene


def begun(scene: Scene, document: str, targets: str, values: dict[str, str] | None = None, **asked: Any) -> str:
    """A command's id."""
    parameters = {key: [value] for key, value in (values or {}).items()}
    body: dict[str, Any] = {"document": document, "targets": [targets], "parameters": parameters, **asked}
    return str(scene.daemon.ask("/commands", body)["command"])


def ran(
    scene: Scene, document: str, targets: str, values: dict[str, str] | None = None, **asked: Any
) -> dict[str, Any]:
    """What became of a command."""
    return over(scene, begun(scene, document, targets, values, **asked))


def command(scene: Scene, known: str) -> dict[str, Any]:
    found: dict[str, Any] = scene.daemon.ask(f"/commands/{known}")
    return found


def details(progress: dict[str, Any]) -> dict[str, str]:
    return {one["node"]: one["statusDetails"] for one in progress["invocations"]}


def over(scene: Scene, known: str, timeout: float = 60.0) -> dict[str, Any]:
    scene.wait("the command to be over", lambda: command(scene, known)["finished"], timeout)
    return command(scene, known)


def test_a_script_on_one_node(scene: Scene) -> None:
    said = scene.opsctl("document", "run", "hello", "-p", "who=you", "--targets", "web-1")
    assert "web-1: hello you from mi-" in said
    assert "web-1: oh" in said
    assert "Success: 1 of 1 done" in said
    (row,) = scene.audit("run")[:1]
    assert (row["object"], row["outcome"]) == ("hello", "started")


def test_a_file_that_is_brought_along_on_all_nodes(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(next(iter(config.document("x", config.script("echo brought")).values())))
    said = scene.opsctl("document", "run", str(tmp_path / "mine.yaml"), "--targets", "tag:Role=web")
    assert all(f"{name}: brought" in said for name in NODES)
    bad = scene.daemon.run("document", "run", str(tmp_path / "mine.yaml"), "-p", "no=1", "--targets", "*", check=False)
    assert (bad.returncode, "no parameter `no`" in bad.stderr) == (2, True)
    assert "is selected by" in scene.opsctl("document", "run", "hello", "--targets", "tag:Role=db", code=1)
    assert "did you mean hello" in scene.opsctl("document", "run", "helo", "--targets", "*", code=1)


def test_steps_as_ssm_runs_them(scene: Scene) -> None:
    log = scene.directory / "steps"
    failed = ran(scene, "fail", "web-1", {"log": str(log)})
    (one,) = failed["invocations"]
    assert [step["status"] for step in one["steps"]] == ["Failed", "Success", "Success"]
    assert (one["status"], one["steps"][0]["rc"], log.read_text().split()) == ("Failed", 3, ["one", "two", "finally"])
    log.unlink()
    failed = ran(scene, "exit", "web-1", {"log": str(log)})
    (one,) = failed["invocations"]
    assert [step["status"] for step in one["steps"]] == ["Failed", "Skipped", "Success"]
    assert log.read_text().split() == ["finally"]
    (one,) = ran(scene, "leave", "web-1")["invocations"]
    assert [step["status"] for step in one["steps"]] == ["Success", "Skipped"]


def test_all_that_is_said_is_kept_and_a_beginning_is_shown(scene: Scene) -> None:
    (one,) = ran(scene, "much", "web-2")["invocations"]
    whole = "".join(f"{'x' * 100} {number}\n" for number in range(3000))
    assert one["steps"][0]["sizes"] == {"stdout": len(whole)}
    assert len(one["standardOutput"]) == 24000
    assert len(one["steps"][0]["output"]) == 2500
    kept = scene.daemon.state / "outputs" / one["job"] / "step1.stdout"
    scene.wait("all of it to be kept", lambda: kept.stat().st_size == len(whole))
    assert kept.read_text() == whole
    assert scene.opsctl("document", "run", "much", "-p", "line=y", "--targets", "web-2").count("web-2: y ") == 3000


def test_never_more_at_once_than_allowed(scene: Scene) -> None:
    log = scene.directory / "slow"
    ran(scene, "slow", "*", {"log": str(log)}, maxConcurrency="1")
    assert log.read_text().split() == ["begin", "end"] * 3


def test_after_too_many_errors_nobody_else_begins(scene: Scene) -> None:
    log = scene.directory / "errors"
    failed = ran(scene, "fail", "*", {"log": str(log)}, maxConcurrency="1")
    assert sorted(details(failed).values()) == ["Failed", "Terminated", "Terminated"]
    assert (failed["status"], failed["errorCount"], log.read_text().count("one")) == ("Failed", 1, 1)
    failed = ran(scene, "fail", "*", {"log": str(log)}, maxErrors="100%")
    assert (set(details(failed).values()), failed["statusDetails"]) == ({"Failed"}, "Incomplete")


def test_a_dry_run_changes_nothing_and_what_a_job_made_is_not_held(scene: Scene) -> None:
    (one,) = ran(scene, "motd", "web-1", check=True)["invocations"]
    assert "+by a job" in one["steps"][0]["output"]
    assert scene["web-1"].read("/etc/motd") == ""
    ran(scene, "motd", "web-1")
    assert scene["web-1"].read("/etc/motd") == "by a job"
    scene["web-1"].write("/etc/motd", "by hand")
    ran(scene, "hello", "web-1")
    assert scene["web-1"].read("/etc/motd") == "by hand"


def test_what_an_association_owns_is_left_to_it(scene: Scene) -> None:
    scene.wait_for_file("web-1", "/etc/mine", "held")
    (one,) = ran(scene, "other", "web-1")["invocations"]
    assert "claimed by step step1 of Association/mine" in one["reason"]
    assert scene["web-1"].read("/etc/mine") == "held"


def test_a_node_that_is_offline_takes_it_when_it_is_back(scene: Scene) -> None:
    scene["web-3"].stop()
    scene.wait("web-3 to be gone", lambda: not scene.online("web-3"))
    known = begun(scene, "hello", "*")
    scene.wait("the others", lambda: command(scene, known)["completedCount"] == 2)
    assert details(command(scene, known))["web-3"] == "Delayed"
    scene["web-3"].start()
    assert over(scene, known)["status"] == "Success"


def test_cancelled_scripts_end_and_others_never_begin(scene: Scene) -> None:
    go = scene.directory / "never"
    known = begun(scene, "wait", "*", {"go": str(go)}, maxConcurrency="2")
    scene.wait("two to begin", lambda: sorted(details(command(scene, known)).values()).count("InProgress") == 2)
    scene.opsctl("run", "cancel", known)
    done = over(scene, known)
    assert (set(details(done).values()), done["statusDetails"]) == ({"Cancelled"}, "Cancelled")
    assert [len(one["steps"]) for one in done["invocations"]].count(0) == 1
    again = scene.daemon.run("run", "cancel", known, check=False)
    assert (again.returncode, "it is over: Cancelled" in again.stderr) == (1, True)
    assert known in scene.opsctl("run", "list")
    assert "Cancelled" in scene.opsctl("run", "show", known)


@pytest.mark.fault
@pytest.mark.parametrize("seed", range(count(few=5, full=100)))
def test_killed_in_the_middle_a_script_runs_once_and_its_end_is_told(scene: Scene, seed: int) -> None:
    chance = random.Random(seed)
    log, go = scene.directory / f"killed-{seed}", scene.directory / f"go-{seed}"
    lines = (f"echo begin >>{log}", f"while [ ! -e {go} ]; do sleep 0.05; done", "echo end")
    content = config.document("x", config.script(*lines))["documents/x.yaml"]
    known = str(scene.daemon.ask("/commands", {"content": content, "targets": ["web-2"]})["command"])
    victims = ["agent", "daemon"] if seed % 3 == 2 else [["agent", "daemon"][seed % 3]]
    time.sleep(chance.uniform(0, 0.6))
    for victim in victims:
        if victim == "agent":
            scene["web-2"].kill()
            scene["web-2"].start()
        else:
            assert scene.daemon.kill() == -signal.SIGKILL
            scene.daemon.start()
    scene.wait("the script to begin", log.exists)
    go.touch()
    (one,) = over(scene, known)["invocations"]
    assert (one["status"], one["standardOutput"], log.read_text()) == ("Success", "end\n", "begin\n")


def test_a_command_and_again_where_it_failed(scene: Scene, tmp_path: Path) -> None:
    said = scene.opsctl("run", "-t", "web-1,web-2", "--comment", "INC-42", "--", "echo", "hello  you")
    assert "2 nodes Success: web-1, web-2\n  hello  you\n" in said
    assert "INC-42" in scene.opsctl("run", "list")
    gate, unlike = tmp_path / "gate", scene.node("web-2")["id"]
    line = f"echo tried; [ -e {gate} ] || [ $AWS_SSM_INSTANCE_ID != {unlike} ]"
    asked = ("run", "-t", "tag:Role=web", "--max-errors", "3", "--format", "json", "--", line)
    first = json.loads(scene.daemon.run(*asked, check=False).stdout)
    assert details(first) == {"web-1": "Success", "web-2": "Failed", "web-3": "Success"}
    gate.touch()
    again = json.loads(scene.opsctl("run", "retry", first["command"], "--failed", "--format", "json"))
    assert (details(again), again["targets"]) == ({"web-2": "Success"}, f"failed of {first['command']}")
    assert "no enrolled node" in scene.opsctl("run", "retry", again["command"], code=1)
    assert scene.opsctl("run", "show", again["command"], "--node", "web-2", "--full").startswith("tried\n")


def test_what_a_command_is_becomes_desired_state(scene: Scene, tmp_path: Path) -> None:
    saved = tmp_path / "tuned.yaml"
    scene.opsctl("run", "-t", "web-1", "--save", str(saved), "--", f"echo tuned >>{tmp_path}/tuned")
    scene.push("Keep it so", {"associations/tuned.yaml": saved.read_text()})
    scene.wait_for_report("web-1", "tuned", status="Success")
    assert (tmp_path / "tuned").read_text() == "tuned\n" * 2


MANIFEST = """\
key: path
executable: bin/it
schema:
  type: object
  required: [path, text]
  properties: {path: {type: string}, text: {type: string}}
"""
PROGRAM = """\
#!/usr/bin/env python3
import json, os, sys
desired = json.load(sys.stdin)
path = os.environ["OPSCTL_ROOT"] + desired["path"]
if sys.argv[1] == "set":
    open(path, "w").write(desired["text"])
there = os.path.exists(path)
text = open(path).read() if there else None
print(json.dumps({"text": text, "_inDesiredState": text == desired["text"]}))
"""


def test_a_step_of_the_repositorys_own_held_healed_and_run_once(scene: Scene) -> None:
    held = {"action": "x:note", "inputs": {"path": "/etc/note", "text": "{{ text }}"}}
    once = {"action": "x:note", "inputs": {"path": "/etc/once", "text": "{{ text }}"}}
    files: dict[str, str | None] = {"steps/note/step.yaml": MANIFEST, "steps/note/bin/it": PROGRAM}
    scene.push("A program that may not be run", {**files, **config.document("note", held, text="a")})
    (scene.repository.clone / "steps/note/bin/it").chmod(0o755)
    scene.push("Have it run", {**config.association("note", ["web-1"]), **config.document("jot", once, text="b")})
    scene.wait_for_file("web-1", "/etc/note", "a")
    scene["web-1"].write("/etc/note", "by hand")
    scene.wait_for_file("web-1", "/etc/note", "a")
    (one,) = ran(scene, "jot", "web-1", check=True)["invocations"]
    assert "x:note:/etc/once" in one["steps"][0]["output"]
    assert scene["web-1"].read("/etc/once") == ""
    (one,) = ran(scene, "jot", "web-1", {"text": "c"})["invocations"]
    assert (one["status"], scene["web-1"].read("/etc/once")) == ("Success", "c")
    (one,) = ran(scene, "note", "web-1")["invocations"]
    assert "claimed by step step1 of Association/note" in str(one["steps"][0]["reason"])
    scene.push("Another text, by another program", {**config.document("note", held, text="d"), "steps/note/more": ""})
    plan = scene.opsctl("plan", "--repo", str(scene.repository.clone), "--base", "HEAD~1")
    changed = [
        line.strip().partition(" sha256")[0] for line in plan.splitlines() if line.strip()[:2] in ("-t", "+t", "+s")
    ]
    assert changed == ["-text: a", "+text: d", "+steps/note/more"]
