"""What a template reads, found without evaluating any of it."""

from __future__ import annotations

import pytest

from agent.contract.template import TemplateError, names_used, render


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("plain", set()),
        ("{{ labels.role }} {{ vars['port'] | default(80) }}", {"labels", "vars"}),
        ("{% if facts.os is defined %}x{% endif %}", {"facts"}),
        ("{% for site in vars.sites %}{{ site }}{{ loop.index }}{% endfor %}", {"vars"}),
        ("{% set port = vars.port %}{{ port }}", {"vars"}),
        ("{% macro row(x) %}{{ x }}{{ caller() }}{% endmacro %}{{ row(name) }}", {"name"}),
        ("{{ range(3) | list }}{{ namespace(a=1).a }}", set()),
        ("{{ lables.role }}{{ end }}", {"lables", "end"}),
        ("{% raw %}{{ facts }}{% endraw %}{# {{ vars }} #}", set()),
        ("{% for labels in vars.x %}{{ labels }}{% endfor %}", {"labels", "vars"}),
    ],
)
def test_names_used(source: str, names: set[str]) -> None:
    assert names_used(source) == names


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        ("one\n{% if %}", "Expected an expression, got 'end of statement block'", 2),
        ("one\n{{ labels.role", "unexpected end of template, expected 'end of print statement'.", 2),
        ("one\n{{ vars | to_yaml }}", "there is no filter `to_yaml`", 2),
        ("{{ vars is shiny }}", "there is no test `shiny`", 1),
        ("{% include 'other' %}", "a template cannot name others", 1),
        ("{% import 'other' as o %}", "a template cannot name others", 1),
        ("{{ " + "(" * 5000, "it is nested too deeply", 0),
    ],
)
def test_what_cannot_be_rendered(source: str, message: str, line: int) -> None:
    with pytest.raises(TemplateError) as caught:
        names_used(source)
    assert (str(caught.value), caught.value.line) == (message, line)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("source", ["{{ 9 ** 9 ** 9 ** 9 }}", "{{ 'a' * 10 ** 12 }}", "{{ 'a' | center(10 ** 12) }}"])
def test_constants_are_not_worked_out(source: str) -> None:
    """A plan looks at templates of commits that nobody has reviewed."""
    assert names_used(source) == set()


def test_rendering_is_strict() -> None:
    context = {"labels": {"role": "web"}, "vars": {}, "facts": {}, "name": "web1"}
    assert render("{{ name }}: {{ labels.role }}\n", context) == "web1: web\n"
    with pytest.raises(TemplateError, match="port"):
        render("{{ vars.port }}", context)
    with pytest.raises(TemplateError):
        render("{{ ''.__class__.__mro__ }}", context)
