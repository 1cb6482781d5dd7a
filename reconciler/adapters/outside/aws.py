"""AWS's APIs, through boto3: the optional extra `aws`.

Credentials are the server's own, from its environment and its files as boto3 finds them; no runbook names any. What may
be called at all stands in the server's settings, and nothing may where they say nothing.
"""

from __future__ import annotations

import base64
import datetime
import fnmatch
import importlib
import importlib.util
import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.core.executions import Answer
from reconciler.core.problem import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.core.ports import Clock

ACTIONS = ("aws:assertAwsResourceProperty", "aws:executeAwsApi", "aws:waitForAwsResourceProperty")
NEEDED = "Unsupported: needs the aws extra: install opsctl[aws] on the server"
NOT_ALLOWED = "needs aws: the server's settings do not allow it: add it to `aws.allow` in server.yaml"
SECONDS = 60
"""That AWS may take to answer one call; it is tried three times where AWS asks for that."""
READ = 1024 * 1024
"""Bytes of a stream within an answer that are read."""
_OURS = frozenset({"Service", "Api", "PropertySelector", "DesiredValues"})


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """What may be called, as `ec2:Describe*`, and where. Without a region that of the environment counts."""

    allow: tuple[str, ...] = ()
    region: str | None = None
    endpoint: str | None = None


class Aws:
    """Calls one operation of one service, and gives its answer as JSON."""

    def __init__(self, settings: AwsSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._clients: dict[str, Any] = {}
        self._session: Any = None
        self._making = threading.Lock()

    def perform(self, work: str, action: str, inputs: Mapping[str, Any], deadline: int | None) -> Answer:
        del work, deadline  # AWS has tokens of its own for what must not be done twice, and a bound of its own here
        service, api = str(inputs.get("Service", "")).lower(), str(inputs.get("Api", ""))
        if action not in ACTIONS:
            return Answer("Failed", reason=f"Unsupported: {action} is no call of an API")
        if not installed():
            return Answer("Failed", reason=NEEDED)
        try:
            with self._making:
                client = self._client(service)
            operation = _operation(client, api)
            if not self._allowed(f"{service}:{operation}"):
                return Answer("Failed", reason=f"{service}:{operation} {NOT_ALLOWED}")
            shape = client.meta.service_model.operation_model(operation).input_shape
            given = _shaped({name: value for name, value in inputs.items() if name not in _OURS}, shape)
            answer = getattr(client, _method(client, operation))(**given)
        except _errors() as error:
            return Answer("Failed", reason=str(error)[:1000])
        answer.pop("ResponseMetadata", None)
        return Answer(outputs=_json(answer))

    def _allowed(self, call: str) -> bool:
        return any(fnmatch.fnmatch(call.lower(), pattern.lower()) for pattern in self._settings.allow)

    def _client(self, service: str) -> Any:
        """One per service: making one takes longer than most calls."""
        if service not in self._clients:
            boto3 = importlib.import_module("boto3")
            config = importlib.import_module("botocore.config").Config(
                connect_timeout=10, read_timeout=SECONDS, retries={"total_max_attempts": 3, "mode": "standard"}
            )
            self._session = self._session or boto3.session.Session(region_name=self._settings.region)
            known = self._session.get_available_services()
            if service not in known:
                near = nearest(service, known)
                raise _NoSuch(f"there is no service `{service}` of AWS" + (f"; did you mean {near}?" if near else ""))
            self._clients[service] = self._session.client(service, endpoint_url=self._settings.endpoint, config=config)
        return self._clients[service]


class _NoSuch(Exception):
    """What AWS does not have; the text is a sentence."""


def installed() -> bool:
    """Whether the extra is here."""
    return importlib.util.find_spec("boto3") is not None


def _errors() -> tuple[type[Exception], ...]:
    exceptions = importlib.import_module("botocore.exceptions")
    return (_NoSuch, exceptions.BotoCoreError, exceptions.ClientError)


def _operation(client: Any, api: str) -> str:
    """The operation's name as AWS writes it; runbooks write `describe_instances` too."""
    names: Iterable[str] = client.meta.service_model.operation_names
    folded = {name.casefold(): name for name in names}
    found = folded.get(api.replace("_", "").casefold())
    if found is None:
        near = nearest(api, folded.values())
        service = client.meta.service_model.service_name
        raise _NoSuch(f"`{service}` has no API `{api}`" + (f"; did you mean {near}?" if near else ""))
    return found


def _method(client: Any, operation: str) -> str:
    return next(str(name) for name, known in client.meta.method_to_api_mapping.items() if known == operation)


def _shaped(value: Any, shape: Any) -> Any:
    """Texts as the types that an operation takes: runbooks have references where numbers and booleans stand."""
    if shape is None:
        return value
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        folded = {name.casefold(): name for name in shape.members}
        named = {folded.get(name.casefold(), name): item for name, item in value.items()}
        return {name: _shaped(item, shape.members.get(name)) for name, item in named.items()}
    if kind == "map" and isinstance(value, dict):
        return {name: _shaped(item, shape.value) for name, item in value.items()}
    if kind == "list" and isinstance(value, list):
        return [_shaped(item, shape.member) for item in value]
    if isinstance(value, str):
        return _typed(value, kind)
    return str(value).lower() if kind == "string" and isinstance(value, bool) else _number(value, kind)


def _typed(text: str, kind: str) -> Any:
    if kind == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in ("integer", "long") and text.lstrip("-").isdigit():
        return int(text)
    return text


def _number(value: Any, kind: str) -> Any:
    return str(value) if kind == "string" and isinstance(value, int | float) else value


def _json(value: Any) -> Any:
    """An answer as JSON: instants as ISO 8601, bytes as base64, streams as the text that they begin with."""
    if isinstance(value, dict):
        return {str(name): _json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if hasattr(value, "read"):
        return value.read(READ).decode("utf-8", "replace")
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
