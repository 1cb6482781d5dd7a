"""What jobs say, on its way: announced, resumed from where the server has it, a window at most, and let go of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.contract import frames
from agent.contract.canonical import digest
from agent.contract.job import Stored
from agent.link.outputs import Outputs
from agent.link.transfer import Misdelivery
from agent.state.jobs import Said
from tests.agent.jobs import job_id, signed_job
from tests.agent.rig import Rig

WINDOW = frames.INITIAL_CREDIT


class Line:
    """One job with one output, and the connection that it goes over. `waits`: its report is not acknowledged."""

    def __init__(self, rig: Rig, path: Path) -> None:
        self.rig, self.path, self.sent = rig, path, b""
        self.waits, self.ended = False, False
        self.seq: list[int] = []
        self.ends = 0
        rig.node.jobs.take(signed_job(rig.controller, digest(b"body")))
        rig.node.jobs.said = lambda: [Said(job_id(), "a", "stdout", [str(path)], self.ended)]
        self.connect()

    def connect(self) -> None:
        self.out: list[str | bytes] = []
        self.outputs = Outputs(self.rig.node.jobs, self.out.append, lambda _seq: self.waits)

    def say(self, text: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(text)

    def go(self) -> list[dict[str, Any]]:
        """Send what may be sent; the control frames."""
        self.outputs.send(0.0)
        said, control = list(self.out), []
        self.out.clear()
        for one in said:
            if isinstance(one, str):
                control.append(json.loads(one))
            else:
                frame = frames.unpack(one)
                self.sent += frame.data
                self.ends += frame.kind == frames.END
        return control


@pytest.fixture
def line(rig: Rig, tmp_path: Path) -> Line:
    return Line(rig, tmp_path / "stdout")


def test_it_is_announced_and_goes_on_from_where_the_server_has_it(line: Line) -> None:
    line.say(b"hello world")
    assert line.go() == [{"type": "output", "stream": 1, "jobId": job_id(), "step": "a", "name": "stdout"}]
    assert (line.go(), line.sent) == ([], b"")
    line.outputs.stored(Stored(1, 6))
    line.go()
    assert line.sent == b"world"
    line.say(b"!")
    line.go()
    assert line.sent == b"world!"


def test_a_window_is_on_its_way_and_no_more(line: Line) -> None:
    line.say(b"x" * (WINDOW + 1000))
    line.go()
    line.outputs.stored(Stored(1, 0))
    line.go()
    line.go()
    assert len(line.sent) == WINDOW
    line.outputs.stored(Stored(1, 400))
    line.go()
    assert len(line.sent) == WINDOW + 400


def test_when_all_is_stored_and_acknowledged_the_job_is_let_go(line: Line) -> None:
    jobs = line.rig.node.jobs
    line.say(b"hello")
    line.go()
    line.outputs.stored(Stored(1, 0))
    line.go()
    line.ended, line.waits = True, True
    jobs.reported(job_id(), 1)
    line.go()
    assert line.ends == 0
    line.outputs.stored(Stored(1, 5))
    line.go()
    assert (line.ends, jobs.is_open(job_id())) == (1, True)
    line.waits = False
    line.go()
    assert not jobs.is_open(job_id())


def test_what_is_full_is_not_sent(line: Line) -> None:
    line.say(b"hello")
    line.go()
    line.outputs.stored(Stored(1, 2, full=True))
    line.go()
    assert line.sent == b""
    line.rig.node.jobs.reported(job_id(), 1)
    line.go()
    assert not line.rig.node.jobs.is_open(job_id())


@pytest.mark.parametrize("offsets", [[-1], [0, 6], [0, -1]])
def test_a_server_that_has_what_was_not_sent_is_left(line: Line, offsets: list[int]) -> None:
    line.say(b"hello")
    line.go()
    *before, last = offsets
    for offset in before:
        line.outputs.stored(Stored(1, offset))
        line.go()
    with pytest.raises(Misdelivery):
        line.outputs.stored(Stored(1, last))
    line.outputs.stored(Stored(9, -1))


def test_a_new_connection_announces_anew(line: Line) -> None:
    line.say(b"hello")
    line.go()
    line.outputs.stored(Stored(1, 0))
    line.go()
    line.connect()
    (announced,) = line.go()
    line.outputs.stored(Stored(announced["stream"], 5))
    line.go()
    assert line.sent == b"hello"
