"""Renderers: a template comes to what the contract says, or to an error at its line; in a process, within bounds."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from agent.contract.template import TemplateError, render
from reconciler.adapters.renderer import BoundedRenderer, Bounds, MemoryRenderer

if TYPE_CHECKING:
    from reconciler.core.ports import Renderer

CONTEXT = {"name": "web-1", "labels": {"Role": "web"}, "vars": {"ports": [80, 443], "ä": "ö\U0001f40c"}}
ENDLESS = "first\n{% for a in range(99999) %}\n{% for b in range(99999) %}{% endfor %}{% endfor %}"


class Watched(BoundedRenderer):
    """Says which process it has."""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid


@pytest.fixture(scope="module")
def bounded() -> Iterator[Watched]:
    with Watched(Bounds(seconds=0.5, memory=256 << 20, output=1000)) as renderer:
        yield renderer


@pytest.fixture(params=["process", "memory"])
def renderer(request: pytest.FixtureRequest, bounded: Watched) -> Renderer:
    return bounded if request.param == "process" else MemoryRenderer()


@pytest.mark.parametrize(
    "source", ["plain\n", "{{ name }} {{ vars['ä'] }}", "{% for port in vars.ports %}listen {{ port }};\n{% endfor %}"]
)
def test_it_comes_to_what_the_contract_says(renderer: Renderer, source: str) -> None:
    assert renderer.for_plan()(source, CONTEXT) == render(source, CONTEXT)


@pytest.mark.parametrize(
    ("source", "line", "says"),
    [
        ("first\n{{ vars.missing }}\n", 2, "missing"),
        ("{% for a in range(10 ** 9) %}{% endfor %}", 1, "Range too big"),
        ("{% if %}", 1, "Expected an expression"),
        ("{{ '\\ud800' }}", 0, "surrogates not allowed"),
    ],
)
def test_an_error_stands_at_its_line(renderer: Renderer, source: str, line: int, says: str) -> None:
    with pytest.raises(TemplateError, match=says) as caught:
        renderer.for_plan()(source, CONTEXT)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("source", "line", "says"),
    [
        (ENDLESS, 3, "more than 0.5 s"),
        ("\n{{ 10 ** (10 ** 9) }}", 0, "more than 0.5 s"),
        ("\n\n{{ 'x' * 10 ** 9 }}", 3, "more than 256 MiB of memory"),
        ("\n{{ name|center(10 ** 9) }}", 2, "more than 256 MiB of memory"),
        ("{{ 'ö' * 501 }}", 0, "1002 bytes, at most 1000"),
    ],
)
def test_what_takes_too_much_is_told_and_the_next_one_renders(
    bounded: Watched, source: str, line: int, says: str
) -> None:
    plan = bounded.for_plan()
    with pytest.raises(TemplateError, match=says) as caught:
        plan(source, CONTEXT)
    assert caught.value.line == line
    assert plan("{{ name }}", CONTEXT) == "web-1"


def test_one_process_serves_many_and_comes_back_when_it_is_killed(bounded: Watched) -> None:
    plan = bounded.for_plan()
    served = {plan("{{ n }}", {"n": number}) and bounded.pid for number in range(100)}
    assert len(served) == 1
    os.kill(bounded.pid, signal.SIGKILL)
    assert bounded.for_plan()("{{ name }}", CONTEXT) == "web-1"
    assert bounded.pid not in served


def test_nothing_is_left_of_one_that_is_closed() -> None:
    with Watched() as renderer:
        renderer.for_plan()("{{ name }}", CONTEXT)
        pid = renderer.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_passed_its_bounds_is_not_tried_again_in_the_same_plan(bounded: Watched) -> None:
    plan = bounded.for_plan()
    with pytest.raises(TemplateError, match=r"more than 0\.5 s"):
        plan(ENDLESS, CONTEXT)
    plan("{{ name }}", CONTEXT)
    process = bounded.pid
    with pytest.raises(TemplateError, match=r"more than 0\.5 s"):
        plan(ENDLESS, {"name": "another"})
    assert bounded.pid == process


def test_a_plan_has_so_much_time_for_all_its_templates() -> None:
    with BoundedRenderer(Bounds(plan_seconds=0.0)) as renderer, pytest.raises(TemplateError, match="all they have"):
        renderer.for_plan()("{{ name }}", CONTEXT)


def test_where_there_is_no_process_to_be_had_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    with BoundedRenderer() as renderer, pytest.raises(TemplateError, match="No such file"):
        renderer.for_plan()("{{ name }}", CONTEXT)
