"""What a model's author can say beyond pydantic's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import Field

if TYPE_CHECKING:
    from reconciler.core.manifest import Loc

OctalMode: TypeAlias = Annotated[str, Field(json_schema_extra={"format": "octal-mode"})]
"""File permissions: `644`, `0644` and `0o644`, plain or quoted, become `0644`."""

StringOrList: TypeAlias = Annotated[list[str], Field(json_schema_extra={"x-one-or-many": True})]
"""A list of texts; a text alone is a list of one."""

Subtree: TypeAlias = Annotated[Any, Field(json_schema_extra={"x-subtree": True})]
"""The tree as the reader gave it, to be loaded once its type is known."""


class Wrong(ValueError):
    """Raised by a validator: what is wrong, what was expected, and where below the value that is validated."""

    def __init__(self, message: str, *, expected: str = "", nearest: str = "", at: Loc = ()) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.nearest = nearest
        self.at = at
