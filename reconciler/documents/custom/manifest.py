"""The manifest of a step, `steps/NAME/step.yaml`, and everything that is wrong with it.

Its shape is that of a resource manifest of Microsoft's DSC v3, with what is needed beyond it: one `executable` for all
operations, `platforms`, and the `key` that tells two things of the same kind apart.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints

from agent.contract.inputs.custom import HOME
from reconciler.core.manifest import examine_one, resolve
from reconciler.core.problem import Finding, Invalid, nearest
from reconciler.core.resource import Model, uid
from reconciler.core.typed import StringOrList, Subtree, check
from reconciler.core.typed.words import one_of, path_text
from reconciler.documents.custom import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.core.manifest import Places

KIND = "Step"
NAME_PATTERN = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
_MANIFEST = re.compile(rf"{re.escape(HOME)}({NAME_PATTERN})/step\.(?:yaml|yml|json)\Z")

_VARIABLE = re.compile(r"(?!(?:PATH|HOME|LANG|LD_|OPSCTL_|AWS_SSM_))[A-Za-z_][A-Za-z0-9_]*\Z")
TIMEOUT = 600

_Platform = Literal["Linux", "MacOS", "Windows"]
_Program = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._][A-Za-z0-9._/+-]*$")]


Input = Literal["stdin", "env"]


class Operation(Model):
    """How one operation is called."""

    executable: _Program | None = None
    """The program, by its path in the folder; the manifest's where it is left out."""
    args: list[str] | None = None
    """Its arguments; the operation's name where they are left out."""
    input: Input | None = None
    """How it is told what is desired; the manifest's way where it is left out."""
    return_: Annotated[Literal["state", "stateAndDiff", "none"] | None, Field(alias="return")] = None
    """Read for compatibility: what is printed is looked at."""
    implements_pretest: bool = False
    """Read for compatibility: `set` is called only where something differs."""
    handles_exist: bool = False
    """Read for compatibility."""


class StepManifest(Model):
    """What a step takes, and how its program is called."""

    schema_uri: Annotated[str, Field(alias="$schema")] = ""
    """Read for compatibility."""
    type: str = ""
    """Read for compatibility: the step is called as its folder is."""
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+){0,2}([-+][0-9A-Za-z.+-]*)?$")] = ""
    """The step's own version, for people: it is shown where it changes."""
    description: str = ""
    """For people."""
    tags: list[str] = Field(default_factory=list)
    """For people."""
    platforms: list[_Platform] = Field(default=["Linux", "MacOS"], min_length=1)
    """Where it works; elsewhere a step of it is skipped."""
    key: StringOrList = Field(default_factory=list)
    """Required properties that tell two things apart: each is owned once. Without one, a node has the step once."""
    executable: _Program | None = None
    """The program for all operations, by its path in the folder: it is called with `get`, `test` or `set`."""
    input: Input = "stdin"
    """How operations are told what is desired: `stdin`, as JSON; `env`, a variable for each property."""
    get: Operation | None = None
    """Prints the actual state."""
    test: Operation | None = None
    """Prints the actual state, and whether it will do; without it what `get` says is compared with what is desired."""
    set_: Annotated[Operation | None, Field(alias="set")] = None
    """Brings the desired state about; without it the step only looks."""
    exit_codes: dict[Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,5}$")], str] = Field(default_factory=dict)
    """What exit codes other than 0 mean, for people."""
    timeout_seconds: Annotated[int, Field(ge=1, le=172800)] = TIMEOUT
    """Limit of each call; a step of a document may say another."""
    inputs: Annotated[Subtree, Field(alias="schema")]
    """JSON Schema of the inputs: an object; DSC's `embedded:` may stand around it."""


