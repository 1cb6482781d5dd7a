"""Which of SSM's formats a document has, told by its schemaVersion and, where two share one, by its fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.core.problem import Finding, nearest
from reconciler.core.typed.words import is_what, one_of
from reconciler.documents import command, package, runbook, session
from reconciler.documents.checked import Checked, name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.core.manifest import Manifest


def automation(manifest: Manifest) -> Checked:
    """A document of schemaVersion 0.3."""
    found, findings = runbook.check(manifest, name_of(manifest.path))
    return Checked("Automation", found, list(findings))


_FORMATS: dict[str, Callable[[Manifest], Checked]] = {
    "0.3": automation,
    "1.0": session.check,
    "1.2": command.check_runtime,
    "2.0": command.check,
    "2.2": command.check,
}


def check(manifest: Manifest) -> Checked:
    """The document checked as what it is. Its fields are looked at only where that is known."""
    tree = manifest.tree
    if not isinstance(tree, dict):
        return _unknown(manifest, (), f"the document {is_what(tree)}", "a mapping")
    if "schemaVersion" not in tree:
        other = next((key for key in _OTHERS if key in tree), "")
        what = f"this is {_OTHERS[other]}, not a document of SSM's" if other else "`schemaVersion` is missing"
        return _unknown(manifest, (other,) if other else (), what, f"`schemaVersion`: {_VERSIONS}")
    version = tree["schemaVersion"]
    if not isinstance(version, str) or version not in _FORMATS:
        near = nearest(version, _FORMATS) if isinstance(version, str) else ""
        return _unknown(manifest, ("schemaVersion",), f"`schemaVersion` {is_what(version)}", _VERSIONS, near)
    if version == "2.0" and "packages" in tree and "mainSteps" not in tree:
        return package.check(manifest)
    return _FORMATS[version](manifest)


_VERSIONS = one_of(_FORMATS)
_OTHERS = {
    "AWSTemplateFormatVersion": "a template of CloudFormation's",
    "Resources": "a template of CloudFormation's",
    "apiVersion": "a resource",
}
"""What has no schemaVersion, and the field that tells it."""


def _unknown(manifest: Manifest, loc: tuple[str, ...], what: str, expected: str, near: str = "") -> Checked:
    place = manifest.places.of(loc, key=loc != ("schemaVersion",))
    return Checked("Command", None, [Finding(what, place, expected, near)])
