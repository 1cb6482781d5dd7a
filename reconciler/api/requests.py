"""Bodies and query parameters of requests: their form, checked, with findings in people's words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Self, TypeVar

from pydantic import Field, StrictInt, ValidationError, model_validator

from reconciler.core import commands, rate
from reconciler.core.problem import Finding, Invalid, Place
from reconciler.core.resource import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

_Parsed = TypeVar("_Parsed", bound=Model)

Text = Annotated[str, Field(min_length=1, max_length=512)]


class Nothing(Model):
    """A request that needs no more than its path."""


class _Bringing(Protocol):
    document: str | None
    content: str | None


_Brought = TypeVar("_Brought", bound=_Bringing)


def _one_document(asked: _Brought) -> _Brought:
    """Either named or brought along."""
    if (asked.document is None) == (asked.content is None):
        raise ValueError("name a document, or bring one along")
    return asked


class PlanQuery(Model):
    """GET /plan"""

    rev: Text | None = None
    base: Text | None = None


class ExplainQuery(Model):
    """GET /explain"""

    node: Text
    claim: Annotated[str, Field(min_length=1, max_length=4096)] | None = None


class AuditQuery(Model):
    """GET /audit"""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class ApplyBody(Model):
    """POST /apply"""

    rev: Text | None = None
    plan: dict[str, Any] | None = None
    allow_removals: Annotated[StrictInt, Field(ge=0)] = 0


class Run(Model):
    """POST /commands. Either a `document` of the repository, or the `content` of another, called `path`."""

    document: Text | None = None
    content: Annotated[str, Field(min_length=1, max_length=1024 * 1024)] | None = None
    path: Text = "document"
    parameters: Annotated[dict[Text, list[str]], Field(max_length=256)] = Field(default_factory=dict)
    targets: Annotated[list[Text], Field(max_length=50)] = Field(default_factory=list)
    max_concurrency: Annotated[str, Field(pattern=rate.PATTERN)] = commands.DEFAULT_CONCURRENCY
    max_errors: Annotated[str, Field(pattern=rate.ERRORS_PATTERN)] = commands.DEFAULT_ERRORS
    timeout_seconds: Annotated[StrictInt, Field(ge=30, le=2_592_000)] = commands.DELIVERY_TIMEOUT
    check: bool = False
    comment: Annotated[str, Field(max_length=1024)] = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        return _one_document(self)


class Start(Model):
    """POST /automations. Either a `document` by name, or the `content` of another, called `path`."""

    document: Text | None = None
    content: Annotated[str, Field(min_length=1, max_length=1024 * 1024)] | None = None
    path: Text = "document"
    parameters: Annotated[dict[Text, list[str]], Field(max_length=256)] = Field(default_factory=dict)
    mode: Literal["Auto", "Interactive"] = "Auto"
    targets: Annotated[list[Annotated[str, Field(min_length=1, max_length=64 * 1024)]], Field(max_length=50)] = Field(
        default_factory=list
    )
    target_parameter_name: Annotated[str, Field(max_length=512)] = ""
    max_concurrency: Annotated[str, Field(pattern=rate.PATTERN)] = "10"
    max_errors: Annotated[str, Field(pattern=rate.ERRORS_PATTERN)] = "0"

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        return _one_document(self)


class SignalBody(Model):
    """POST /automations/{id}/signal"""

    signal: Literal["Approve", "Reject", "StartStep", "StopStep", "Resume"]
    comment: Annotated[str, Field(max_length=2000)] = ""


class StopBody(Model):
    """POST /automations/{id}/stop"""

    reason: Annotated[str, Field(max_length=2000)] = ""


class ExecutionsQuery(Model):
    """GET /automations"""

    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    parent: Annotated[str, Field(max_length=64)] | None = None


class Retry(Model):
    """POST /commands/{id}/retry"""

    which: Annotated[set[Literal["failed", "skipped", "offline"]], Field(min_length=1)]


class CommandsQuery(Model):
    """GET /commands"""

    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class OutputQuery(Model):
    """GET /commands/{id}/output"""

    job: Text
    step: Text
    stream: Literal["stdout", "stderr"] = "stdout"
    offset: Annotated[int, Field(ge=0)] = 0


class SessionBody(Model):
    """POST /sessions: a shell, or a connection to `port`, or to the socket at `path`."""

    node: Text
    sort: Literal["shell", "port"] = "shell"
    run_as: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@-]{0,64}$")] = ""
    document: Annotated[str, Field(max_length=128)] = ""
    port: Annotated[StrictInt, Field(ge=0, le=65535)] = 0
    path: Annotated[str, Field(max_length=107, pattern=r"^(/[^\x00]*)?$")] = ""
    host: Annotated[str, Field(max_length=253)] = ""
    reason: Annotated[str, Field(max_length=1024)] = ""

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.sort == "port" and bool(self.port) == bool(self.path):
            raise ValueError("a port, or a socket's path")
        return self


ParameterName = Annotated[str, Field(min_length=1, max_length=1200)]


class ParameterQuery(Model):
    """GET /parameters/one, /parameters/history. `name` may end in `:VERSION` or `:LABEL`."""

    name: ParameterName
    decrypt: bool = False


class ParametersQuery(Model):
    """GET /parameters"""

    path: ParameterName = "/"
    recursive: bool = False
    decrypt: bool = False


class TokenBody(Model):
    """POST /tokens"""

    node: Text | None = None
    labels: Annotated[dict[Text, Annotated[str, Field(max_length=512)]], Field(max_length=64)] = Field(
        default_factory=dict
    )
    ttl_seconds: Annotated[StrictInt, Field(ge=1)] = 3600


def parsed(form: type[_Parsed], query: Mapping[str, str], body: bytes) -> _Parsed:
    """The request in its form: a JSON body where there is one, else the query. Raises `Invalid` with all findings."""
    try:
        value = json.loads(body) if body else dict(query)
    except (ValueError, RecursionError) as error:
        raise Invalid((Finding(f"the body is not JSON: {error}", Place("request")),)) from error
    try:
        return form.model_validate(value)
    except ValidationError as error:
        raise Invalid(tuple(_finding(detail) for detail in error.errors())) from error


def _finding(detail: Any) -> Finding:
    where = "/".join(str(part) for part in detail["loc"])
    return Finding(f"{where or 'the body'}: {detail['msg']}", Place("request"))
