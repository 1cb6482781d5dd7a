"""Package documents of schemaVersion 2.0, as written: the manifest of a Distributor package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from reconciler.core.problem import Finding, nearest
from reconciler.core.resource import Model
from reconciler.core.typed import check as check_typed
from reconciler.core.typed.words import one_of
from reconciler.documents.checked import Checked
from reconciler.documents.model import QUOTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.core.manifest import Manifest, Places


class PackageFile(Model):
    """An archive of the package."""

    checksums: dict[Literal["sha256", "md5", "sha1"], str] = Field(default_factory=dict)
    """Its digest by algorithm."""
    size: Annotated[int, Field(ge=0, json_schema_extra=QUOTED)] | None = None
    """Bytes."""


class PackageChoice(Model):
    """Which archive is for a platform, one of its versions and an architecture."""

    file: str
    """A name in `files`."""


class PackageDocument(Model):
    """A whole manifest."""

    schema_version: Literal["2.0"]
    """`"2.0"`."""
    version: str
    """The package's own version."""
    description: str | None = ""
    """For people."""
    publisher: str = ""
    """Who made it."""
    packages: dict[str, dict[str, dict[str, PackageChoice]]] = Field(min_length=1)
    """By platform, its version and the architecture; `_any` stands for all."""
    files: dict[str, PackageFile] = Field(min_length=1)
    """The archives by name."""
    parameters: dict[str, Any] = Field(default_factory=dict, max_length=0)
    """Packages have none."""


def check(manifest: Manifest) -> Checked:
    """A document of schemaVersion 2.0 that has packages."""
    content, found = check_typed(PackageDocument, manifest.tree, manifest.places)
    findings = list(found)
    if content is not None:
        findings += _choices(content, manifest.places)
    return Checked("Package", content, findings)


def _choices(content: PackageDocument, places: Places) -> Iterator[Finding]:
    """Archives that are chosen and not there, or there and never chosen."""
    chosen = set()
    for platform, versions in content.packages.items():
        for version, architectures in versions.items():
            for architecture, choice in architectures.items():
                chosen.add(choice.file)
                if choice.file not in content.files:
                    place = places.of(("packages", platform, version, architecture, "file"))
                    near = nearest(choice.file, content.files)
                    yield Finding(f"there is no file `{choice.file}`", place, one_of(content.files), near)
    for name in content.files.keys() - chosen:
        place = places.of(("files", name), key=True)
        yield Finding(f"the file `{name}` is for no platform", place, "a name in `packages`", severity="warning")
