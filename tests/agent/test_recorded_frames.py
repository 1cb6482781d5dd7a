"""The wire stays what it was: recorded conversations of every released version play on."""

from __future__ import annotations

import json

import pytest

import agent
from tests.agent import recording

RECORDED = sorted(path.stem for path in recording.DIRECTORY.glob("*.txt"))


def lines(version: str) -> list[str]:
    return recording.path_of(version).read_text().splitlines()


def types(conversation: list[str]) -> list[str]:
    return [json.loads(line.partition(" ")[2])["type"] for line in conversation if line.startswith("agent ")]


def test_this_version_says_what_was_recorded_of_it() -> None:
    """After a change of the wire on purpose, record it again: `python -m tests.agent.recording`."""
    assert recording.record() == lines(agent.__version__)


@pytest.mark.parametrize("version", RECORDED)
def test_a_recorded_server_is_answered_as_it_was(version: str) -> None:
    played = recording.replay(lines(version))
    assert types(played) == types(lines(version))
    if version == agent.__version__:
        assert played == lines(version)


def test_the_recording_has_everything_in_it() -> None:
    said = types(lines(agent.__version__))
    assert said[:4] == ["hello", "report", "report", "ask"]
    assert said.count("held") == 2
    assert said.count("unsupported") == 7
    assert said.count("fetch") == 2
