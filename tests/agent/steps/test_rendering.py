"""Templates rendered in a process of their own: the same texts, the same errors, and nothing is lost with it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

import pytest

from agent.contract.template import TemplateError
from agent.steps import rendering
from agent.steps.rendering import Renderer

CONTEXT = json.dumps({"name": "wéb-1", "labels": {"Role": "web"}, "vars": {}, "facts": {}})


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    made = Renderer()
    yield made
    made.close()


def process(renderer: Renderer) -> int | None:
    return renderer._process.pid if renderer._process else None


def test_it_renders_as_this_process_would_in_one_other(renderer: Renderer) -> None:
    for template in ("{{ name }} is {{ labels.Role }}\n", "plain\n", "{{ name }}" * 20_000):
        assert renderer.render(template, CONTEXT) == rendering.rendered(template, CONTEXT)
    assert process(renderer) not in (None, os.getpid())


def test_errors_are_the_same_with_their_line(renderer: Renderer) -> None:
    for template in ("\n{{ nobody }}", "{% if %}"):
        with pytest.raises(TemplateError) as theirs:
            renderer.render(template, CONTEXT)
        with pytest.raises(TemplateError) as ours:
            rendering.rendered(template, CONTEXT)
        assert (str(theirs.value), theirs.value.line) == (str(ours.value), ours.value.line)
    assert renderer.render("still here", CONTEXT) == "still here"


def test_what_was_rendered_is_kept_beyond_the_process(renderer: Renderer) -> None:
    assert renderer.render("{{ name }}", CONTEXT) == "wéb-1"
    renderer.close()
    assert renderer.render("{{ name }}", CONTEXT) == "wéb-1"
    assert process(renderer) is None
    assert renderer.render("{{ name }}!", CONTEXT) == "wéb-1!"
    assert process(renderer) is not None


def test_a_template_without_an_end_is_given_up(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "PATIENCE", 0.5)
    endless = (
        "{% for a in range(99999) %}{% for b in range(99999) %}{% if a * b < 0 %}{% endif %}{% endfor %}{% endfor %}"
    )
    with pytest.raises(TemplateError, match="not rendered after"):
        renderer.render(endless, CONTEXT)
    assert process(renderer) is None


def test_without_a_process_it_is_done_here(capfd: pytest.CaptureFixture[str]) -> None:
    without = Renderer("/nowhere/python")
    assert without.render("{{ name }}", CONTEXT) == "wéb-1"
    assert "no process to render templates" in capfd.readouterr().err


def test_a_process_that_dies_costs_nothing(renderer: Renderer) -> None:
    assert renderer.render("one", CONTEXT) == "one"
    assert renderer._process is not None
    renderer._process.kill()
    renderer._process.wait()
    assert renderer.render("two", CONTEXT) == "two"
    assert renderer.render("{{ name }}", CONTEXT) == "wéb-1"
    assert sys.executable == renderer._python
