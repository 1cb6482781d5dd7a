"""The API's paths under /api/v1, one line each: method, path, form of the request, call on the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.api import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.api.service import Service
    from reconciler.core.access import Subject
    from reconciler.core.resource import Model

PREFIX = "/api/v1"
SESSION = "/session"
"""Where a channel of a session is carried on a WebSocket (`api.sessions`)."""
BODY_LIMIT = 64 * 1024
PLAN_LIMIT = 64 * 1024 * 1024
"""A saved plan names every node it touches."""
RUN_LIMIT = 4 * 1024 * 1024
"""A document may be brought along."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One authenticated, well-formed request. `form` is an instance of the path's form."""

    subject: Subject
    path: Mapping[str, str]
    form: Any

    def __getitem__(self, name: str) -> str:
        """The part of the path that `{name}` stands for."""
        return self.path[name]


@dataclass(frozen=True, slots=True)
class Path:
    """One path: what may be sent to it, and the blocking call that answers it with a JSON value."""

    method: str
    path: str
    form: type[Model]
    call: Callable[[Service, Asked], Any]
    body_limit: int = BODY_LIMIT


def _plan(service: Service, asked: Asked) -> Any:
    return service.plan(asked.subject, asked.form.rev, asked.form.base)


def _apply(service: Service, asked: Asked) -> Any:
    form = asked.form
    return service.apply(asked.subject, form.rev, form.plan, form.allow_removals)


def _create_token(service: Service, asked: Asked) -> Any:
    form = asked.form
    return service.create_token(asked.subject, form.node, form.labels, form.ttl_seconds)


def apply_status(service: Service, asked: Asked) -> Any:
    """How far an apply has come."""
    return service.apply_status(asked.subject, asked["id"])


def _retire(service: Service, asked: Asked) -> Any:
    return service.retire(asked.subject, asked["name"])


def _inventory(service: Service, asked: Asked) -> Any:
    return _items(service.inventory(asked.subject, asked["name"]))


def _inventory_type(service: Service, asked: Asked) -> Any:
    return service.inventory_type(asked.subject, asked["name"], asked["type"])


def _explain(service: Service, asked: Asked) -> Any:
    return service.explain(asked.subject, asked.form.node, asked.form.claim)


def _audit(service: Service, asked: Asked) -> Any:
    return _items(service.audit(asked.subject, asked.form.limit))


def _run(service: Service, asked: Asked) -> Any:
    return service.commands.run(asked.subject, asked.form)


def _commands(service: Service, asked: Asked) -> Any:
    return _items(service.commands.list(asked.subject, asked.form.limit))


def command(service: Service, asked: Asked) -> Any:
    """A command's progress."""
    return service.commands.show(asked.subject, asked["id"])


def _cancel(service: Service, asked: Asked) -> Any:
    return service.commands.cancel(asked.subject, asked["id"])


def _retry(service: Service, asked: Asked) -> Any:
    return service.commands.retry(asked.subject, asked["id"], asked.form.which)


def _start_session(service: Service, asked: Asked) -> Any:
    return service.sessions.start(asked.subject, asked.form)


def _terminate(service: Service, asked: Asked) -> Any:
    return service.sessions.terminate(asked.subject, asked["id"])


def _output(service: Service, asked: Asked) -> Any:
    form = asked.form
    return service.commands.output(asked.subject, asked["id"], form.job, form.step, form.stream, form.offset)


def _start(service: Service, asked: Asked) -> Any:
    return service.automations.start(asked.subject, asked.form)


def _executions(service: Service, asked: Asked) -> Any:
    return _items(service.automations.list(asked.subject, asked.form.limit, asked.form.parent))


def execution(service: Service, asked: Asked) -> Any:
    """How an execution stands."""
    return service.automations.show(asked.subject, asked["id"])


def _signal(service: Service, asked: Asked) -> Any:
    return service.automations.signal(asked.subject, asked["id"], asked.form.signal, asked.form.comment)


def _stop(service: Service, asked: Asked) -> Any:
    return service.automations.stop(asked.subject, asked["id"], asked.form.reason)


