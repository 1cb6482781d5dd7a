"""Loading: coerce along the type's schema, let pydantic validate, give every finding its place."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from reconciler.core.problem import Finding, Invalid
from reconciler.core.typed.coerce import Coercion
from reconciler.core.typed.complaints import misfits_of
from reconciler.core.typed.shape import Shape, shape_of

if TYPE_CHECKING:
    from reconciler.core.manifest import Loc, Places, Tree
    from reconciler.core.typed.coerce import Misfit

T = TypeVar("T")


def load(cls: type[T], tree: Tree, places: Places, loc: Loc = ()) -> T:
    """The instance of `cls` (a pydantic model or a dataclass) that `tree` describes.

    `loc` is where in its document the tree is, for places and names in findings. Raises `Invalid` with every finding.
    """
    instance, findings = check(cls, tree, places, loc)
    if findings or instance is None:
        raise Invalid(findings)
    return instance


def check(cls: type[T], tree: Tree, places: Places, loc: Loc = ()) -> tuple[T | None, tuple[Finding, ...]]:
    """As `load`, but giving the findings; the instance is None where there are any."""
    kind: Any = cls
    adapter, shape = _reading(kind)
    coercion = Coercion()
    value = coercion.value(shape, tree, loc)
    misfits = coercion.misfits
    instance = None
    try:
        instance = adapter.validate_python(value)
    except ValidationError as error:
        misfits += misfits_of(error, value, loc, [misfit.loc for misfit in misfits])
    except Exception:
        if not misfits:
            raise
        # A validator stumbled over what is reported already.
    if not misfits:
        return instance, ()
    return None, tuple(sorted((_finding(misfit, places) for misfit in misfits), key=lambda finding: finding.place))


def _finding(misfit: Misfit, places: Places) -> Finding:
    place = places.of(misfit.loc, key=misfit.at_key)
    return Finding(misfit.message, place, misfit.expected, misfit.nearest)


class _QuietSchema(GenerateJsonSchema):
    """A default that JSON has no form for is no matter here: nothing is coerced to it."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  # as pydantic declares it


@functools.cache
def _reading(kind: Any) -> tuple[TypeAdapter[Any], Shape]:
    adapter = TypeAdapter(kind)
    return adapter, shape_of(adapter.json_schema(schema_generator=_QuietSchema))
