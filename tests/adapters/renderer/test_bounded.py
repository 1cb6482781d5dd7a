"""What nobody has reviewed renders as the contract says, or not at all; the next one always does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.contract.template import TemplateError, render
from reconciler.adapters.renderer import BoundedRenderer

CONTEXT = {"name": "web-1", "labels": {"Role": "web"}, "vars": {"ports": [80, 443], "ä": "ö"}}


@pytest.fixture(scope="module")
def renderer() -> Iterator[BoundedRenderer]:
    made = BoundedRenderer(seconds=1.0)
    yield made
    made.close()


@pytest.mark.parametrize(
    "source", ["plain\n", "{{ name }} {{ vars['ä'] }}", "{% for port in vars.ports %}listen {{ port }};\n{% endfor %}"]
)
def test_renders_as_the_contract_does(renderer: BoundedRenderer, source: str) -> None:
    assert renderer(source, CONTEXT) == render(source, CONTEXT)


def test_an_undefined_name_is_an_error_at_its_line(renderer: BoundedRenderer) -> None:
    with pytest.raises(TemplateError, match="missing") as caught:
        renderer("first\n{{ vars.missing }}\n", CONTEXT)
    assert caught.value.line == 2


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ [0] * 10 ** 9 }}",
        "{{ 10 ** (10 ** 9) }}",
        "{{ 'x'|center(10 ** 9) }}",
        "{{ 'a' * 5000000 }}",
    ],
)
def test_what_takes_too_much_is_refused_and_the_next_one_renders(renderer: BoundedRenderer, source: str) -> None:
    with pytest.raises(TemplateError):
        renderer(source, CONTEXT)
    assert renderer("{{ name }}", CONTEXT) == "web-1"
