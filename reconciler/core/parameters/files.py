"""Files below `parameters/`: trees of maps whose keys are the levels of names, in the clear or as SOPS left them.

A document of such a file that has `apiVersion` and `kind` is a resource, and read as one elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler.core import manifest
from reconciler.core.manifest import Plain
from reconciler.core.manifest.scalar import NULLS
from reconciler.core.parameters import dotenv
from reconciler.core.parameters.names import absolute, flaw_of_name
from reconciler.core.parameters.parameter import ADVANCED_CHARACTERS, SECURE, Parameter
from reconciler.core.problem import Finding
from reconciler.core.typed.words import is_what

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.core.manifest import Loc, Manifest
    from reconciler.core.parameters.parameter import Placing, Type

FOLDER = "parameters/"

_READ = (".yaml", ".yml", ".json")
_SOPS = (".sops.yaml", ".sops.yml", ".sops.json", ".sops.env")
_TEXT: Type = "String"
_LIST: Type = "StringList"
_METADATA = "sops"
"""The key under which SOPS keeps what it needs, beside what it encrypts."""
_SHOWN = 100
_ENCRYPTED = re.compile(r"ENC\[AES256_GCM,data:")
_REFERENCE = re.compile(r"\{\{\s*(?:resolve:)?ssm(?:-secure)?:")


def is_parameters(path: str) -> bool:
    """Whether a file of this path declares parameters."""
    return path.startswith(FOLDER) and path.endswith((*_READ, *_SOPS))


def is_sops(path: str) -> bool:
    """Whether a file of this path is SOPS's."""
    return path.endswith(_SOPS)


@dataclass(slots=True)
class Declaration:
    """What a file declares: parameters by name, and documents that are resources. With findings, none of it holds."""

    path: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    resources: list[Manifest] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    trees: int = 0
    """How many documents are trees: a file may have none."""
    data: bytes = b""

    def add(self, parameter: Parameter) -> None:
        """Take a parameter; a second one of its name is wrong."""
        first = self.parameters.setdefault(parameter.name, parameter)
        if first is not parameter:
            message = f"the parameter `{parameter.name}` is declared already"
            self.findings.append(Finding(message, parameter.place, "each name once", related=(first.place,)))


def read(data: bytes, path: str) -> Declaration:
    """What a file declares. Raises `Invalid` where its text cannot be read at all."""
    declared = Declaration(path, data=data)
    if path.endswith(".env"):
        _read_dotenv(data, declared)
        return declared
    for found in manifest.read(data, path):
        if isinstance(found.tree, dict) and {"apiVersion", "kind"} <= found.tree.keys() and not is_sops(path):
            declared.resources.append(found)
        else:
            declared.trees += 1
            _read_tree(found, declared)
    return declared


