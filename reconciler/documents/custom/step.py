"""A step of a document whose action is the repository's own: from its inputs to what agents are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.contract.canonical import NotCanonical, canonical
from agent.contract.inputs.custom import CustomInputs
from reconciler.core.problem import Finding, Place
from reconciler.core.typed.words import is_what
from reconciler.documents.custom import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.core.manifest import Loc, Places, Tree
    from reconciler.documents.custom.manifest import CustomStep

LARGEST_FOLDER = 8 << 20
"""Bytes of all files together: each node that has the step fetches them, and looks at them before each call."""
MOST_FILES = 200


@dataclass(frozen=True, slots=True)
class Folder:
    """A step with the files of its folder, by their paths in it: sizes of all, which may be run, where links lead."""

    step: CustomStep
    sizes: Mapping[str, int]
    executable: frozenset[str]
    links: Mapping[str, str]

    def source(self, path: str) -> str:
        """A file's path in the repository."""
        return self.step.folder + path


def flaws(folder: Folder) -> Iterator[Finding]:
    """What is wrong with a folder as its manifest needs it."""
    step, start = folder.step, Place(folder.step.path)
    for operation, program in step.programs.items():
        path = folder.links.get(program[0], program[0])
        loc = next((loc for loc in ((operation, "executable"), ("executable",)) if _named(step, loc)), ())
        if path not in folder.sizes:
            near = [known for known in sorted(folder.sizes) if known != step.path.rpartition("/")[2]]
            expected = ", ".join(f"`{known}`" for known in near) or "a file of the step's folder"
            yield Finding(f"there is no file `{step.folder}{path}`", step.places.of(loc), expected)
        elif path not in folder.executable:
            message = f"`{step.folder}{path}` may not be run"
            remedy = f"mode 100755 (git update-index --chmod=+x {step.folder}{path})"
            yield Finding(message, step.places.of(loc), remedy)
    for path, target in folder.links.items():
        if not _within(path, target):
            yield Finding(f"the link leads to `{target}`", Place(folder.source(path)), "a file of the step's folder")
    if (total := sum(folder.sizes.values())) > LARGEST_FOLDER:
        yield Finding(f"the files of `{step.folder}` have {total} bytes", start, f"at most {LARGEST_FOLDER}")
    if len(folder.sizes) + len(folder.links) > MOST_FILES:
        yield Finding(f"`{step.folder}` has {len(folder.sizes)} files", start, f"at most {MOST_FILES}")


def desired(step: CustomStep, tree: Mapping[str, Tree], places: Places, loc: Loc) -> tuple[Any, list[Finding]]:
    """Inputs as the schema has them, and what it says against them."""
    value = schema.typed(step.schema, dict(tree))
    findings = list(schema.misfits(step.schema, value, places, loc))
    for name, item in value.items() if step.environment else ():
        if "\0" in str(item):
            place = places.of((*loc, name))
            findings.append(Finding(f"`{name}` holds a NUL byte", place, "text that an environment can hold"))
    try:
        canonical(value)
    except NotCanonical as error:
        findings.append(Finding(f"the inputs have no exact form: {error}", places.of(loc), "whole numbers, or text"))
    return value, findings


def inputs(folder: Folder, value: dict[str, Any], timeout: int | None) -> CustomInputs:
    """What an agent is given."""
    step, manifest = folder.step, folder.step.manifest
    return CustomInputs(
        name=step.name,
        desired=value,
        get=step.programs.get("get", []),
        test=step.programs.get("test", []),
        set_=step.programs.get("set", []),
        platforms=list(manifest.platforms),
        timeout_seconds=timeout or manifest.timeout_seconds,
        version=manifest.version,
        key=":".join(_text(value[name]) for name in manifest.key if name in value),
        executable=sorted(folder.executable),
        links=dict(folder.links),
        environment=list(step.environment),
        exits=dict(manifest.exit_codes),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value).decode()


def _named(step: CustomStep, loc: Loc) -> bool:
    operation = {"get": step.manifest.get, "test": step.manifest.test, "set": step.manifest.set_}.get(str(loc[0]))
    return bool(operation.executable) if operation is not None else len(loc) == 1 and bool(step.manifest.executable)


def _within(path: str, target: str) -> bool:
    """Whether a link of a folder leads to something in it."""
    if target.startswith("/") or "\0" in target:
        return False
    at = path.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            if not at:
                return False
            at.pop()
        elif part not in ("", "."):
            at.append(part)
    return True


def timeout_of(said: Any, place: Place) -> tuple[int | None, list[Finding]]:
    """A step's own `timeoutSeconds`, interpolated; None where it says none."""
    if said in (None, 0):
        return None, []
    text = str(said)
    if not text.isdecimal() or not 0 < int(text) <= 172800:
        return None, [Finding(f"`timeoutSeconds` {is_what(said)}", place, "a whole decimal number up to 172800")]
    return int(text), []
