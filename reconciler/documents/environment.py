"""Parameters that scripts find in their environment: the value of `name` as `SSM_name`, and never as text of a script.

So a value is data to a script, whatever is in it. In other inputs such a parameter is put in like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.contract.interpolation import interpolate, written
from reconciler.core.problem import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reconciler.core.manifest import Tree
    from reconciler.documents.document import Document
    from reconciler.documents.parameters import Where

PREFIX = "SSM_"
SCRIPTS: Mapping[str, tuple[str, ...]] = {
    "aws:runPowerShellScript": ("runCommand",),
    "aws:runShellScript": ("runCommand",),
    "ops:script": ("test", "apply"),
}
"""Inputs that are lines of a script, by action."""


def names(document: Document) -> frozenset[str]:
    """The parameters that scripts find in their environment."""
    return frozenset(name for name, parameter in document.parameters.items() if parameter.interpolation_type)


def variables(document: Document, values: Mapping[str, Any]) -> dict[str, str]:
    """What the document's scripts find in their environment."""
    return {PREFIX + name: written(values[name]) for name in sorted(names(document))}


def flaws(document: Document, values: Mapping[str, Any], where: Where) -> Iterator[Finding]:
    """Values that no environment can hold."""
    for name in sorted(names(document) & values.keys()):
        if "\0" in written(values[name]):
            expected = "text that an environment can hold"
            yield Finding(f"parameter `{name}`: holds a NUL byte", where((name,)), expected)


def interpolated(
    action: str,
    tree: Mapping[str, Tree],
    declared: set[str],
    resolve: Callable[[str], Any],
    in_environment: frozenset[str],
) -> dict[str, Any]:
    """A step's inputs with values put in; into what is a script, none of a parameter that it finds in its environment.

    There the reference stays as it stands.
    """
    scripts = SCRIPTS.get(action, ())
    in_scripts = declared - in_environment
    return {
        name: interpolate(value, in_scripts if name in scripts else declared, resolve) for name, value in tree.items()
    }
