"""The one table of kinds: what each one's spec is, and where in the repository its files are."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError, create_model

from reconciler.capabilities.apps.group import GroupSpec
from reconciler.capabilities.apps.parameter import ParameterSpec
from reconciler.capabilities.nodes.association import AssociationSpec
from reconciler.capabilities.nodes.fleet import FleetSpec
from reconciler.capabilities.nodes.node import NodeSpec
from reconciler.capabilities.trust.operator import OperatorSpec
from reconciler.capabilities.trust.role import RoleSpec
from reconciler.core.parameters import FOLDER as PARAMETERS
from reconciler.core.resource import API_VERSION, Metadata, Model

SUFFIXES = (".yaml", ".yml", ".json")
ACCESS = "access/"
"""Where trust is declared: read at the newest commit whose changes below it are signed, not at the tracked one."""


@dataclass(frozen=True)
class Kind:
    """One kind. `home` is the folder (with its slash) or the file, without suffix, that holds its resources.

    `lasting`: the uid is known outside the catalog (on nodes, in the store), so `renamedFrom` has to carry it over.
    """

    name: str
    spec: type[Model]
    home: str
    lasting: bool = False

    @property
    def place(self) -> str:
        """Its home for people."""
        return self.home if self.home.endswith("/") else f"{self.home}.yaml"

    @functools.cached_property
    def envelope(self) -> type[Any]:
        """The model of a whole document of this kind: apiVersion, kind, metadata, spec."""
        fields: dict[str, Any] = {
            "api_version": (Literal[API_VERSION], ...),
            "kind": (Literal[self.name], ...),
            "metadata": (Metadata, ...),
            "spec": (self.spec, _blank(self.spec)),
        }
        return create_model(self.name, __base__=Model, __doc__=self.spec.__doc__, **fields)


def _blank(spec: type[Model]) -> Any:
    """The spec that says nothing, where a resource may leave it out."""
    try:
        return spec()
    except ValidationError:
        return ...


KINDS = {
    kind.name: kind
    for kind in (
        Kind("Fleet", FleetSpec, "fleet"),
        Kind("Node", NodeSpec, "nodes/", lasting=True),
        Kind("Group", GroupSpec, "groups/"),
        Kind("Association", AssociationSpec, "associations/", lasting=True),
        Kind("Parameter", ParameterSpec, PARAMETERS),
        Kind("Role", RoleSpec, ACCESS),
        Kind("Operator", OperatorSpec, ACCESS),
    )
}

DOCUMENTS = "documents/"
"""Where raw SSM documents are, one per file."""

_AT_HOME: dict[str, tuple[Kind, ...]] = {
    home: tuple(kind for kind in KINDS.values() if kind.home == home) for home in {kind.home for kind in KINDS.values()}
}


def kinds_at(path: str) -> tuple[Kind, ...]:
    """The kinds that a file of this path may hold; none for files that are not read as resources."""
    if not path.endswith(SUFFIXES):
        return ()
    folder, slash, _ = path.partition("/")
    return _AT_HOME.get(folder + slash if slash else path.rpartition(".")[0], ())


def is_document(path: str) -> bool:
    """Whether a file of this path is a raw SSM document."""
    return path.startswith(DOCUMENTS) and path.endswith(SUFFIXES)
