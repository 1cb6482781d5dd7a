"""What was run, as an association: from something done once to desired state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.cli.output import say
from reconciler.core.problem import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def refuse_existing(path: Path) -> None:
    """Raises `Refused` for a file that is there, or whose directory is not."""
    if path.exists():
        raise Refused(f"{path} is there already", "save", "name another file, or move that one away")
    if not path.parent.is_dir():
        raise Refused(f"{path.parent} is no directory", "save", "make it, or name a file of a config repository")


def association(name: str, asked: Mapping[str, Any]) -> str:
    """The association that has these nodes do what was asked for, as YAML."""
    import yaml

    value = {
        "apiVersion": "ops/v1",
        "kind": "Association",
        "metadata": {"name": name},
        "spec": {
            "document": asked["document"],
            "parameters": {key: list(values) for key, values in asked["parameters"].items()},
            "targets": list(asked["targets"]),
            "maxConcurrency": asked["maxConcurrency"],
            "maxErrors": asked["maxErrors"],
        },
    }
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)
    return f"# {asked['comment']}\n{text}" if asked["comment"] and "\n" not in asked["comment"] else text


def write(path: Path, asked: Mapping[str, Any]) -> None:
    """Write it, and say what comes next."""
    path.write_text(association(path.stem, asked), "utf-8")
    say(f"{path} has these nodes do it from now on: look with `opsctl plan`, then commit it", error=True)
