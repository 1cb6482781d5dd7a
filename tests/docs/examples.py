"""Examples: blocks of YAML on a page whose first line names their file, as one config repository."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

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


def _association(document: str) -> str:
    spec = f"{{document: {document}, targets: [web-1]}}"
    return f"apiVersion: ops/v1\nkind: Association\nmetadata: {{name: {document}}}\nspec: {spec}\n"
