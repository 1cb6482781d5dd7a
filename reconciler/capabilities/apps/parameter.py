"""Parameter: what Parameter Store knows of one parameter beside its value, which may stand here or in a tree file."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from agent.contract.canonical import instant, milliseconds
from reconciler.core.fields import OURS, Instant
from reconciler.core.parameters import SECURE, Parameter, absolute, flaw_of_label, flaw_of_name
from reconciler.core.parameters.files import flaw_of_items, flaw_of_text
from reconciler.core.parameters.names import LABEL_EXPECTED, NAME_EXPECTED
from reconciler.core.parameters.parameter import ADVANCED_CHARACTERS, STANDARD_CHARACTERS
from reconciler.core.resource import Model
from reconciler.core.typed.markers import Wrong
from reconciler.documents.patterns import compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.core.manifest import Loc
    from reconciler.core.parameters.parameter import Placing

# --- Model ---------------------------------------------------------------------------------------------------------

MOST_LABELS = 10
"""Labels that one version may have."""
MOST_TAGS = 50
MOST_POLICIES = 10


def _name(name: str) -> str:
    if flaw := flaw_of_name(absolute(name)):
        raise Wrong(flaw[0], expected=flaw[1])
    return absolute(name)


def _pattern(pattern: str) -> str:
    try:
        compiled(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise Wrong(f"no regular expression: {error}") from None
    return pattern


class ExpirationAttributes(Model):
    """When the parameter is over."""

    timestamp: Instant
    """The instant."""


class Expiration(Model):
    """The parameter is over at an instant: from then on it is reported as expired."""

    type: Literal["Expiration"]
    """Which policy it is."""
    version: Literal["1.0"] = "1.0"
    """The form of the policy."""
    attributes: ExpirationAttributes
    """When."""


class BeforeAttributes(Model):
    """How long before."""

    before: Annotated[int, Field(ge=1)]
    """How many of the unit."""
    unit: Literal["Days", "Hours"]
    """Days or hours."""


class ExpirationNotification(Model):
    """People are told some time before the parameter is over."""

    type: Literal["ExpirationNotification"]
    """Which policy it is."""
    version: Literal["1.0"] = "1.0"
    """The form of the policy."""
    attributes: BeforeAttributes
    """When."""


class AfterAttributes(Model):
    """How long after."""

    after: Annotated[int, Field(ge=1)]
    """How many of the unit."""
    unit: Literal["Days", "Hours"]
    """Days or hours."""


class NoChangeNotification(Model):
    """People are told when the parameter has had the same value for some time."""

    type: Literal["NoChangeNotification"]
    """Which policy it is."""
    version: Literal["1.0"] = "1.0"
    """The form of the policy."""
    attributes: AfterAttributes
    """When."""


Policy = Annotated[Expiration | ExpirationNotification | NoChangeNotification, Field(discriminator="type")]
_EXPECTED_LABELS = f"numbers of versions by label ({LABEL_EXPECTED})"


class ParameterSpec(Model):
    """One parameter of the hierarchy: its value, or what is to be said of one whose value stands in a tree file."""

    name: Annotated[str, AfterValidator(_name), Field(json_schema_extra={"x-expected": NAME_EXPECTED})]
    """Its whole name, as `/prod/db/url`."""
    type: Literal["String", "StringList", "SecureString"] | None = None
    """What the value is to be; as it is where left out. A SecureString's value stands in a file that SOPS encrypted."""
    value: str | list[str] | None = None
    """A text, or a list of texts; left out where a tree file gives it."""
    description: Annotated[str, Field(max_length=1024)] = ""
    """For people."""
    allowed_pattern: Annotated[str, AfterValidator(_pattern), Field(max_length=1024)] = ""
    """A regular expression that values have to match."""
    data_type: Literal["text", "aws:ec2:image", "aws:ssm:integration"] = "text"
    """What the value is; an image's id is checked for its form."""
    tier: Literal["Standard", "Advanced", "Intelligent-Tiering"] = "Standard"
    """Standard: up to 4,096 characters and no policies. Advanced: up to 8,192. Intelligent-Tiering: what it needs."""
    tags: Annotated[dict[str, str], Field(max_length=MOST_TAGS)] = Field(default_factory=dict)
    """Key and value pairs."""
    policies: Annotated[tuple[Policy, ...], Field(max_length=MOST_POLICIES)] = ()
    """What is to be said of it as time passes."""
    labels: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, json_schema_extra={**OURS, "x-expected": _EXPECTED_LABELS}
    )
    """Numbers of versions by label, at most 10 labels for each."""

    @model_validator(mode="after")
    def _fits(self) -> ParameterSpec:
        for label in self.labels:
            if flaw := flaw_of_label(label):
                raise Wrong(flaw[0], expected=flaw[1], at=("labels", label))
        for version, times in Counter(self.labels.values()).items():
            if times > MOST_LABELS:
                message = f"version {version} has {times} labels"
                raise Wrong(message, expected=f"at most {MOST_LABELS}", at=("labels",))
        if self.policies and self.tier == "Standard":
            raise Wrong("a parameter of tier Standard has no policies", expected="`tier: Advanced`", at=("policies",))
        kinds = Counter(policy.type for policy in self.policies)
        if kinds["ExpirationNotification"] and not kinds["Expiration"]:
            raise Wrong("nothing expires that could be told of before", expected="an Expiration too", at=("policies",))
        if self.value is not None:
            self._take(self.value)
        return self

    def _take(self, value: str | list[str]) -> None:
        if self.type == SECURE:
            message = "its value stands here in the clear"  # said at the type: what is said of a value shows it
            raise Wrong(message, expected="no value here, but one in a file that SOPS encrypted", at=("type",))
        if flaw := flaw_of_items(value) if isinstance(value, list) else flaw_of_text(value):
            raise Wrong(flaw[0], expected=flaw[1], at=("value",))