def _whole(_: dict[str, Any], newer: dict[str, Any]) -> dict[str, Any]:
    return newer


def _of_command(older: dict[str, Any], newer: dict[str, Any]) -> dict[str, Any]:
    """A command's progress with those of its invocations that are not as they were."""
    known = {one["job"]: one for one in older["invocations"]}
    return {**newer, "invocations": [one for one in newer["invocations"] if known.get(one["job"]) != one]}


FOLLOWED = {
    "/apply/{id}/events": (apply_status, _whole),
    "/commands/{id}/events": (command, _of_command),
    "/automations/{id}/events": (execution, _whole),
}
"""What is told of at each change, until it is finished; and what of it, where that may be many rows."""


def _parameter(service: Service, asked: Asked) -> Any:
    return service.parameters.one(asked.subject, asked.form.name, decrypt=asked.form.decrypt)


def _parameters(service: Service, asked: Asked) -> Any:
    form = asked.form
    return _items(service.parameters.below(asked.subject, form.path, recursive=form.recursive, decrypt=form.decrypt))


def _parameter_history(service: Service, asked: Asked) -> Any:
    return _items(service.parameters.history(asked.subject, asked.form.name, decrypt=asked.form.decrypt))


def _items(values: list[dict[str, Any]]) -> dict[str, Any]:
    """A list is answered inside an object, so that something can be said beside it later."""
    return {"items": values}


PATHS = (
    Path("GET", "/status", requests.Nothing, lambda service, asked: service.status(asked.subject)),
    Path("GET", "/plan", requests.PlanQuery, _plan),
    Path("POST", "/apply", requests.ApplyBody, _apply, PLAN_LIMIT),
    Path("GET", "/apply/{id}", requests.Nothing, apply_status),
    Path("POST", "/sync", requests.Nothing, lambda service, asked: service.sync(asked.subject)),
    Path("GET", "/nodes", requests.Nothing, lambda service, asked: _items(service.nodes(asked.subject))),
    Path("GET", "/nodes/{name}", requests.Nothing, lambda service, asked: service.node(asked.subject, asked["name"])),
    Path("GET", "/nodes/{name}/inventory", requests.Nothing, _inventory),
    Path("GET", "/nodes/{name}/inventory/{type}", requests.Nothing, _inventory_type),
    Path("POST", "/nodes/{name}/retire", requests.Nothing, _retire),
    Path("POST", "/tokens", requests.TokenBody, _create_token),
    Path("GET", "/explain", requests.ExplainQuery, _explain),
    Path("GET", "/conditions", requests.Nothing, lambda service, asked: _items(service.conditions(asked.subject))),
    Path("POST", "/sessions", requests.SessionBody, _start_session),
    Path("GET", "/sessions", requests.Nothing, lambda service, asked: _items(service.sessions.list(asked.subject))),
    Path("POST", "/sessions/{id}/terminate", requests.Nothing, _terminate),
    Path("GET", "/audit", requests.AuditQuery, _audit),
    Path("GET", "/parameters", requests.ParametersQuery, _parameters),
    Path("GET", "/parameters/one", requests.ParameterQuery, _parameter),
    Path("GET", "/parameters/history", requests.ParameterQuery, _parameter_history),
    Path("POST", "/commands", requests.Run, _run, RUN_LIMIT),
    Path("GET", "/commands", requests.CommandsQuery, _commands),
    Path("GET", "/commands/{id}", requests.Nothing, command),
    Path("POST", "/commands/{id}/cancel", requests.Nothing, _cancel),
    Path("POST", "/commands/{id}/retry", requests.Retry, _retry),
    Path("GET", "/commands/{id}/output", requests.OutputQuery, _output),
    Path("POST", "/automations", requests.Start, _start, RUN_LIMIT),
    Path("GET", "/automations", requests.ExecutionsQuery, _executions),
    Path("GET", "/automations/{id}", requests.Nothing, execution),
    Path("POST", "/automations/{id}/signal", requests.SignalBody, _signal),
    Path("POST", "/automations/{id}/stop", requests.StopBody, _stop),
)
