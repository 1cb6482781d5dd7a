"""The API as one ASGI app, for both listeners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from reconciler.api import requests, routes
from reconciler.api.answers import body_of, called, guarded, json_response, told
from reconciler.api.events import Events
from reconciler.api.sessions import SessionFace
from reconciler.core.problem import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from reconciler.adapters.gateway.channels import Channel
    from reconciler.api.authentication import Asker, Doorkeeper
    from reconciler.api.events import News
    from reconciler.api.hooks import GitHook
    from reconciler.api.service import Service

    Handler = Callable[[Request], Awaitable[Response]]


def build(
    service: Service,
    doorkeeper: Doorkeeper,
    hook: GitHook | None = None,
    stopping: Callable[[], bool] = lambda: False,
    channel: Callable[[str], Channel] | None = None,
) -> Starlette:
    """The app. `stopping` says whether the server is about to end, so that endless answers do too; `channel`
    opens a stream to a node, for sessions.
    """
    events = Events(stopping)
    paths = [
        Route(routes.PREFIX + path.path, guarded(_handler(service, doorkeeper, path)), methods=[path.method])
        for path in routes.PATHS
    ]
    followed = [
        Route(routes.PREFIX + path, guarded(_follower(service, doorkeeper, events, *told)), methods=["GET"])
        for path, told in routes.FOLLOWED.items()
    ]
    return Starlette(
        routes=[
            *followed,
            *paths,
            *_sessions(service, doorkeeper, channel, stopping),
            Route("/healthz", _health, methods=["GET"]),
            *([Route("/hooks/git", guarded(hook), methods=["POST"])] if hook else []),
        ],
        exception_handlers={404: _no_such_path, 405: _no_such_path},
    )


def _sessions(
    service: Service, doorkeeper: Doorkeeper, channel: Callable[[str], Channel] | None, stopping: Callable[[], bool]
) -> list[WebSocketRoute]:
    if channel is None:
        return []
    face = SessionFace(service, doorkeeper, channel, stopping)
    return [WebSocketRoute(routes.PREFIX + routes.SESSION, face.serve)]


def _handler(service: Service, doorkeeper: Doorkeeper, path: routes.Path) -> Handler:
    def answer(request: Request, asker: Asker, body: bytes) -> Any:
        form = requests.parsed(path.form, request.query_params, body)
        return path.call(service, routes.Asked(asker.subject, request.path_params, form))

    async def handle(request: Request) -> Response:
        asker = doorkeeper.admit(request.scope, request.headers)
        body = await body_of(request, asker, path.body_limit)
        return await called(lambda: answer(request, asker, body))

    return handle


def _follower(
    service: Service, doorkeeper: Doorkeeper, events: Events, look: Callable[[Service, routes.Asked], Any], news: News
) -> Handler:
    async def follow(request: Request) -> Response:
        asker = doorkeeper.admit(request.scope, request.headers)
        await body_of(request, asker, 0)
        asked = routes.Asked(asker.subject, request.path_params, requests.Nothing())
        return await events.follow(lambda: look(service, asked), news)

    return follow


async def _health(_: Request) -> Response:
    """Whether the event loop still answers; needs no subject and tells nothing else."""
    return json_response({"status": "ok"})


async def _no_such_path(request: Request, error: Exception) -> Response:
    response = told(Refused(f"there is no {request.method} {request.url.path}", "paths"))
    response.status_code = getattr(error, "status_code", 404)
    return response
