"""The README's tour is true: its commands run, and print what stands there."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.docs import tour
from tests.docs.pages import README


@pytest.mark.skipif(shutil.which("bash") is None, reason="the tour is told by bash")
@pytest.mark.timeout(300)
def test_the_tour_prints_what_the_readme_says() -> None:
    """Write it with `make docs`."""
    page = README.read_text()
    assert tour.masked(tour.retold(page)) == tour.masked(page)


def test_it_tells_of_everything_that_matters() -> None:
    told = "\n".join(re.findall(r"^\$ (.*)$", README.read_text(), re.MULTILINE))
    for words in ("init", "validate", "plan", "serve", "token create", "apply", "node list", "explain"):
        assert f"opsctl {words}" in told
    assert "agent.pyz enroll" in told


def test_a_command_that_fails_ends_the_tour() -> None:
    with tour.Shell() as shell, pytest.raises(tour.TourError, match="exit 3"):
        shell.run("(exit 3)")


def test_a_telling_that_differs_is_seen() -> None:
    page = "```console\n$ echo one\ntwo\n```\n"
    assert tour.retold(page) == "```console\n$ echo one\none\n```\n"
