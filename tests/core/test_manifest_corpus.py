"""Real SSM documents from public repositories, kept beside the clone: every one is read, and read right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.core import manifest
from reconciler.core.problem import Invalid

_CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "ssm-documents"
_FILES = sorted(path for path in _CORPUS.glob("*") if path.suffix in (".json", ".yaml", ".yml"))
_REFUSED = {  # a CloudFormation template with tags of its own, no document of SSM
    "aws-samples_aws-systems-manager-cloudformation-samples__systems-manager-samples_windowsdeployjoindomain.yaml"
}

pytestmark = pytest.mark.skipif(not _FILES, reason="no corpus of SSM documents at ../shared beside the clone")


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.name)
def test_every_document_is_read_or_refused_with_a_place(path: Path) -> None:
    data = path.read_bytes()
    try:
        document = manifest.read_one(data, path.name)
    except Invalid as invalid:
        findings = invalid.findings
    else:
        findings = ()
        assert _agrees(document.tree, data)
        _check_places(document.tree, (), document.places, data.decode("utf-8-sig").split("\n"))
    assert all(finding.place.line and finding.place.column for finding in findings)
    assert bool(findings) == (path.name in _REFUSED)


def _agrees(tree: Any, data: bytes) -> bool:
    try:
        value = json.loads(data)
    except ValueError:
        return bool(tree == yaml.load(data, yaml.CBaseLoader))  # it makes every scalar text
    return bool(manifest.resolve(tree) == value)


def _check_places(tree: Any, loc: manifest.Loc, places: manifest.Places, lines: list[str]) -> None:
    if isinstance(tree, dict):
        for key, item in tree.items():
            place = places.of((*loc, key), key=True)
            assert lines[place.line - 1][place.column - 1 :].lstrip("\"'").startswith(key)
            _check_places(item, (*loc, key), places, lines)
    elif isinstance(tree, list):
        for position, item in enumerate(tree):
            _check_places(item, (*loc, position), places, lines)
    elif isinstance(tree, manifest.Plain) and tree:
        place = places.of(loc)
        assert lines[place.line - 1][place.column - 1 :].startswith(tree.split()[0])