# --- Plan ----------------------------------------------------------------------------------------------------------


def declared(spec: ParameterSpec, path: str, places: Placing) -> Parameter | None:
    """The parameter that a resource gives a value to, None where its value stands elsewhere."""
    loc: Loc = ("spec", "value")
    if spec.value is None:
        return None
    if isinstance(spec.value, list):
        return Parameter(spec.name, "StringList", ",".join(spec.value), path, places, loc)
    return Parameter(spec.name, "String", spec.value, path, places, loc)


def misfits(parameter: Parameter, spec: ParameterSpec | None) -> Iterator[tuple[str, str]]:
    """What is wrong with a value by what is said of its parameter (None: nothing is), and what was expected."""
    most = STANDARD_CHARACTERS if spec is None or spec.tier == "Standard" else ADVANCED_CHARACTERS
    name = parameter.name
    if parameter.type == SECURE:
        if spec is not None and spec.type not in (None, SECURE):
            yield f"`{name}` is a SecureString", f"a {spec.type}"
        return  # what is encrypted is judged by whoever decrypts it
    if len(parameter.value) > most:
        more = " (8192 with `tier: Advanced`)" if most == STANDARD_CHARACTERS else ""
        yield f"`{name}` has {len(parameter.value)} characters", f"at most {most}{more}"
    if spec is None:
        return
    if spec.type not in (None, parameter.type):
        yield f"`{name}` is a {parameter.type}", f"a {spec.type}"
    items = parameter.value.split(",") if parameter.type == "StringList" else [parameter.value]
    pattern = compiled(spec.allowed_pattern) if spec.allowed_pattern else None
    if pattern and not all(pattern.search(item) for item in items):
        yield f"`{name}` does not match its allowedPattern", f"text that matches `{spec.allowed_pattern}`"
    if spec.data_type == "aws:ec2:image" and not all(_IMAGE.fullmatch(item) for item in items):
        yield f"`{name}` is no id of an image", "`ami-` and 8 or 17 hexadecimal digits"


_IMAGE = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")


class Due(NamedTuple):
    """What a policy has come to say, and since when (Unix milliseconds)."""

    reason: Literal["Expired", "ExpiresSoon", "NotChanged"]
    since: int
    message: str
    severity: Literal["info", "error"]


def due(spec: ParameterSpec, changed_at: int, at: int) -> Iterator[Due]:
    """What the policies say at an instant of a parameter that got its value at another (Unix milliseconds).

    Once it has expired, nothing is said of its nearing that any more.
    """
    ends = next((_ends(policy) for policy in spec.policies if isinstance(policy, Expiration)), None)
    for policy in spec.policies:
        if isinstance(policy, Expiration) and ends is not None and at >= ends:
            yield Due("Expired", ends, f"{spec.name} expired at {instant(ends)}", "error")
        elif isinstance(policy, ExpirationNotification) and ends is not None:
            since = ends - _length(policy.attributes.before, policy.attributes.unit)
            if since <= at < ends:
                yield Due("ExpiresSoon", since, f"{spec.name} expires at {instant(ends)}", "info")
        elif isinstance(policy, NoChangeNotification):
            since = changed_at + _length(policy.attributes.after, policy.attributes.unit)
            if at >= since:
                message = f"{spec.name} has had the same value since {instant(changed_at)}"
                yield Due("NotChanged", since, message, "info")


def _ends(policy: Expiration) -> int:
    return milliseconds(policy.attributes.timestamp)


def _length(number: int, unit: str) -> int:
    return number * (86_400_000 if unit == "Days" else 3_600_000)