@dataclass(frozen=True, slots=True)
class CustomStep:
    """A step as its manifest has it. `programs` are path and arguments of each operation that is answered.

    `environment` are the operations that find what is desired there.
    """

    name: str
    path: str
    manifest: StepManifest
    schema: schema.Schema
    programs: dict[str, list[str]]
    environment: tuple[str, ...]
    places: Places

    @property
    def uid(self) -> str:
        return uid(KIND, self.name)

    @property
    def folder(self) -> str:
        """Where in the repository it lies, with its slash."""
        return posixpath.dirname(self.path) + "/"


def name_at(path: str) -> str:
    """The name of the step whose manifest a file of this path is; empty for any other file."""
    found = _MANIFEST.match(path)
    return found[1] if found else ""


def load(data: bytes, path: str) -> CustomStep:
    """The step of a manifest. Raises `Invalid` with everything that is wrong."""
    read, strange = examine_one(data, path)
    manifest, findings = check(StepManifest, read.tree, read.places)
    if manifest is None or any(finding.severity == "error" for finding in strange):
        raise Invalid((*strange, *findings))
    loc = ("schema", "embedded") if "embedded" in manifest.inputs else ("schema",)
    tree = manifest.inputs["embedded"] if len(loc) > 1 else manifest.inputs
    found = schema.Schema(resolve(tree))
    wrong = [*schema.flaws(found, read.places, loc), *_flaws(manifest, found, read.places)]
    if wrong:
        raise Invalid(tuple(sorted(wrong, key=lambda finding: finding.place)))
    read.places.forget()
    programs = _programs(manifest)
    environment = tuple(name for name in programs if _input(manifest, name) == "env")
    return CustomStep(name_at(path), path, manifest, found, programs, environment, read.places)


def _operations(manifest: StepManifest) -> dict[str, Operation | None]:
    return {"get": manifest.get, "test": manifest.test, "set": manifest.set_}


def _input(manifest: StepManifest, name: str) -> str:
    operation = _operations(manifest)[name]
    return operation.input if operation is not None and operation.input else manifest.input


def _programs(manifest: StepManifest) -> dict[str, list[str]]:
    programs = {}
    for name, operation in _operations(manifest).items():
        program = operation.executable if operation and operation.executable else manifest.executable
        if program and (operation is not None or manifest.executable):
            args = operation.args if operation is not None and operation.args is not None else [name]
            programs[name] = [posixpath.normpath(program), *args]
    return programs


def _flaws(manifest: StepManifest, found: schema.Schema, places: Places) -> Iterator[Finding]:
    for name, operation in _operations(manifest).items():
        if operation is not None and not (operation.executable or manifest.executable):
            message = f"`{name}.executable` is missing"
            yield Finding(message, places.of((name,), key=True), "a file of the step's folder")
    programs = _programs(manifest)
    if "get" not in programs and "test" not in programs:
        yield Finding("nothing says how the step is called", places.start, "`executable`, or `get` and `set`")
    for name in found.properties if any(_input(manifest, name) == "env" for name in programs) else ():
        if not _VARIABLE.match(name):
            place = places.of(("schema", "properties", name), key=True)
            yield Finding(
                f"no environment can hold `{name}`", place, "another name of letters, digits and `_`, or `input: stdin`"
            )
    for position, key in enumerate(manifest.key):
        loc = ("key", position) if len(manifest.key) > 1 else ("key",)
        if key not in found.properties:
            near = nearest(key, found.properties)
            expected = one_of(sorted(found.properties)) if found.properties else "a property of the schema"
            yield Finding(f"{path_text(loc)} is `{key}`, no property of the schema", places.of(loc), expected, near)
        elif key not in found.required:
            yield Finding(f"`{key}` is not required", places.of(loc), "a required property, for it is the step's key")
    for name, words in (
        ("executable", manifest.executable),
        *((n, o and o.executable) for n, o in _operations(manifest).items()),
    ):
        if words and posixpath.normpath(words).startswith("../"):
            place = places.of((name,) if name == "executable" else (name, "executable"))
            yield Finding(f"`{words}` is not in the step's folder", place, "a file of the step's folder")
