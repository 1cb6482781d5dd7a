"""Rendering of `template: true` content: Jinja2 in a sandbox, undefined names are errors.

Here, because a plan's diff on the server and the file on the node must be the same bytes. Jinja2 is imported only when
something is rendered.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any, Dict, Iterator, Set, Tuple

CONTEXT_NAMES = ("labels", "vars", "facts", "name")
_GIVEN_BY_JINJA = ("loop", "caller", "varargs", "kwargs", "self", "super")


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
            text = str(self._template.render(context))
            text.encode()  # a file holds no half of a character
            return text


def render(source: str, context: Dict[str, Any]) -> str:
    """`source` rendered over `context` (labels, vars, facts, name). Raises `TemplateError`."""
    return Template(source).render(context)


def names_used(source: str) -> Set[str]:
    """The top-level names a template reads, so that the server knows whether it needs facts. Raises `TemplateError`."""
    return {path[0] for path in paths_read(source)}


def paths_read(source: str) -> Set[Tuple[str, ...]]:
    """What a template reads: `("labels", "Env")`, or `("labels",)` where it may be any part of it.

    Found without evaluating any of it: constants that would never be worked out are no trouble. Raises `TemplateError`
    for what cannot be rendered whatever the context is.
    """
    environment = _environment()
    with _told_as_ours():
        tree = environment.parse(source)
        _refuse_what_is_not_there(tree, environment)
        return _paths(tree, environment)


def looks_rendered(source: str) -> bool:
    """Whether a text has anything for Jinja2 to do."""
    return bool(re.search(r"\{[{%#]", source))


def _environment() -> Any:
    import jinja2
    import jinja2.sandbox

    return jinja2.sandbox.ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False
    )


def _refuse_what_is_not_there(tree: Any, environment: Any) -> None:
    """Filters and tests that Jinja2 does not have, and other templates."""
    from jinja2 import nodes

    for other in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        raise TemplateError("a template cannot name others", other.lineno)
    for kind, word, known in ((nodes.Filter, "filter", environment.filters), (nodes.Test, "test", environment.tests)):
        for used in tree.find_all(kind):
            if used.name not in known:
                raise TemplateError("there is no %s `%s`" % (word, used.name), used.lineno)


def _paths(tree: Any, environment: Any) -> Set[Tuple[str, ...]]:
    """A name that the template gives itself somewhere counts as read only where it is one of the context's."""
    from jinja2 import nodes

    names = list(tree.find_all(nodes.Name))
    own = {name.name for name in names if name.ctx != "load"} | {macro.name for macro in tree.find_all(nodes.Macro)}
    own = own.union(environment.globals, _GIVEN_BY_JINJA) - set(CONTEXT_NAMES)
    inner = {}
    for access in tree.find_all((nodes.Getattr, nodes.Getitem)):
        key = access.attr if isinstance(access, nodes.Getattr) else getattr(access.arg, "value", None)
        if isinstance(access.node, nodes.Name) and isinstance(key, str) and not hasattr(dict, key):
            inner[id(access.node)] = (access.node.name, key)
    return {inner.get(id(name), (name.name,)) for name in names if name.ctx == "load" and name.name not in own}


@contextlib.contextmanager
def _told_as_ours() -> Iterator[None]:
    import jinja2

    try:
        yield
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(error.message or "syntax error", error.lineno) from error
    except jinja2.TemplateError as error:
        raise TemplateError(error.message or type(error).__name__, line_of(error)) from error
    except TemplateError:
        raise
    except RecursionError as error:
        raise TemplateError("it is nested too deeply", line_of(error)) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise TemplateError("%s: %s" % (type(error).__name__, error), line_of(error)) from error


def line_of(error: BaseException) -> int:
    """The template's line at which rendering it came to this, 0 where Jinja2 does not say."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
