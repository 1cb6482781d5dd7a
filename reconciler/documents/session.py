"""Session documents of schemaVersion 1.0, as written: what sort of session is opened, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints

from reconciler.core.problem import Finding
from reconciler.core.resource import Model
from reconciler.core.typed import check as check_typed
from reconciler.core.typed.markers import StringOrList, Subtree
from reconciler.documents.checked import Checked, doubtful_parameters, strange_references
from reconciler.documents.model import Flag, Parameter, ParameterName, expected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.core.manifest import Manifest, Places, Tree

Switch = Annotated[
    Flag | Annotated[str, StringConstraints(pattern=r"^(\s*\{\{.*\}\}\s*)?$")], expected("true or false")
]
"""SSM takes an empty text for false, and a parameter's reference."""


class ShellProfile(Model):
    """Commands that are run when a shell starts, by platform."""

    linux: str = ""
    """In the shell of a Linux or macOS node."""
    windows: str = ""
    """In PowerShell."""


class SessionInputs(Model):
    """Preferences of sessions. What names a service of AWS's is read and has no effect here."""

    s3_bucket_name: str = ""
    """Where logs go in S3."""
    s3_key_prefix: str = ""
    """What their names begin with."""
    s3_encryption_enabled: Switch = True
    """Whether that bucket must be encrypted."""
    cloud_watch_log_group_name: str = ""
    """Where logs go in CloudWatch."""
    cloud_watch_encryption_enabled: Switch = True
    """Whether that log group must be encrypted."""
    cloud_watch_streaming_enabled: Switch = False
    """Whether logs go there while the session lasts."""
    kms_key_id: str = ""
    """A key that encrypts what is sent besides TLS."""
    run_as_enabled: Switch = False
    """Whether sessions run as `runAsDefaultUser`."""
    run_as_default_user: str = ""
    """The account that sessions run as."""
    idle_session_timeout: str = ""
    """Minutes without a keystroke after which a session ends."""
    max_session_duration: str = ""
    """Minutes after which a session ends in any case."""
    shell_profile: ShellProfile = Field(default_factory=ShellProfile)
    """Commands that are run when a shell starts."""


class Commands(Model):
    """What a session of commands runs on one platform."""

    commands: StringOrList
    """Lines of a shell."""
    run_as_elevated: Switch = False
    """Whether they run as root (or administrator)."""
    separate_output_stream: Switch = False
    """Whether standard error is kept apart from standard output."""
    stdout_separator_prefix: str = ""
    """What begins each line of standard output then."""
    stderr_separator_prefix: str = ""
    """What begins each line of standard error then."""


class PlatformCommands(Model):
    """What a session of commands runs, by platform."""

    linux: Commands | None = None
    """On Linux."""
    macos: Annotated[Commands | None, Field(alias="macOS")] = None
    """On macOS."""
    windows: Commands | None = None
    """On Windows."""


class Port(Model):
    """Which port a session leads to."""

    port_number: str = ""
    """The port on the node, or on `host`."""
    local_port_number: str = ""
    """The port on the client's side."""
    host: str = ""
    """Another machine that the node can reach."""
    type: str = ""
    """`LocalPortForwarding`: the client listens."""
    unix_socket: str = ""
    """A socket on the node instead of a port."""


class SessionDocument(Model):
    """A whole document."""

    schema_version: Literal["1.0"]
    """`"1.0"`."""
    description: str | None = ""
    """For people."""
    session_type: Literal["InteractiveCommands", "NonInteractiveCommands", "Port", "Standard_Stream"]
    """What sort of session is opened."""
    parameters: dict[ParameterName, Parameter] = Field(default_factory=dict)
    """What may (or, without a default, must) be given."""
    inputs: SessionInputs | None = None
    """Preferences; needed for `Standard_Stream`."""
    properties: Subtree | None = None
    """The commands by platform, or the port."""


_PROPERTIES: dict[str, Any] = {
    "InteractiveCommands": PlatformCommands,
    "NonInteractiveCommands": PlatformCommands,
    "Port": Port,
}


def check(manifest: Manifest) -> Checked:
    """A document of schemaVersion 1.0."""
    places = manifest.places
    tree, findings = _with_types_as_spelt(manifest.tree, places)
    content, found = check_typed(SessionDocument, tree, places)
    findings += found
    if content is not None:
        findings += [*_of_its_sort(content, places), *doubtful_parameters(content, places)]
        findings += strange_references(content.properties, ("properties",), content.parameters, places)
    return Checked("Session", content, findings)


def _with_types_as_spelt(tree: Tree, places: Places) -> tuple[Tree, list[Finding]]:
    """The tree with types of parameters as SSM spells them: AWS's own examples of sessions have `string`."""
    parameters = tree.get("parameters") if isinstance(tree, dict) else None
    if not isinstance(tree, dict) or not isinstance(parameters, dict):
        return tree, []
    spelt = {}
    findings = []
    for name, declared in parameters.items():
        given = declared.get("type") if isinstance(declared, dict) else None
        known = _SPELT.get(given.casefold(), given) if isinstance(given, str) else given
        if isinstance(declared, dict) and known != given:
            place = places.of(("parameters", name, "type"))
            findings.append(Finding(f"`{given}` is not how SSM spells it", place, f"`{known}`", severity="warning"))
            declared = {**declared, "type": known}
        spelt[name] = declared
    return {**tree, "parameters": spelt}, findings


_SPELT = {kind.casefold(): kind for kind in ("String", "StringList", "Integer", "Boolean", "StringMap", "MapList")}


def _of_its_sort(content: SessionDocument, places: Places) -> Iterator[Finding]:
    """What is wrong with the parts that depend on the sort of session."""
    kind = content.session_type
    if kind == "Standard_Stream":
        if content.inputs is None:
            yield Finding(f"`inputs` is missing, which `{kind}` needs", places.of(("sessionType",)), "a mapping")
    elif content.properties is None:
        yield Finding(f"`properties` is missing, which `{kind}` needs", places.of(("sessionType",)), "a mapping")
    else:
        yield from check_typed(_PROPERTIES[kind], content.properties, places, ("properties",))[1]
