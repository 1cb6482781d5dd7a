"""Processes killed at any instant, and what is promised all the same.

Every accepted job gets a final status, every report arrives, and no script starts twice. OPSCTL_FAULTS=full kills a
hundred times.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.state import recordlog
from tests import faults
from tests.e2e import config
from tests.e2e.conftest import Set
from tests.e2e.scene import Scene

pytestmark = pytest.mark.fault

KILLS = faults.count(few=5, full=100)
LONGEST = 1.5
"""Seconds between a push and a kill, at most: fetching, giving, fetching bodies, running and reporting lie within."""
NODES = ["web-1", "web-2", "db-1"]
DAEMON = "the daemon"


class Story:
    """A scene in which every version writes a file and runs a script that tells when it begins and ends."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.runs = scene.directory / "runs"
        self.journalled: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {name: {} for name in NODES}

    def version(self, number: int) -> dict[str, str]:
        tell = f"$AWS_SSM_INSTANCE_ID {number} >>{self.runs}"
        return {
            **config.document("state", config.file("/etc/version", f"{number}")),
            **config.document("job", config.script(f"echo begin {tell}", "sleep 0.2", f"echo end {tell}")),
        }

    def kill(self, victim: str) -> None:
        if victim == DAEMON:
            self.scene.daemon.kill()
            self.scene.daemon.start()
        else:
            self.scene[victim].kill()
            self.scene[victim].start()

    def ended(self, number: int) -> None:
        """Until all nodes have done and told of everything."""
        self.scene.wait("all to be back", lambda: all(self.scene.online(name) for name in NODES))
        for name in NODES:
            self.scene.wait_for_file(name, "/etc/version", f"{number}")
            for association in ("state", "job"):
                self.scene.wait(f"{name}'s last word on {association}", partial(self._told, name, association))

    def _told(self, name: str, association: str) -> bool:
        row = self.scene.assignment(name, association)
        return bool(row["generation"] == self._newest(association) and row["status"] != "Pending")

    def _newest(self, association: str) -> int:
        return max(int(self.scene.assignment(name, association)["generation"]) for name in NODES)

    def read_journals(self) -> None:
        """Keep what the agents' journals say now; they drop what is acknowledged when they grow."""
        for name in NODES:
            data = (self.scene[name].directory / "state" / "journal").read_bytes()
            for record in map(json.loads, (record.payload for record in recordlog.scan(data).records)):
                if record["kind"] in ("started", "finished"):
                    self.journalled[name][record["kind"], *record["run"]] = record
                elif record["kind"] == "report":
                    self.journalled[name]["report", record["report"]["seq"]] = record["report"]
                elif record["kind"] == "ack":
                    self.journalled[name]["ack", record["seq"]] = record

    def of(self, name: str, kind: str) -> list[tuple[Any, ...]]:
        return [key for key in self.journalled[name] if key[0] == kind]


@pytest.fixture(scope="module")
def story(set_scene: Set) -> Story:
    files = {
        **config.fleet(),
        **config.association("state", ["*"]),
        **config.association("job", ["*"]),
        **config.document("state", config.file("/etc/version", "0")),
        **config.document("job", config.script("true")),
    }
    for name in NODES:
        files |= config.node(name)
    scene = set_scene(files)
    scene.join(*NODES)
    return Story(scene)


def test_killed_at_any_instant(story: Story) -> None:
    seed = faults.seed()
    chance = random.Random(seed)
    for number in range(1, KILLS + 1):
        story.scene.repository.push(f"Version {number}", story.version(number))
        time.sleep(chance.uniform(0, LONGEST))  # the instant is what this is about
        story.kill(chance.choice([DAEMON, *NODES]))
        story.read_journals()
    story.scene.repository.push("The last version", story.version(KILLS + 1))
    story.ended(KILLS + 1)
    story.read_journals()

    said = Counter(tuple(line.split()[:3]) for line in story.runs.read_text().splitlines())
    assert [line for line, times in said.items() if times > 1] == [], f"seed {seed}: started twice"
    assert all(said["end", *line[1:]] for line in said if line[0] == "begin")
    for name in NODES:
        reports = [story.journalled[name][key] for key in story.of(name, "report")]
        for run in story.of(name, "started"):
            _, uid, generation, _, _, _ = run
            if uid == "Association/job" and ("finished", *run[1:]) not in story.journalled[name]:
                told = [report for report in reports if (report["uid"], report["generation"]) == (uid, generation)]
                assert any("Interrupted" in report.get("reason", "") for report in told), (name, run)
        newest = max(report["seq"] for report in reports)
        assert max(key[1] for key in story.of(name, "ack")) == newest  # every report arrived
        assert sorted(report["seq"] for report in reports) == list(range(1, newest + 1))
        for association in ("state", "job"):
            last = [report for report in reports if report["uid"] == f"Association/{association}"][-1]
            row = story.scene.assignment(name, association)
            assert (row["generation"], row["status"]) == (last["generation"], last["status"])

    given: Counter[tuple[str, str]] = Counter()
    for row in story.scene.audit("assign"):
        given[row["object"], re.findall(r"generation (\d+)", row["detail"])[0]] += int(row["outcome"].split()[0])
    assert max(given.values()) <= len(NODES)  # nothing was released or given twice
    generations = sorted(int(generation) for uid, generation in given if uid == "Association/job")
    assert generations == list(range(1, len(generations) + 1))


