"""Jobs at work: steps as SSM runs them, once, beside the rounds, and ended early. Kills are in `tests/e2e`."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agent.contract import wire
from agent.rounds import jobs as at_work
from agent.rounds.job_report import STEP_OUTPUT, TRUNCATED, cut, transcript
from agent.steps import cloning
from tests.agent.jobs import Runner, job_id, until
from tests.agent.rig import Rig, body
from tests.agent.state.test_leave import hold


@pytest.fixture
def runner(rig: Rig) -> Iterator[Runner]:
    made = Runner(rig)
    yield made
    made.stop()


def shell(name: str, *lines: str, **changes: Any) -> wire.BodyStep:
    inputs = {"runCommand": list(lines), **changes.pop("inputs", {})}
    step = wire.BodyStep(name, "aws:runShellScript", 1, inputs, "continue")
    return dataclasses.replace(step, **changes)


def of(*steps: wire.BodyStep, **changes: Any) -> wire.Body:
    return dataclasses.replace(wire.Body("Command/x", "x", list(steps)), **changes)


def statuses(report: wire.Report) -> list[str]:
    return [step.status for step in report.steps]


@pytest.mark.parametrize(("steps", "status", "ends"), [
    ([shell("a", "true"), shell("b", "true")], "Success", ["Success", "Success"]),
    ([shell("a", "exit 3"), shell("b", "true")], "Failed", ["Failed", "Success"]),
    ([shell("a", "exit 3", on_failure="exit"), shell("b", "true")], "Failed", ["Failed", "Skipped"]),
    ([shell("a", "exit 3", on_failure="successAndExit"), shell("b", "true")], "Success", ["Failed", "Skipped"]),
    ([shell("a", "exit 168"), shell("b", "exit 1")], "Success", ["Success", "Skipped"]),
    ([shell("a", "exit 169"), shell("b", "true")], "Failed", ["Failed", "Skipped"]),
    ([shell("a", "true", on_success="exit"), shell("b", "exit 1")], "Success", ["Success", "Skipped"]),
    ([shell("a", "exit 3", on_failure="exit"), shell("b", "true"), shell("c", "true", finally_step=True)],
     "Failed", ["Failed", "Skipped", "Success"]),
    ([shell("a", "exit 168"), shell("c", "exit 2", finally_step=True)], "Failed", ["Success", "Failed"]),
    ([shell("a", "sleep 60", inputs={"timeoutSeconds": 1}), shell("b", "true")], "TimedOut", ["TimedOut", "Success"]),
    ([shell("a", "sleep 60", inputs={"timeoutSeconds": 1}), shell("b", "exit 1")], "Failed", ["TimedOut", "Failed"]),
    ([shell("a", "exit 1", precondition={"StringEquals": ["platformType", "Windows"]})], "Success", ["Skipped"]),
    ([shell("a", "true", action="aws:configurePackage")], "Failed", ["Failed"]),
])  # fmt: skip
def test_steps_end_as_ssm_has_it(runner: Runner, steps: list[wire.BodyStep], status: str, ends: list[str]) -> None:
    taken = runner.take(of(*steps))
    (report,) = runner.reported()
    assert (report.job_id, report.cause, report.status, statuses(report)) == (taken, "Job", status, ends)


def test_what_is_said_and_by_whom(runner: Runner) -> None:
    runner.take(of(shell("a", "echo out; echo err >&2; exit 4"), shell("b", "echo more $AWS_SSM_COMMAND_ID")))
    (report,) = runner.reported()
    first, second = report.steps
    assert (first.rc, first.sizes, first.output) == (
        4, {"stdout": 4, "stderr": 4}, "out\n\n----------ERROR-------\nerr\n"
    )  # fmt: skip
    assert second.output == f"more {job_id()}\n"
    assert (report.output, report.error) == (f"out\nmore {job_id()}\n", "err\n")
    assert first.started_at <= second.started_at
    found = {(said.step, said.name): Path(said.paths[0]).read_text() for said in runner.jobs.said()}
    assert found == {("a", "stdout"): "out\n", ("a", "stderr"): "err\n", ("b", "stdout"): f"more {job_id()}\n"}
    assert all(said.ended for said in runner.jobs.said())


def test_what_its_scripts_find_in_their_environment(runner: Runner) -> None:
    found = {"SSM_word": "a 'b' $(c)\n{{ d }} é"}
    step = shell("a", 'printf %s "$SSM_word"', environment=found)
    runner.take(of(step, shell("b", 'printf "%s" "${SSM_word-none}"'), must_understand=["environment"]))
    (report,) = runner.reported()
    assert [step.output for step in report.steps] == [found["SSM_word"], "none"]


def test_truncation() -> None:
    assert cut("x" * 10, 10) == "x" * 10
    assert len(cut("x" * 30000, 24000)) == 24000
    assert cut("x" * 30000, 24000).endswith(TRUNCATED)
    for stdout, stderr in ((9000, 9000), (9000, 10), (10, 9000), (2400, 200)):
        assert len(transcript("o" * stdout, "e" * stderr)) <= STEP_OUTPUT
    assert transcript("o" * 9000, "err").endswith("err")
    assert transcript("out", "e" * 9000).startswith("out")


def test_a_dry_run(runner: Runner, rig: Rig) -> None:
    steps = [*body(text="new\n").steps, shell("a", "touch $OPSCTL_ROOT/ran")]
    runner.take(of(*steps, mode="AuditOnly"))
    (report,) = runner.reported()
    assert report.status == "Success"
    assert "+new" in str(report.steps[0].output)
    assert "touch $OPSCTL_ROOT/ran" in str(report.steps[1].output)
    assert not rig.file().exists()
    assert not rig.file("ran").exists()


def test_what_an_association_claims_is_left_to_it(runner: Runner, rig: Rig) -> None:
    rig.give(1, body())
    rig.run()
    runner.take(of(*body(text="other\n").steps))
    (report,) = runner.reported()
    assert report.status == "Failed"
    assert "claimed by step motd of Association/motd" in str(report.steps[0].reason)
    assert rig.file().read_text() == "hello\n"


def test_what_holds_a_state_waits_for_the_rounds_and_a_script_does_not(runner: Runner, rig: Rig) -> None:
    with runner.turn:
        runner.take(of(*body(text="mine\n").steps), 1)
        runner.take(of(shell("a", "true")), 2)
        (report,) = runner.reported()
        assert report.job_id == job_id(2)
        assert not rig.file().exists()
    (report,) = runner.reported()
    assert (report.job_id, rig.file().read_text()) == (job_id(1), "mine\n")
    assert rig.run() == []


def test_cancelled_in_the_middle(runner: Runner, rig: Rig) -> None:
    runner.take(of(shell("a", "true"), shell("b", "touch $OPSCTL_ROOT/begun; sleep 600"), shell("c", "true")))
    until("b to begin", rig.file("begun").exists)
    runner.end()
    (report,) = runner.reported()
    assert (report.status, statuses(report)) == ("Cancelled", ["Success", "Cancelled", "Skipped"])


def test_cancelled_while_a_state_is_brought_about(runner: Runner, rig: Rig) -> None:
    inputs = {"test": ["test -e $OPSCTL_ROOT/made"], "apply": ["echo working; touch $OPSCTL_ROOT/begun; sleep 600"]}
    runner.take(of(wire.BodyStep("a", "ops:script", 1, inputs, "continue"), shell("b", "true")))
    until("a to begin", rig.file("begun").exists)
    runner.end()
    (report,) = runner.reported()
    assert (report.status, statuses(report)) == ("Cancelled", ["Cancelled", "Skipped"])
    assert str(report.steps[0].output).endswith("working")


def test_out_of_time_as_a_whole(runner: Runner, rig: Rig) -> None:
    runner.take(of(shell("a", "touch $OPSCTL_ROOT/begun; sleep 600"), shell("b", "true")))
    until("a to begin", rig.file("begun").exists)
    rig.clock.seconds += 601
    (report,) = runner.reported()
    assert (report.status, statuses(report)) == ("TimedOut", ["TimedOut", "Skipped"])


def test_too_late_it_is_not_begun(runner: Runner, rig: Rig) -> None:
    runner.stop()
    runner.take(of(shell("a", "true")))
    rig.clock.seconds += 601
    runner.start()
    (report,) = runner.reported()
    assert (report.status, report.steps) == ("TimedOut", [])


def test_a_job_waits_while_the_node_is_held(runner: Runner, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_work, "LOOK_SECONDS", 0.01)
    assert hold(rig, 1)
    runner.take(of(shell("a", "touch $OPSCTL_ROOT/ran")))
    until("it to be looked at", lambda: not runner.jobs.idle())
    assert not rig.file("ran").exists()
    assert hold(rig, 2, lifted=True)
    (report,) = runner.reported()
    assert (report.status, rig.file("ran").exists()) == ("Success", True)


def test_a_body_that_does_not_come_is_waited_for(runner: Runner, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_work, "LOOK_SECONDS", 0.01)
    from tests.agent.jobs import signed_job

    rig.node.jobs.take(signed_job(rig.controller, "sha256:" + "0" * 64))
    assert rig.reports() == []
    rig.clock.seconds += 601
    (report,) = runner.reported()
    assert (report.status, "is not on this node" in str(report.reason)) == ("Failed", True)


def test_no_more_than_so_many_at_once(runner: Runner, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_work, "AT_ONCE", 2)
    wait = "echo x >>$OPSCTL_ROOT/begun; while [ ! -e $OPSCTL_ROOT/go ]; do sleep 0.02; done"
    for number in range(1, 4):
        runner.take(of(shell("a", wait)), number)
    until("two to begin", lambda: rig.file("begun").exists() and rig.file("begun").read_text().count("x") == 2)
    assert not runner.jobs.idle()
    rig.file("go").touch()
    assert len(runner.reported(3)) == 3
    until("all to be idle", runner.jobs.idle)


def test_a_download_that_is_cancelled_is_given_up_and_leaves_nothing(runner: Runner, rig: Rig) -> None:
    """It comes so slowly that it never would be all there."""
    body_, began = b"x" * 100_000, threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that the base class calls
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(body_)
                    began.set()
                    time.sleep(0.01)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        source = {"url": f"http://127.0.0.1:{server.server_port}/x", "allowInsecureDownload": True}
        inputs = {"sourceType": "HTTP", "sourceInfo": source, "destinationPath": "/got"}
        runner.take(of(wire.BodyStep("get", "aws:downloadContent", 1, inputs, "continue"), shell("after", "true")))
        assert began.wait(30)
        runner.end()
        (report,) = runner.reported()
        server.shutdown()
    assert (report.status, statuses(report)) == ("Cancelled", ["Cancelled", "Skipped"])
    assert report.steps[0].reason == "it was given up: the job was cancelled"
    assert sorted(path.name for path in rig.root.iterdir() if "got" in path.name) == []


def test_a_program_that_is_cancelled_is_ended(runner: Runner, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clone that never ends: git waits for a repository's program that waits."""
    waits = rig.root / "waits"
    waits.write_text(f"#!/bin/sh\ntouch {rig.root}/began\nexec sleep 600\n")
    waits.chmod(0o755)
    monkeypatch.setattr(cloning, "SSH", str(waits))
    inputs = {"sourceType": "Git", "sourceInfo": {"repository": "ssh://git@192.0.2.1/x"}, "destinationPath": "/x"}
    runner.take(of(wire.BodyStep("get", "aws:downloadContent", 1, inputs, "continue")))
    until("git to begin", lambda: (rig.root / "began").exists())
    runner.end()
    (report,) = runner.reported()
    assert (report.status, report.steps[0].reason) == ("Cancelled", "git clone was cancelled")
    assert list((rig.root / "x").iterdir()) == []
