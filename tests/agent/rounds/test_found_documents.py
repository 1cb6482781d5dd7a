"""Documents that a job finds on its node: asked for, answered once, and what becomes of it when nobody answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.contract import sshsig, wire
from agent.contract.canonical import canonical, digest_of
from agent.contract.codec import to_wire
from agent.contract.job import Compile, Compiled
from agent.state.questions import AnswerRefused, NoAnswer, Questions
from tests.agent.jobs import Runner, envelope, job_id, until
from tests.agent.pki import ControllerKey
from tests.agent.rig import Rig
from tests.agent.rounds.test_jobs import of, shell, statuses

TEXT = "schemaVersion: '2.2'\n"


@pytest.fixture
def runner(rig: Rig) -> Iterator[Runner]:
    (rig.root / "found.yaml").write_text(TEXT)
    made = Runner(rig)
    yield made
    made.stop()


def runs(path: str = "/found.yaml") -> wire.BodyStep:
    return wire.BodyStep("run", "aws:runDocument", 1, {"documentType": "LocalPath", "documentPath": path}, "continue")


def asked(runner: Runner) -> Compile:
    until("a question", runner.rig.node.questions.waiting)
    (question,) = runner.rig.node.questions.waiting()
    return question


def answer(
    key: ControllerKey, question: Compile, *steps: wire.BodyStep, problem: str = "", **changes: Any
) -> wire.Signed:
    made = Compiled(envelope(**changes), digest_of(to_wire(question)), list(steps), problem)
    return key.sign(sshsig.JOB, canonical(to_wire(made)))


def inner(name: str, *lines: str) -> wire.BodyStep:
    return shell("run:" + name, *lines, within="run")


def test_its_steps_are_those_of_the_answer(runner: Runner) -> None:
    runner.take(of(runs(), shell("after", "echo after")))
    question = asked(runner)
    assert (question.job_id, question.step, question.path, question.text) == (job_id(), "run", "/found.yaml", TEXT)
    runner.rig.node.questions.answer(
        answer(runner.rig.controller, question, inner("a", "echo a"), inner("b", "exit 3"))
    )
    (report,) = runner.reported()
    assert [step.name for step in report.steps] == ["run", "run:a", "run:b", "after"]
    assert statuses(report) == ["Failed", "Success", "Failed", "Success"]
    assert report.output == "a\nafter\n"
    assert {said.step for said in runner.jobs.said()} == {"run:a", "after"}


def test_an_agent_that_starts_again_does_not_ask_again(runner: Runner) -> None:
    runner.take(of(runs()))
    question = asked(runner)
    runner.rig.node.questions.answer(answer(runner.rig.controller, question, inner("a", "echo a")))
    assert runner.reported()[0].status == "Success"
    again = Questions(runner.rig.node.identity, runner.rig.node.jobs.place)
    assert again.ask(question, lambda: "nobody is there").steps == [inner("a", "echo a")]
    assert again.steps(job_id()) == [inner("a", "echo a")]
    with pytest.raises(NoAnswer, match="nobody is there"):
        again.ask(dataclasses.replace(question, text="another"), lambda: "nobody is there")
    (kept,) = (Path(runner.rig.node.jobs.place(job_id())) / "documents").iterdir()
    kept.write_text("{}")
    with pytest.raises(NoAnswer, match="nobody is there"):
        again.ask(question, lambda: "nobody is there")


def test_without_an_answer_it_can_be_cancelled(runner: Runner) -> None:
    runner.take(of(runs(), shell("after", "echo after")))
    asked(runner)
    runner.end()
    (report,) = runner.reported()
    assert "the job was cancelled" in str(report.steps[0].reason)
    assert (report.status, statuses(report)) == ("Cancelled", ["Cancelled", "Skipped"])


def test_what_is_wrong_with_it_is_why_the_step_failed(runner: Runner) -> None:
    runner.take(of(runs()))
    runner.rig.node.questions.answer(answer(runner.rig.controller, asked(runner), problem="found.yaml:1:1: error: no"))
    (report,) = runner.reported()
    assert (report.status, report.steps[0].reason) == ("Failed", "found.yaml:1:1: error: no")


@pytest.mark.parametrize(("content", "why"), [
    (None, "the document cannot be read"),
    ("x" * 70000, "has more than 65536 bytes"),
    (b"\xff\xfe", "is no text"),
])  # fmt: skip
def test_what_nobody_is_asked_about(runner: Runner, content: Any, why: str) -> None:
    path = runner.rig.root / "found.yaml"
    path.unlink()
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    runner.take(of(runs()))
    (report,) = runner.reported()
    assert why in str(report.steps[0].reason)


def test_answers_that_are_not_taken(runner: Runner) -> None:
    runner.take(of(runs()))
    question, questions, key = asked(runner), runner.rig.node.questions, runner.rig.controller
    with pytest.raises(sshsig.BadSignature):
        questions.answer(answer(ControllerKey(), question, inner("a", "echo a")))
    with pytest.raises(AnswerRefused, match="it is of another job"):
        questions.answer(answer(key, question, number=2))
    with pytest.raises(AnswerRefused, match="it is for node"):
        questions.answer(answer(key, question, node_id="mi-00000000000000000"))
    with pytest.raises(AnswerRefused, match="does not understand all of it"):
        questions.answer(answer(key, question, must_understand=["tomorrow"]))
    questions.answer(answer(key, Compile(job_id(), "other", "/x", "")))
    assert questions.waiting() == [question]
    questions.answer(answer(key, question, inner("a", "echo a")))
    assert runner.reported()[0].status == "Success"