def of_resource(found: Manifest) -> Parameter | None:
    """The parameter that a document of kind Parameter gives a value to, as it stands; None where it gives none."""
    spec = found.tree.get("spec") if isinstance(found.tree, dict) and found.tree["kind"] == "Parameter" else None
    name, value = (spec.get("name"), spec.get("value")) if isinstance(spec, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(value, str | list):
        return None
    if flaw_of_name(absolute(name)) or (flaw_of_items(value) if isinstance(value, list) else flaw_of_text(value)):
        return None
    text, kind = (",".join(value), _LIST) if isinstance(value, list) else (str(value), _TEXT)
    return Parameter(absolute(name), kind, text, found.path, found.places, ("spec", "value"))


def labels_of_resource(found: Manifest) -> tuple[str, dict[str, int]] | None:
    """The parameter that a document of kind Parameter labels versions of, and their numbers by label."""
    spec = found.tree.get("spec") if isinstance(found.tree, dict) and found.tree["kind"] == "Parameter" else None
    name, labels = (spec.get("name"), spec.get("labels")) if isinstance(spec, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(labels, dict):
        return None
    numbers = {label: int(number) for label, number in labels.items() if str(number).isdecimal()}
    return absolute(name), numbers


def _read_tree(found: Manifest, declared: Declaration) -> None:
    tree, places = found.tree, found.places
    if not isinstance(tree, dict):
        message = f"the document {is_what(tree)}"
        declared.findings.append(Finding(message, places.of(), "maps whose keys are the levels of names"))
        return
    metadata = tree.get(_METADATA)
    encrypted = isinstance(metadata, dict) and "mac" in metadata
    if encrypted != is_sops(declared.path):
        declared.findings.append(_misnamed(declared.path, places, encrypted=encrypted))
        return
    tree = {key: value for key, value in tree.items() if not (encrypted and key == _METADATA)}
    for name, value, loc in _leaves(tree):
        _take(declared, name, value, places, loc)


def _misnamed(path: str, places: Placing, *, encrypted: bool) -> Finding:
    stem, _, suffix = path.rpartition("/")[2].rpartition(".")
    if encrypted:
        message, expected = "this file is encrypted by SOPS, which its name does not say", f"{stem}.sops.{suffix}"
        return Finding(message, places.of((_METADATA,)), f"the name `{expected}`")
    message = "this file's name says that SOPS has encrypted it, and it has not"
    return Finding(message, places.of(), "`opsctl secret` or `sops encrypt` to have been used on it")


def _read_dotenv(data: bytes, declared: Declaration) -> None:
    """A file of lines has no levels; where it lies gives them: `parameters/prod/web.sops.env` holds `/prod/web`."""
    lines, findings = dotenv.read(data, declared.path)
    declared.findings += findings
    declared.trees = 1
    above = declared.path.removeprefix(FOLDER).removesuffix(".sops.env")
    if not any(line.key == "sops_mac" for line in lines):
        declared.findings.append(_misnamed(declared.path, dotenv.Lines(declared.path), encrypted=False))
        return
    for line in lines:
        if not line.key.startswith("sops_"):
            _take(declared, f"/{above}/{line.key}", line.value, dotenv.Lines(declared.path), (line.number,))


def _leaves(tree: dict[str, Any], above: str = "", at: Loc = ()) -> Iterator[tuple[str, Any, Loc]]:
    """Names and values, maps being levels."""
    for key, value in tree.items():
        name, loc = (f"{above}/{key}" if above else absolute(key)), (*at, key)
        if isinstance(value, dict):
            yield from _leaves(value, name, loc)
        else:
            yield name, value, loc


def _take(declared: Declaration, name: str, value: Any, places: Placing, loc: Loc) -> None:
    wrong = flaw_of_name(name)
    encrypted = is_sops(declared.path) and any(map(_ENCRYPTED.match, value if isinstance(value, list) else [value]))
    kind = SECURE if encrypted else _LIST if isinstance(value, list) else _TEXT
    if wrong is None and not encrypted:
        wrong = flaw_of_items(value) if isinstance(value, list) else flaw_of_text(value)
    if wrong is not None:
        shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
        declared.findings.append(Finding(f"`{shown}` {wrong[0]}", places.of(loc), wrong[1]))
        return
    text = ",".join(value) if isinstance(value, list) else str(value)
    file = declared.data if encrypted else b""
    declared.add(Parameter(name, kind, text, declared.path, places, loc, file))


def flaw_of_text(value: str) -> tuple[str, str] | None:
    """Why a text is no value of a parameter, and what was expected; None where it is one."""
    if value == "" or (isinstance(value, Plain) and value in NULLS):
        return "has no value", 'at least one character; quotes where "null" or "~" is meant as text'
    if len(value) > ADVANCED_CHARACTERS:
        return f"has {len(value)} characters", f"at most {ADVANCED_CHARACTERS}"
    if _REFERENCE.search(value):
        return "refers to another parameter", "a value: references are not followed twice"
    if _ENCRYPTED.match(value):
        return "is encrypted", "a file whose name says so, as `secrets.sops.yaml`"
    return None


def flaw_of_items(items: list[Any]) -> tuple[str, str] | None:
    """Why a list is no value of a StringList, and what was expected; None where it is one."""
    if not items:
        return "has no items", "at least one"
    for position, item in enumerate(items):
        if not isinstance(item, str):
            return f"has an item ({position}) that {is_what(item)}", "texts"
        if "," in item:
            return f"has an item ({position}) with a comma in it", "items without commas: they part them"
        if wrong := flaw_of_text(item):
            return f"has an item ({position}) that {wrong[0]}", wrong[1]
    return flaw_of_text(",".join(items))
