"""Rendering of `template: true` content: Jinja2 in a sandbox, undefined names are errors.

Here, because a plan's diff on the server and the file on the node must be the same bytes. Jinja2 is imported only when
something is rendered.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Set

CONTEXT_NAMES = ("labels", "vars", "facts", "name")


class TemplateError(ValueError):
    """The template does not render; `line` is the template's line, 0 where Jinja2 does not say."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def render(source: str, context: Dict[str, Any]) -> str:
    """`source` rendered over `context` (labels, vars, facts, name). Raises `TemplateError`."""
    environment = _environment()
    import jinja2

    try:
        return str(environment.from_string(source).render(context))
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(error.message or "syntax error", error.lineno) from error
    except jinja2.TemplateError as error:
        raise TemplateError(error.message or type(error).__name__, _line_of(error)) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise TemplateError("%s: %s" % (type(error).__name__, error), _line_of(error)) from error


def names_used(source: str) -> Set[str]:
    """The top-level names a template reads, so that the server knows whether it needs facts. Raises `TemplateError`."""
    import jinja2
    import jinja2.meta

    try:
        return set(jinja2.meta.find_undeclared_variables(_environment().parse(source)))
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(error.message or "syntax error", error.lineno) from error


def looks_rendered(source: str) -> bool:
    """Whether a text has anything for Jinja2 to do."""
    return bool(re.search(r"\{[{%#]", source))


def _environment() -> Any:
    import jinja2
    import jinja2.sandbox

    return jinja2.sandbox.ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False
    )


def _line_of(error: BaseException) -> int:
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