class TestCutOff:
    """A script that is running when its agent is killed."""

    def test_it_is_picked_up_and_runs_once(self, story: Story) -> None:
        scene, web = story.scene, story.scene["web-1"]
        runs, gate = scene.directory / "picked-up", scene.directory / "gate-1"
        scene.push("Slow", {**config.association("slow", ["web-1"]), **_slow(runs, gate)})
        scene.wait("the script to begin", lambda: runs.exists() and runs.read_text() == "begin\n")
        web.kill()
        web.start()
        scene.wait("the node to be back", lambda: scene.online("web-1"))
        scene.daemon.kill()
        scene.daemon.start()
        gate.touch()
        told = scene.wait_for_report("web-1", "slow", status="Success")
        assert runs.read_text() == "begin\nend\n"
        assert told["generation"] == 1

    def test_without_its_supervisor_it_ends_as_interrupted_and_is_never_run_again(self, story: Story) -> None:
        scene, web = story.scene, story.scene["web-1"]
        runs, gate = scene.directory / "cut-off", scene.directory / "gate-2"
        scene.push("Slow again", _slow(runs, gate))
        try:
            scene.wait("the script to begin", lambda: runs.exists() and runs.read_text() == "begin\n")
            web.kill()
            os.kill(_supervisor(web.directory / "state" / "executions"), signal.SIGKILL)
            web.start()
            told = scene.wait_for_report("web-1", "slow", status="Failed")
            assert "Interrupted: the script was started and its end was not seen" in told["reason"]
            assert "Interrupted" in scene.opsctl("node", "show", "web-1")
        finally:
            gate.touch()
        scene.wait("the script to end by itself", lambda: runs.read_text() == "begin\nend\n")
        web.kill()
        scene.daemon.kill()
        scene.daemon.start()
        web.start()
        scene.wait("the node to be back", lambda: scene.online("web-1"))
        web.write("/etc/version", "by hand")
        scene.wait("a whole round", lambda: web.read("/etc/version") != "by hand")
        assert runs.read_text() == "begin\nend\n"
        assert scene.assignment("web-1", "slow")["status"] == "Failed"
        scene.push("Once more, says a person", config.document("slow", config.script(f"echo again >>{runs}")))
        scene.wait_for_report("web-1", "slow", status="Success")
        assert runs.read_text() == "begin\nend\nagain\n"


def test_a_daemon_killed_in_the_middle_of_a_wave_goes_on_where_it_was(story: Story) -> None:
    scene = story.scene
    runs, gate = scene.directory / "wave", scene.directory / "wave-gate"
    step = config.script(f"echo $AWS_SSM_INSTANCE_ID >>{runs}", f"while [ ! -e {gate} ]; do sleep 0.05; done")
    files = {**config.association("wave", ["*"], maxConcurrency="1"), **config.document("wave", step)}
    scene.push("One after the other", files)

    def given() -> list[str]:
        return [name for name in NODES if scene.assignment(name, "wave")]

    try:
        scene.wait("the first to begin", lambda: runs.exists() and len(runs.read_text().splitlines()) == 1)
        (first,) = given()
        scene.daemon.kill()
        scene.daemon.start()
        scene.wait("all to be back", lambda: all(scene.online(name) for name in NODES))
        assert given() == [first]
    finally:
        gate.touch()
    for name in NODES:
        assert scene.wait_for_report(name, "wave", status="Success")["generation"] == 1
    assert len(runs.read_text().splitlines()) == len(set(runs.read_text().splitlines())) == 3
    rows = [row for row in scene.audit("assign") if row["object"] == "Association/wave"]
    assert [row["outcome"] for row in rows] == ["1 nodes"] * 3


