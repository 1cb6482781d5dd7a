"""A config repository in memory, told commit by commit, and catalogs in a form that can be compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler.adapters.git.memory import MemoryRepository, MemorySource
from reconciler.engine.load import LOOK_BACK, load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.engine.catalog import Catalog

FLEET = "apiVersion: ops/v1\nkind: Fleet\nmetadata: {name: acme}\n"
DOCUMENT = """\
schemaVersion: "2.2"
parameters:
  text: {type: String, default: hello}
mainSteps:
- name: motd
  action: ops:file
  inputs: {path: /etc/motd, content: "{{ text }}"}
"""
SOURCED = """\
schemaVersion: "2.2"
mainSteps:
- name: page
  action: ops:file
  inputs: {path: /srv/index.html, source: files/index.html}
"""


def association(name: str, document: str = "motd", targets: str = '"*"', **spec: str) -> str:
    more = "".join(f"  {key}: {value}\n" for key, value in spec.items())
    head = f"apiVersion: ops/v1\nkind: Association\nmetadata: {{name: {name}}}\n"
    return f"{head}spec:\n  document: {document}\n  targets: [{targets}]\n{more}"


def group(name: str, *members: str) -> str:
    return f"apiVersion: ops/v1\nkind: Group\nmetadata: {{name: {name}}}\nspec: {{members: [{', '.join(members)}]}}\n"


def node(name: str, labels: str = "{}", variables: str = "{}") -> str:
    head = f"apiVersion: ops/v1\nkind: Node\nmetadata: {{name: {name}, labels: {labels}}}\n"
    return f"{head}spec: {{vars: {variables}}}\n"


def role(name: str, grants: str) -> str:
    return f"apiVersion: ops/v1\nkind: Role\nmetadata: {{name: {name}}}\nspec: {{grants: [{grants}]}}\n"


def operator(name: str, *roles: str, key: str = "") -> str:
    keys = f"[{key}]" if key else "[]"
    head = f"apiVersion: ops/v1\nkind: Operator\nmetadata: {{name: {name}}}\n"
    return f"{head}spec: {{keys: {keys}, roles: [{', '.join(roles)}]}}\n"


@dataclass
class Told:
    """A repository with one branch. Every commit is loaded from the catalog before it and from nothing."""

    repository: MemoryRepository = field(default_factory=MemoryRepository)
    catalog: Catalog | None = None

    @property
    def source(self) -> MemorySource:
        return MemorySource(self.repository)

    def commit(self, **files: str | None) -> str:
        """Edit files by path (`__` stands for `/`, a trailing `_` for nothing); None deletes."""
        return self.edit({_path(name): content for name, content in files.items()})

    def edit(self, files: dict[str, str | None], modes: Mapping[str, str] | None = None) -> str:
        edits = {path: None if content is None else content.encode() for path, content in files.items()}
        return self.repository.commit("main", edits, modes=modes or {})

    def load(self, commit: str, access: str | None = None, look_back: int = LOOK_BACK) -> Catalog:
        """The catalog of a commit; the same from the one before as from nothing."""
        after = load(self.source, commit, previous=self.catalog, access_commit=access, look_back=look_back)
        afresh = load(self.source, commit, access_commit=access, look_back=look_back)
        assert comparable(after) == comparable(afresh)
        self.catalog = after
        return after


def _path(name: str) -> str:
    folder, _, rest = name.rpartition("__")
    return f"{folder}/{rest}.yaml" if folder else f"{rest}.yaml"


def comparable(catalog: Catalog) -> dict[str, Any]:
    """Everything in a catalog but the objects that only know places."""
    return {
        "commit": catalog.commit,
        "access": catalog.access_commit,
        "fleet": catalog.fleet,
        "resources": {
            uid: (found.kind, found.name, found.metadata, found.place, found.revision, found.fingerprint, _spec(found))
            for uid, found in catalog.resources.items()
        },
        "compiled": {
            uid: (found.body, found.document_uid, found.files, found.closure, found.place)
            for uid, found in catalog.compiled.items()
        },
        "conditions": catalog.conditions,
        "warnings": catalog.warnings,
        "unresolved": catalog.unresolved,
        "blind": catalog.blind,
    }


def _spec(resource: Any) -> Any:
    if resource.kind == "Step":
        return resource.spec.manifest
    return resource.spec.content if resource.kind == "Document" else resource.spec
