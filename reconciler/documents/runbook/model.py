"""Automation documents of schemaVersion 0.3, as written: the fields that are the same for every action."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from reconciler.core.resource import Model
from reconciler.core.typed.markers import Subtree
from reconciler.documents.model import QUOTED, Parameter, ParameterName

Boolean = Annotated[bool, Field(json_schema_extra=QUOTED)]
StepName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
ValueType = Literal["String", "StringList", "Integer", "Boolean", "StringMap", "MapList"]


class OutputDeclaration(Model):
    """A named part of what an action gave back."""

    name: Annotated[str, Field(alias="Name", min_length=1)]
    """What later steps call it: `{{ Step.Name }}`."""
    selector: Annotated[str, Field(alias="Selector")] = "$"
    """Where it is in the answer, as JSONPath."""
    type: Annotated[ValueType, Field(alias="Type")] = "String"
    """What it has to be."""


class VariableDeclaration(Model):
    """A value that `aws:updateVariable` changes while the runbook runs."""

    type: ValueType
    """What its values are."""
    description: str | None = None
    """For people."""
    default: Any = None
    """Its value before the first change."""
    allowed_values: list[Any] | None = None
    """The only values it takes."""
    allowed_pattern: str | None = None
    """A regular expression that must be found in its value."""
    min_items: int | None = None
    """Least number of items."""
    max_items: int | None = None
    """Greatest number of items."""
    min_chars: int | None = None
    """Least number of characters."""
    max_chars: int | None = None
    """Greatest number of characters."""


class FileDeclaration(Model):
    """A file that the document brings with it."""

    checksums: dict[str, str] = Field(default_factory=dict)
    """Digest by algorithm: `sha256: ...`."""
    size: int | None = None
    """Bytes."""


class StepDeclaration(Model):
    """One step."""

    name: StepName
    """Unique in the document, those within loops included."""
    action: str
    """What is done: `aws:runCommand`, `aws:branch` and so on."""
    description: str | None = None
    """For people."""
    inputs: Subtree = Field(default_factory=dict)
    """What the action takes."""
    outputs: list[OutputDeclaration] | None = None
    """What later steps may read of the answer, besides what the action gives by itself."""
    next_step: str | None = None
    """The step after this one succeeded; by default the one written after it."""
    is_end: Boolean = False
    """Whether the execution ends here, whether the step succeeded or failed."""
    is_critical: Boolean = True
    """Whether the execution has failed if this step has."""
    on_failure: str | None = None
    """`Abort` (the default), `Continue` or `step:NAME`."""
    on_cancel: str | None = None
    """`Abort` (the default) or `step:NAME`: where to go when the execution is cancelled during this step."""
    max_attempts: Annotated[int, Field(ge=1, json_schema_extra=QUOTED)] = 1
    """How often it is tried before it has failed."""
    timeout_seconds: Annotated[int, Field(ge=0, json_schema_extra=QUOTED)] | None = None
    """How long one attempt may take; by default the action's own limit."""


class AutomationDocument(Model):
    """A whole runbook."""

    schema_version: Literal["0.3"]
    """`"0.3"`."""
    description: str | None = None
    """For people."""
    assume_role: str | None = None
    """Whose rights it runs with; recorded."""
    parameters: dict[ParameterName, Parameter] = Field(default_factory=dict)
    """What may (or, without a default, must) be given to start it."""
    variables: dict[ParameterName, VariableDeclaration] = Field(default_factory=dict)
    """Values that change while it runs."""
    outputs: list[str] | None = None
    """What the execution gives back: `Step.Output`."""
    files: dict[str, FileDeclaration] = Field(default_factory=dict)
    """Files that steps name as `Attachment`."""
    main_steps: Annotated[list[Subtree], Field(min_length=1)]
    """Run in order, unless a step says otherwise."""
