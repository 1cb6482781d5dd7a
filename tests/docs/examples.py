"""Examples: blocks of YAML on a page whose first line names their file, as one config repository."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from reconciler.documents.custom.manifest import name_at
from reconciler.engine.validate import validate

SURROUNDINGS: Mapping[str, str] = yaml.safe_load((Path(__file__).parent / "surroundings.yaml").read_text())
_BLOCK = re.compile(r"^```yaml\n# (?P<path>[\w./-]+\.yaml)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def of(page: str) -> dict[str, str]:
    """The page's examples: path -> text, a line before the rest, so that lines count as on disk."""
    return {found["path"]: f"# {found['path']}\n{found['text']}" for found in _BLOCK.finditer(page)}


def repository(page: str) -> dict[str, bytes]:
    """The page's examples among their surroundings; a Command that nothing uses is put on web-1."""
    given = of(page)
    files = {**SURROUNDINGS, **given}
    used = {
        found["spec"]["document"]
        for path, text in files.items()
        if path.startswith("associations/")
        for found in yaml.safe_load_all(text)
    }
    for path, text in given.items():
        name = Path(path).stem
        if path.startswith("documents/") and name not in used and yaml.safe_load(text)["schemaVersion"] != "0.3":
            files[f"associations/{name}.yaml"] = _association(name)
    return {path: text.encode() for path, text in files.items()}


def findings(page: str) -> list[str]:
    """What is wrong with a page's examples. The programs that manifests of steps name are there."""
    files, programs = repository(page), set()
    for path, data in list(files.items()):
        if name_at(path):
            programs.add(f"{Path(path).parent.as_posix()}/{yaml.safe_load(data)['executable']}")
    return [str(found) for found in validate(files | dict.fromkeys(programs, b""), executable=programs)]


def _association(document: str) -> str:
    spec = f"{{document: {document}, targets: [web-1]}}"
    return f"apiVersion: ops/v1\nkind: Association\nmetadata: {{name: {document}}}\nspec: {spec}\n"
