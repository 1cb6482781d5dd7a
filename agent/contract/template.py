"""Rendering of `template: true` content: Jinja2 in a sandbox, undefined names are errors.

Here, because a plan's diff on the server and the file on the node must be the same bytes. Jinja2 is imported only when
something is rendered.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any, Dict, Iterator, Set, Tuple

CONTEXT_NAMES = ("labels", "vars", "facts", "name")


class TemplateError(ValueError):
    """The template does not render; `line` is the template's line, 0 where Jinja2 does not say."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class Template:
    """A source made ready to be rendered many times. Making one and rendering it raise `TemplateError`."""

    def __init__(self, source: str) -> None:
        with _told_as_ours():
            self._template = _environment().from_string(source)

    def render(self, context: Dict[str, Any]) -> str:
        """The text over `context` (labels, vars, facts, name)."""
        with _told_as_ours():
            return str(self._template.render(context))


def render(source: str, context: Dict[str, Any]) -> str:
    """`source` rendered over `context` (labels, vars, facts, name). Raises `TemplateError`."""
    return Template(source).render(context)


def names_used(source: str) -> Set[str]:
    """The top-level names a template reads, so that the server knows whether it needs facts. Raises `TemplateError`."""
    return {path[0] for path in paths_read(source)}


def paths_read(source: str) -> Set[Tuple[str, ...]]:
    """What a template reads: `("labels", "Env")`, or `("labels",)` where it may be any part. Raises `TemplateError`."""
    with _told_as_ours():
        tree = _environment().parse(source)
    import jinja2.meta
    from jinja2 import nodes

    undeclared = jinja2.meta.find_undeclared_variables(tree)
    inner = {}
    for access in tree.find_all((nodes.Getattr, nodes.Getitem)):
        if isinstance(access.node, nodes.Name):
            key = access.attr if isinstance(access, nodes.Getattr) else getattr(access.arg, "value", None)
            if isinstance(key, str) and not hasattr(dict, key):
                inner[id(access.node)] = (access.node.name, key)
    names = [name for name in tree.find_all(nodes.Name) if name.name in undeclared]
    return {inner.get(id(name), (name.name,)) for name in names}


def looks_rendered(source: str) -> bool:
    """Whether a text has anything for Jinja2 to do."""
    return bool(re.search(r"\{[{%#]", source))


def _environment() -> Any:
    import jinja2
    import jinja2.sandbox

    return jinja2.sandbox.ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False
    )


@contextlib.contextmanager
def _told_as_ours() -> Iterator[None]:
    import jinja2

    try:
        yield
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(error.message or "syntax error", error.lineno) from error
    except jinja2.TemplateError as error:
        raise TemplateError(error.message or type(error).__name__, _line_of(error)) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise TemplateError("%s: %s" % (type(error).__name__, error), _line_of(error)) from error


def _line_of(error: BaseException) -> int:
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
