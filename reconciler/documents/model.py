"""SSM Command documents of schemaVersion 2.2, as written: no field of ours, none of SSM's missing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from reconciler.core.resource import Model
from reconciler.core.typed.markers import StringOrList, Subtree

QUOTED: dict[str, Any] = {"x-quoted": True}
"""SSM writes numbers and booleans as text too."""

ParameterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,127}$")]
Count = Annotated[int, Field(ge=0, json_schema_extra=QUOTED)]


class _Parameter(Model):
    """What parameters of every type have."""

    description: str = ""
    """For people."""
    display_type: Literal["textfield", "textarea"] | None = None
    """How SSM's console shows it."""


class StringParameter(_Parameter):
    """One text."""

    type: Literal["String"]
    default: str | None = None
    """The value where none is given; the parameter is required without one."""
    allowed_values: list[str] | None = None
    """The only values taken."""
    allowed_pattern: str | None = None
    """A regular expression that must be found in the value."""
    min_chars: Count | None = None
    """Least number of characters."""
    max_chars: Count | None = None
    """Greatest number of characters."""


class StringListParameter(_Parameter):
    """A list of texts."""

    type: Literal["StringList"]
    default: StringOrList | None = None
    """The value where none is given; the parameter is required without one."""
    allowed_values: list[str] | None = None
    """The only values taken as items."""
    allowed_pattern: str | None = None
    """A regular expression that must be found in each item."""
    min_items: Count | None = None
    """Least number of items."""
    max_items: Count | None = None
    """Greatest number of items."""


class IntegerParameter(_Parameter):
    """A whole number."""

    type: Literal["Integer"]
    default: Annotated[int, Field(json_schema_extra=QUOTED)] | None = None
    """The value where none is given; the parameter is required without one."""
    allowed_values: list[Annotated[int, Field(json_schema_extra=QUOTED)]] | None = None
    """The only values taken."""


class BooleanParameter(_Parameter):
    """true or false."""

    type: Literal["Boolean"]
    default: Annotated[bool, Field(json_schema_extra=QUOTED)] | None = None
    """The value where none is given; the parameter is required without one."""
    allowed_values: list[Annotated[bool, Field(json_schema_extra=QUOTED)]] | None = None
    """The only values taken."""


class StringMapParameter(_Parameter):
    """A JSON object."""

    type: Literal["StringMap"]
    default: dict[str, Any] | None = None
    """The value where none is given; the parameter is required without one."""
    min_items: Count | None = None
    """Least number of entries."""
    max_items: Count | None = None
    """Greatest number of entries."""


class MapListParameter(_Parameter):
    """A list of JSON objects."""

    type: Literal["MapList"]
    default: list[dict[str, Any]] | None = None
    """The value where none is given; the parameter is required without one."""
    min_items: Count | None = None
    """Least number of items."""
    max_items: Count | None = None
    """Greatest number of items."""


Parameter = Annotated[
    StringParameter | StringListParameter | IntegerParameter | BooleanParameter | StringMapParameter | MapListParameter,
    Field(discriminator="type"),
]


Precondition = dict[Literal["StringEquals"], Annotated[list[str], Field(min_length=2, max_length=2)]]


class Control(Model):
    """What happens after a step. SSM has these among the step's inputs; here they may stand beside them too."""

    on_failure: Literal["", "exit", "successAndExit"] | None = None
    """What happens after this step failed: by default the next step runs and the document fails at its end."""
    on_success: Literal["", "exit"] | None = None
    """`exit`: the remaining steps are skipped once this one succeeded."""
    finally_step: Annotated[bool, Field(json_schema_extra=QUOTED)] = False
    """Whether the step runs even after an exit; only the last step."""


class Step(Control):
    """One action with its inputs."""

    action: str
    """What is done: `aws:runShellScript`, `ops:file` and so on."""
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    """Unique in the document."""
    description: str = ""
    """For people."""
    inputs: Subtree = Field(default_factory=dict)
    """What the action takes; see `schemas/steps`."""
    precondition: Precondition | None = None
    """The step is skipped unless both texts are equal; `platformType` stands for the node's platform."""
    timeout_seconds: Annotated[int, Field(json_schema_extra=QUOTED)] | None = None
    """Limit for actions that have one and whose inputs say nothing; 0 is the action's own."""
    max_attempts: Annotated[int, Field(ge=0, json_schema_extra=QUOTED)] | None = None
    """Read for compatibility; SSM's agent makes one attempt at a Command document's step too."""
    settings: Subtree | None = None
    """Read for compatibility; has no effect in SSM either."""


class CommandDocument(Model):
    """A whole document: parameters, and steps that run in order."""

    schema_version: Literal["2.2"]
    """`"2.2"`."""
    description: str = ""
    """For people."""
    parameters: dict[ParameterName, Parameter] = Field(default_factory=dict)
    """What an association may (or, without a default, must) give."""
    main_steps: list[Step] = Field(min_length=1)
    """Run in order on each node."""
