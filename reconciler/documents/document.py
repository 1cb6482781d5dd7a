"""A Command document as one file holds it: read, typed, linted, and its steps made ready to be compiled."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.core.manifest import read_one
from reconciler.core.problem import Finding, Invalid, Place, nearest
from reconciler.core.resource import NAME_PATTERN, uid
from reconciler.core.typed import load as load_typed
from reconciler.core.typed.words import one_of
from reconciler.documents import parameters
from reconciler.documents.model import CommandDocument
from reconciler.documents.steps import ReadyStep, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.core.manifest import Loc, Manifest, Places

KIND = "Document"


@dataclass(frozen=True, slots=True)
class Document:
    """A valid document. `warnings` do not keep it from being used; what its steps lack is said when it is compiled."""

    uid: str
    name: str
    path: str
    content: CommandDocument
    steps: tuple[ReadyStep, ...]
    places: Places
    warnings: tuple[Finding, ...] = ()


def name_of(path: str) -> str:
    """A document's name: its file's, without extension."""
    return posixpath.splitext(posixpath.basename(path))[0]


def load(data: bytes, path: str) -> Document:
    """The document of a file. Raises `Invalid` with every error that needs no parameters to be seen."""
    manifest = read_one(data, path)
    name = name_of(path)
    if not re.match(NAME_PATTERN, name):
        expected = "letters, digits, `_`, `-` and `.`, beginning with a letter or digit"
        raise Invalid((Finding(f"`{name}` cannot name a document", Place(path), expected),))
    _check_version(manifest)
    content = load_typed(CommandDocument, manifest.tree, manifest.places)
    findings = [*_repeated_names(content, manifest.places), *_doubtful_parameters(content, manifest.places)]
    steps = []
    declared = set(content.parameters)
    for position, step in enumerate(content.main_steps):
        ready, found = prepare(step, ("mainSteps", position), declared, manifest.places)
        findings += found
        if ready is not None:
            steps.append(ready)
            findings += _strange_references(ready, declared, manifest.places)
    if any(finding.severity == "error" for finding in findings):
        raise Invalid(tuple(findings))
    return Document(uid(KIND, name), name, path, content, tuple(steps), manifest.places, tuple(findings))


def _check_version(manifest: Manifest) -> None:
    """Another schemaVersion has other fields: complaining about each of them would hide what is meant."""
    version = manifest.tree.get("schemaVersion") if isinstance(manifest.tree, dict) else None
    if isinstance(version, str) and version in _OTHER_VERSIONS:
        message = f"documents of schemaVersion {version} ({_OTHER_VERSIONS[version]}) are not run yet"
        raise Invalid((Finding(message, manifest.places.of(("schemaVersion",)), '"2.2"'),))


_OTHER_VERSIONS = {"0.3": "Automation", "1.0": "Session", "1.2": "Command", "2.0": "Command"}


def _repeated_names(content: CommandDocument, places: Places) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for position, step in enumerate(content.main_steps):
        first = seen.setdefault(step.name, position)
        if first != position:
            here, there = (places.of(("mainSteps", at, "name")) for at in (position, first))
            yield Finding(f"a step is called `{step.name}` already", here, "each name once", related=(there,))


def _doubtful_parameters(content: CommandDocument, places: Places) -> Iterator[Finding]:
    for name, wrong in parameters.doubtful_defaults(content):
        place = places.of(("parameters", name, "default"))
        yield Finding(f"the default {wrong.message}", place, wrong.expected, wrong.nearest, "warning")
    for name, parameter in content.parameters.items():
        pattern = getattr(parameter, "allowed_pattern", None)
        if pattern and parameters.pattern_of(pattern) is None:
            place = places.of(("parameters", name, "allowedPattern"))
            message = "the pattern is not one that can be checked here; values are taken unchecked"
            yield Finding(message, place, "a regular expression", severity="warning")


_LOOKS_LIKE_A_PARAMETER = re.compile(r"\{\{\s*([A-Za-z]\w*)\s*\}\}")
_OTHER_LANGUAGES = frozenset({"end", "else", "break", "continue"})
"""Words that Go templates, as container tools take them, have between the same braces."""


def _strange_references(ready: ReadyStep, declared: set[str], places: Places) -> Iterator[Finding]:
    """`{{ name }}` of no declared parameter: it stays as it stands, which may not be what was meant."""
    templated = str(ready.tree.get("template", "false")).lower() != "false"
    for loc, text in _texts(ready.tree, ()):
        if loc == ("content",) and templated:
            continue
        for found in sorted(set(_LOOKS_LIKE_A_PARAMETER.findall(text)) - declared - _OTHER_LANGUAGES):
            message = f"`{{{{ {found} }}}}` is no parameter of this document and stays as it is"
            expected = one_of(sorted(declared)) if declared else "a declared parameter"
            place = places.of((*ready.loc, "inputs", *loc))
            yield Finding(message, place, expected, nearest(found, declared), "warning")


def _texts(tree: Any, loc: Loc) -> Iterator[tuple[Loc, str]]:
    """Every text that has double braces, and where it is."""
    if isinstance(tree, str):
        if "{{" in tree:
            yield loc, tree
    elif isinstance(tree, (dict, list)):
        for step, item in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _texts(item, (*loc, step))
