"""The parameters of many files taken together, and what is wrong with them only together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.capabilities.apps import parameter
from reconciler.core.parameters import Declared, Stored
from reconciler.core.parameters.parameter import SECURE, STANDARD_CHARACTERS
from reconciler.core.problem import Finding, Place
from reconciler.core.resource import uid
from reconciler.engine.drafts import PARAMETER_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from reconciler.capabilities.apps.parameter import ParameterSpec
    from reconciler.core.parameters import Parameter
    from reconciler.core.parameters.stored import Versions
    from reconciler.engine.drafts import Draft

KINDS = (PARAMETER_FILE, "Parameter")
"""What declares parameters."""

Fault = tuple[str, Finding]
"""A finding, and the uid of the resource that it keeps from being in force."""


@dataclass(frozen=True, slots=True)
class Collected:
    """Parameters by name, what is said of them, and what of it does not go together."""

    declared: Declared = field(default_factory=Declared)
    described: Mapping[str, Draft] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    def stored(self, past: Callable[[], Versions | None]) -> Stored:
        """The parameters as references ask for them, with the versions that `past` gives."""
        labels = {name: draft.spec.labels for name, draft in self.described.items() if draft.spec.labels}
        return Stored(self.declared, past, labels)

    def spec(self, name: str) -> ParameterSpec | None:
        """What is said of a parameter beside its value."""
        draft = self.described.get(name)
        return draft.spec if draft is not None else None


def collected(drafts: Iterable[Draft]) -> Collected:
    """What drafts of these kinds declare together."""
    files: list[Mapping[str, Parameter]] = []
    described: dict[str, Draft] = {}
    faults: list[Fault] = []
    for draft in drafts:
        if draft.kind == PARAMETER_FILE:
            files.append(draft.spec)
            continue
        first = described.setdefault(draft.spec.name, draft)
        if first is not draft:
            faults += _twice(draft.spec.name, (first.uid, _said(first)), (draft.uid, _said(draft)), "described")
        value = parameter.declared(draft.spec, draft.place.path, draft.places)
        if value is not None:
            files.append({value.name: value})
    declared = Declared(files)
    for one, other in declared.doubles:
        sides = [(_owner(found, described), found.place) for found in (one, other)]
        faults += _twice(one.name, sides[0], sides[1], "declared")
    faults += _misfits(declared, described)
    return Collected(declared, described, tuple(faults))


def _twice(name: str, one: tuple[str, Place], other: tuple[str, Place], how: str) -> Iterator[Fault]:
    message = f"the parameter `{name}` is {how} already"
    for (known, place), (_, there) in ((one, other), (other, one)):
        yield known, Finding(message, place, "each name once", related=(there,))


def _misfits(declared: Declared, described: Mapping[str, Draft]) -> Iterator[Fault]:
    """Values that are not what is said of them; they and the saying are both not in force."""
    for name, draft in described.items():
        found = declared.get(name)
        if found is None:
            continue
        for message, expected in parameter.misfits(found, draft.spec):
            finding = Finding(message, found.place, expected, related=(_said(draft),))
            for known in {draft.uid, _owner(found, described)}:
                yield known, finding
    for found in declared.longer_than(STANDARD_CHARACTERS):
        if found.name not in described and found.type != SECURE:
            for message, expected in parameter.misfits(found, None):
                yield _owner(found, described), Finding(message, found.place, expected)


def _said(draft: Draft) -> Place:
    return draft.places.of(("spec", "name"))


def _owner(found: Parameter, described: Mapping[str, Draft]) -> str:
    """The uid of what declares a parameter."""
    draft = described.get(found.name)
    if draft is not None and draft.spec.value is not None and draft.places is found.places:
        return draft.uid
    return uid(PARAMETER_FILE, found.path)
