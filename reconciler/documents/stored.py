"""References to Parameter Store, `{{ ssm:name }}`, `{{ ssm:name:version }}` and `{{ ssm:name:label }}`.

They may stand in a step's inputs and precondition, in what an association or a person gives for a parameter, and in a
parameter's default. What is put in is not interpolated again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from agent.contract.interpolation import Listed, in_texts, interpolate, references
from reconciler.core.parameters import SECURE, Selector
from reconciler.core.problem import Finding, Invalid
from reconciler.documents.parameters import loose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from reconciler.core.manifest import Loc
    from reconciler.core.parameters import Parameter
    from reconciler.core.problem import Place
    from reconciler.documents.parameters import Declaring, Where

    PlaceAt = Callable[[Loc], Place]

PREFIXES = ("ssm:", "resolve:ssm:")
"""What a reference to a parameter in the clear begins with."""


class Kept(Protocol):
    """The parameters that there are; `core.ports.Parameters` is one."""

    def find(self, selector: Selector) -> Parameter | None:
        """The parameter as that version has it; None where there is no such version."""

    def nearest(self, selector: Selector) -> str:
        """What is there that is closest to a selector of which nothing was found, or an empty string."""


class NothingKept:
    """Where there is no Parameter Store."""

    def find(self, selector: Selector) -> None:
        del selector

    def nearest(self, selector: Selector) -> str:
        del selector
        return ""


NOTHING_KEPT = NothingKept()


class NotStored(Invalid):
    """All that is wrong is that parameters are not there."""


class References:
    """Looks references up. `findings` grow; `missing` are those of them that say that a parameter is not there."""

    def __init__(self, kept: Kept) -> None:
        self.findings: list[Finding] = []
        self.missing: list[Finding] = []
        self.paths: set[str] = set()
        """The files that declare what was found."""
        self.names: set[str] = set()
        """The parameters that were found."""
        self._kept = kept

    def found(self, tree: Any, declared: set[str], at: PlaceAt) -> dict[str, Any] | None:
        """What each reference to a parameter in `tree` stands for, by its text; None where one stands for nothing."""
        names = sorted(name for name in references(tree, declared) if name.startswith(PREFIXES))
        values = {name: self._value(name, lambda name=name: at(_loc(tree, name))) for name in names}  # type: ignore[misc]  # mypy cannot infer it
        return None if None in values.values() else values

    def given(self, document: Declaring, given: Mapping[str, Sequence[str]], where: Where) -> dict[str, Sequence[str]]:
        """What is given for parameters, references in it replaced; so are those in defaults that nobody overrides."""
        found = {name: self._texts(list(items), where, (name,)) for name, items in given.items()}
        for name, parameter in document.parameters.items():
            default = parameter.default
            if name not in given and (texts := _referring(default)):
                found[name] = self._texts(texts, where, ())
        return found

    def _texts(self, texts: list[str], where: Where, loc: Loc) -> Sequence[str]:
        values = self.found(texts, set(), lambda at: where((*loc, *at) if loc else ()))
        if not values:
            return texts
        replaced: list[str] = in_texts(texts, lambda text: interpolate(text, set(), values.__getitem__))
        return replaced

    def _value(self, name: str, at: Callable[[], Place]) -> Any:
        selector = Selector.parse(name.removeprefix("resolve:").removeprefix("ssm:"))
        parameter = self._kept.find(selector)
        if parameter is None:
            near = self._kept.nearest(selector)
            what = f"there is no parameter `{selector}`"
            finding = Finding(what, at(), "one that a file in parameters/ declares", near)
            self.findings.append(finding)
            self.missing.append(finding)
            return None
        self.paths.add(parameter.path)
        self.names.add(parameter.name)
        if parameter.type == SECURE:
            message = f"`{selector}` is a SecureString, and secrets are not given to steps by this version"
            self.findings.append(Finding(message, at(), "a String or StringList", related=(parameter.place,)))
            return None
        value = parameter.resolved
        return Listed(value) if isinstance(value, list) else loose(value)


def _referring(default: Any) -> list[str]:
    """A default that refers to stored parameters, as texts; empty for any other."""
    texts = default if isinstance(default, list) else [default]
    if not all(isinstance(text, str) for text in texts):
        return []
    return texts if any(name.startswith(PREFIXES) for name in references(texts, set())) else []


def _loc(tree: Any, name: str) -> Loc:
    """Where in a tree a reference of that text first stands."""
    return next((loc for loc, text in _texts_of(tree, ()) if name in references(text, {name})), ())


def _texts_of(tree: Any, loc: Loc) -> Iterator[tuple[Loc, str]]:
    if isinstance(tree, str):
        yield loc, tree
    elif isinstance(tree, (dict, list, tuple)):
        for step, item in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _texts_of(item, (*loc, step))
