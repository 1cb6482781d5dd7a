"""SSM Command documents of schemaVersion 2.x, as written: no field of ours, none of SSM's missing."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag

from reconciler.core.resource import Model
from reconciler.core.typed.markers import StringOrList, Subtree, Wrong

QUOTED: dict[str, Any] = {"x-quoted": True}
"""SSM writes numbers and booleans as text too."""

ParameterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,127}$")]
Count = Annotated[int, Field(ge=0, json_schema_extra=QUOTED)]
Whole = Annotated[int, Field(json_schema_extra=QUOTED)]
Flag = Annotated[bool, Field(json_schema_extra=QUOTED)]
Stored = Annotated[str, StringConstraints(pattern=r"^\s*\{\{.*\}\}\s*$")]
"""A value that is kept elsewhere, as `{{ ssm:name }}`."""
Reference = Annotated[str, StringConstraints(pattern=r"^\s*\{\{.*\}\}\s*$")]
"""A parameter, put in when the document is compiled."""
JsonText = Annotated[str, StringConstraints(pattern=r"^\s*[\[{]")]
RESOURCE_TYPE = r"^(List<)?AWS::[A-Za-z0-9]+(::[A-Za-z0-9]+)+(<[A-Za-z0-9:<>]+>)?>?$"


def expected(words: str) -> Any:
    return Field(json_schema_extra={"x-expected": words})


def _object(value: Any) -> Any:
    return _from_json(value, dict, "a JSON object")


def _objects(value: Any) -> Any:
    return _from_json(value, list, "a JSON list of objects")


def _from_json(value: Any, kind: type, expected: str) -> Any:
    """What a text in JSON means; anything else, and a value that is kept elsewhere, as it is."""
    if not isinstance(value, str) or value.lstrip().startswith("{{"):
        return value
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, kind):
        raise Wrong("this cannot be read as that", expected=expected)
    return found


class _Parameter(Model):
    """What parameters of every type have."""

    description: str | None = ""
    """For people."""
    display_type: Literal["textfield", "textarea"] | None = None
    """How SSM's console shows it."""
    interpolation_type: Literal["ENV_VAR"] | None = None
    """`ENV_VAR`: scripts get the value as the environment variable `SSM_NAME`, and no text is replaced."""
    allowed_pattern: str | None = None
    """A regular expression that must be found in the value, of a list in each item."""
    min_chars: Count | None = None
    """Least number of characters."""
    max_chars: Count | None = None
    """Greatest number of characters."""


class StringParameter(_Parameter):
    """One text."""

    type: Literal["String"]
    default: str | None = None
    """The value where none is given; the parameter is required without one."""
    allowed_values: list[str] | None = None
    """The only values taken."""


class ResourceParameter(_Parameter):
    """The name of something in AWS, or with `List<...>` several of them; here, text."""

    type: Annotated[str, StringConstraints(pattern=RESOURCE_TYPE)]
    default: str | list[str] | None = None
    """The value where none is given; the parameter is required without one."""
    allowed_values: list[str] | None = None
    """The only values taken."""
    min_items: Count | None = None
    """Least number of items."""
    max_items: Count | None = None
    """Greatest number of items."""


class StringListParameter(_Parameter):
    """A list of texts."""

    type: Literal["StringList"]
    default: StringOrList | None = None
    """The value where none is given; the parameter is required without one."""
    allowed_values: list[str] | None = None
    """The only values taken as items."""
    min_items: Count | None = None
    """Least number of items."""
    max_items: Count | None = None
    """Greatest number of items."""


class IntegerParameter(_Parameter):
    """A whole number."""

    type: Literal["Integer"]
    default: Annotated[Whole | Stored | None, expected("a whole decimal number")] = None
    """The value where none is given; the parameter is required without one."""
    allowed_values: list[Whole] | None = None
    """The only values taken."""
    min_value: Whole | None = None
    """Least value."""
    max_value: Whole | None = None
    """Greatest value."""


class BooleanParameter(_Parameter):
    """true or false."""

    type: Literal["Boolean"]
    default: Annotated[Flag | Stored | None, expected("true or false")] = None
    """The value where none is given; the parameter is required without one."""
    allowed_values: list[Flag] | None = None
    """The only values taken."""


class StringMapParameter(_Parameter):
    """A JSON object."""

    type: Literal["StringMap"]
    default: Annotated[
        dict[str, Any] | JsonText | None, BeforeValidator(_object), expected("a mapping, or a JSON object as text")
    ] = None
    """The value where none is given; the parameter is required without one."""
    allowed_values: list[Any] | None = None
    """The only values taken."""
    min_items: Count | None = None
    """Least number of entries."""
    max_items: Count | None = None
    """Greatest number of entries."""


class MapListParameter(_Parameter):
    """A list of JSON objects."""

    type: Literal["MapList"]
    default: Annotated[
        list[dict[str, Any]] | JsonText | None,
        BeforeValidator(_objects),
        expected("a list of mappings, or one of JSON objects as text"),
    ] = None
    """The value where none is given; the parameter is required without one."""
    allowed_values: list[Any] | None = None
    """The only values taken."""
    min_items: Count | None = None
    """Least number of items."""
    max_items: Count | None = None
    """Greatest number of items."""


def _variant(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return _RESOURCE if isinstance(kind, str) and re.search(RESOURCE_TYPE, kind) else kind


_RESOURCE = "AWS resource"
Parameter = Annotated[
    Annotated[StringParameter, Tag("String")]
    | Annotated[StringListParameter, Tag("StringList")]
    | Annotated[IntegerParameter, Tag("Integer")]
    | Annotated[BooleanParameter, Tag("Boolean")]
    | Annotated[StringMapParameter, Tag("StringMap")]
    | Annotated[MapListParameter, Tag("MapList")]
    | Annotated[ResourceParameter, Tag(_RESOURCE)],
    Discriminator(_variant),
    expected(
        "`String`, `StringList`, `Integer`, `Boolean`, `StringMap`, `MapList` or a type of AWS's as "
        "`AWS::EC2::Instance::Id`"
    ),
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
    description: str | None = ""
    """For people."""
    inputs: Subtree = Field(default_factory=dict)
    """What the action takes; see `schemas/steps`."""
    precondition: Precondition | None = None
    """The step is skipped unless both texts are equal; `platformType` stands for the node's platform."""
    timeout_seconds: Annotated[Whole | Reference | None, expected("a whole decimal number")] = None
    """Limit for actions that have one and whose inputs say nothing; 0 is the action's own."""
    max_attempts: Annotated[int, Field(ge=0, json_schema_extra=QUOTED)] | None = None
    """Read for compatibility; SSM's agent makes one attempt at a Command document's step too."""
    settings: Subtree | None = None
    """Read for compatibility; has no effect in SSM either."""


class CommandDocument(Model):
    """A whole document: parameters, and steps that run in order."""

    schema_version: Literal["2.2", "2.0"]
    """`"2.2"`; 2.0 has the same fields."""
    schema_: Annotated[str, Field(alias="$schema")] = ""
    """Read for compatibility."""
    description: str | None = ""
    """For people."""
    parameters: dict[ParameterName, Parameter] = Field(default_factory=dict)
    """What an association may (or, without a default, must) give."""
    main_steps: list[Step] = Field(min_length=1)
    """Run in order on each node."""
