"""What the steps of a body may know besides their inputs."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from agent.contract.wire import Body, NodeContext
from agent.steps.rendering import rendered
from agent.steps.step import Given, Itself, context_text


def given_of(
    body: Body,
    context: NodeContext,
    facts: Mapping[str, Any],
    blob: Callable[[str], bytes],
    environment: Mapping[str, str],
    render: Callable[[str, str], str] = rendered,
    downloads: str = "",
    itself: Optional[Itself] = None,
) -> Given:
    """`blob` gives bytes by digest; `environment` is told to scripts; `render` renders a template over a context;
    `downloads` is the run's own directory for what it downloads.
    """
    return Given(
        name=context.name,
        labels=context.labels,
        vars=context.vars_,
        facts=facts,
        content=lambda source: blob(body.files[source].digest),
        files=body.files,
        environment=dict(environment),
        context=context_text(context.name, context.labels, context.vars_, facts),
        render=render,
        downloads=downloads,
        itself=itself,
    )
