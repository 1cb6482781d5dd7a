"""The envelope of every kind, and a resource as it stands in a catalog.

apiVersion: ops/v1
kind: Association
metadata: {name: base, labels: {}, annotations: {}, renamedFrom: old}
spec: {...}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from reconciler.core.problem import Place

API_VERSION = "ops/v1"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]


class Model(BaseModel):
    """Base of every spec: frozen, camelCase in files, unknown fields refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )


class Metadata(Model):
    """What names a resource. `renamedFrom` carries its identity over from an earlier name of the same kind."""

    name: Name
    """Unique in the fleet among resources of the kind."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Key and value pairs; on a Node, what targets select."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Notes for people and other programs; never selected on."""
    renamed_from: Name | None = None
    """The name this resource had before, so that it is not taken for a new one."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One valid resource at the newest revision at which it and all it refers to is valid.

    `revision` is that commit; `fingerprint` changes when anything it is made of does, so equal fingerprints need no
    new look.
    """

    uid: str
    kind: str
    name: str
    metadata: Metadata
    spec: Any
    place: Place
    revision: str
    fingerprint: str


def uid(kind: str, name: str) -> str:
    """A resource's identity in its fleet."""
    return f"{kind}/{name}"
