"""maxConcurrency and maxErrors bind every run of a schedule, and a freeze stops everything: told of whole fleets."""

from __future__ import annotations

import os

import pytest

from reconciler.core import rate
from tests.simulation.fleet import PERIOD, Simulation, Story, instants_of

FULL = os.environ.get("OPSCTL_FAULTS") == "full"


def hold_to_the_bounds(told: Simulation) -> None:
    """What must be so of every story."""
    story = told.story
    limit = rate.concurrency(story.concurrency, told.targets)
    allowed = rate.errors(story.errors, told.targets)
    assert told.widest <= limit
    assert told.begun_while_frozen == 0
    for kept in told.instants.values():
        assert len(set(kept.begun)) == len(kept.begun), "no node makes a run twice"
        assert kept.begun_after_stop == 0, "nobody begins once too many have failed"
        assert kept.failed <= allowed + limit, "those under way may still fail, and nobody else"


@pytest.mark.parametrize("seed", range(40 if FULL else 6))
@pytest.mark.parametrize(
    "story",
    [
        Story(nodes=600, instants=5),
        Story(nodes=600, instants=5, concurrency="7", errors="0", failing=0.004),
        Story(nodes=600, instants=5, concurrency="50%", failing=0.3, away=0.2, late=0.2),
        Story(nodes=300, instants=3, concurrency="1", vanish=0.0, away=0.1),
        Story(nodes=600, instants=5, frozen=(2 * PERIOD - 300, 3 * PERIOD + 200), away=0.2),
    ],
    ids=["calm", "strict", "failing", "one-by-one", "frozen"],
)
def test_every_run_keeps_to_its_bounds(story: Story, seed: int) -> None:
    hold_to_the_bounds(Simulation(story, seed).tell())


def test_a_calm_fleet_runs_everywhere() -> None:
    """Guards the properties: they do not hold because nothing runs."""
    told = Simulation(Story(nodes=600, instants=4, failing=0.0, away=0.0, late=0.0, vanish=0.0), 1).tell()
    assert [len(told.instants[at].begun) for at in instants_of(range(4))] == [600] * 4
    assert told.widest == 60


def test_too_many_errors_leave_the_rest_out_of_that_run_and_not_of_the_next() -> None:
    told = Simulation(Story(nodes=600, instants=3, failing=0.5, away=0.0, late=0.0, vanish=0.0), 1).tell()
    for at in instants_of(range(3)):
        kept = told.instants[at]
        assert 30 < kept.failed <= 90
        assert len(kept.begun) < 200
        assert kept.over == 600 - len(kept.begun)


def test_what_a_freeze_kept_back_runs_once_when_it_is_over() -> None:
    story = Story(nodes=600, instants=5, failing=0.0, away=0.0, late=0.0, vanish=0.0, restarts=False)
    frozen = (PERIOD - 10, 2 * PERIOD + 400)
    told = Simulation(Story(**{**vars(story), "frozen": frozen}), 1).tell()
    begun = [len(told.instants[at].begun) for at in instants_of(range(5))]
    assert begun == [600, 0, 600, 600, 600], "the one that passed is not made up for, the last of them is"


@pytest.mark.parametrize("instants", [5 if FULL else 1])
def test_a_hundred_thousand_nodes(instants: int) -> None:
    story = Story(nodes=100_000, instants=instants, failing=0.03)
    told = Simulation(story, 7).tell()
    hold_to_the_bounds(told)
    assert told.widest > 9_000