def test_a_node_that_was_away_gets_it_when_it_is_back(story: Story) -> None:
    scene, away = story.scene, story.scene["db-1"]
    away.stop()
    scene.wait("it to be missed", lambda: not scene.online("db-1"))
    scene.push("Without it", {**config.association("late", ["*"], maxConcurrency="1"), **_late("first")})
    scene.wait_for_file("web-1", "/etc/late", "first")
    scene.wait_for_file("web-2", "/etc/late", "first")
    scene.push("Still without it", _late("second"))
    scene.wait_for_file("web-2", "/etc/late", "second")
    applied = json.loads(scene.opsctl("plan", "--format", "json"))
    assert applied["summary"]["online"] == 2
    away.start()
    scene.wait_for_file("db-1", "/etc/late", "second")
    assert scene.wait_for_report("db-1", "late", status="Success")["generation"] == 2


def test_a_daemon_ends_whichever_of_its_threads_is_told(story: Story) -> None:
    assert story.scene.daemon.stop_by_another_thread() == 0
    story.scene.daemon.start()


def test_nodes_heal_while_the_server_is_away_and_tell_of_it_later(story: Story) -> None:
    scene, web = story.scene, story.scene["web-1"]
    scene.push("Something to watch", {**config.association("late", ["*"]), **_late("healed")})
    scene.wait_for_file("web-1", "/etc/late", "healed")  # before that, a Success may be the last story's
    scene.wait_for_report("web-1", "late", status="Success")
    before = _last_report(story, "web-1")
    scene.daemon.stop()
    web.write("/etc/late", "by hand")
    scene.wait_for_file("web-1", "/etc/late", "healed")
    web.stop()
    web.write("/etc/late", "by hand, while the agent was away too")
    web.start()
    scene.wait_for_file("web-1", "/etc/late", "healed")
    scene.wait("the reports to be kept", lambda: _last_report(story, "web-1") > before)
    scene.daemon.start()
    scene.wait("the reports to arrive", lambda: _acknowledged(story, "web-1") == _last_report(story, "web-1"))


def test_a_store_from_a_backup_holds_nodes_that_are_ahead_until_it_is_declared(story: Story) -> None:
    scene, web = story.scene, story.scene["web-1"]
    scene.push("Before the backup", {**config.association("late", ["*"]), **_late("before the backup")})
    for name in NODES:
        scene.wait_for_file(name, "/etc/late", "before the backup")
    scene.daemon.stop()
    shutil.copytree(scene.daemon.state, scene.directory / "backup", symlinks=True)
    scene.daemon.start()
    scene.push("After the backup", _late("after the backup"))
    for name in NODES:
        scene.wait_for_file(name, "/etc/late", "after the backup")
    scene.daemon.kill()
    shutil.rmtree(scene.daemon.state)
    (scene.directory / "backup").rename(scene.daemon.state)
    unreachable = scene.repository.remote.rename(scene.directory / "unreachable.git")  # nothing is decided meanwhile

    scene.daemon.start()
    said = "which this store never gave it"
    scene.wait("the nodes to be held", lambda: said in web.agent("status").stdout)
    assert "opsctl serve --restored" in scene.daemon.last_words()
    web.write("/etc/late", "by hand")
    scene.wait_for_file("web-1", "/etc/late", "after the backup")  # they hold what they have
    assert not scene.online("web-1")
    scene.daemon.stop()
    unreachable.rename(scene.repository.remote)
    scene.daemon.start("--restored")
    scene.wait("all to be back", lambda: all(scene.online(name) for name in NODES))
    scene.push("After the restore", _late("after the restore"))
    for name in NODES:
        scene.wait_for_file(name, "/etc/late", "after the restore")


def _slow(runs: Path, gate: Path) -> dict[str, str]:
    lines = (f"echo begin >>{runs}", f"while [ ! -e {gate} ]; do sleep 0.05; done", f"echo end >>{runs}")
    return config.document("slow", config.script(*lines))


def _supervisor(executions: Path) -> int:
    """The process that keeps the one script company that runs there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            said = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if any(part.endswith("supervisor.py") for part in said) and any(str(executions) in part for part in said):
                found.append(int(process.name))
    (pid,) = found
    return pid


def _late(content: str) -> dict[str, str]:
    return config.document("late", config.file("/etc/late", content))


def _last_report(story: Story, name: str) -> int:
    story.read_journals()
    return max(int(key[1]) for key in story.of(name, "report"))


def _acknowledged(story: Story, name: str) -> int:
    story.read_journals()
    return max(int(key[1]) for key in story.of(name, "ack"))
