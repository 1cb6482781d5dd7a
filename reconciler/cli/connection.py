"""Which server is meant, and as whom: options that every command talking to a server shares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.core.problem import Problem, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.api.client import Client

ServerOption = Annotated[
    str | None,
    typer.Option("--server", envvar="OPSCTL_SERVER", help="https://HOST:PORT, or unix:PATH.", metavar="URL"),
]
CaOption = Annotated[
    Path | None, typer.Option("--ca", envvar="OPSCTL_CA", help="The server's ca.pem, for https.", metavar="FILE")
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key",
        envvar="OPSCTL_KEY",
        help="Your SSH key (ed25519), for https; ~/.ssh/id_ed25519 or the SSH agent's where left out.",
        metavar="FILE",
        show_default=False,
    ),
]

COMPLETION_SECONDS = 1.0


def connect(server: str | None, ca: Path | None, key: Path | None) -> Client:
    """A client, or `Refused` with what to say where no server was named."""
    from reconciler.api.client import Client

    if server is None:
        raise Refused("no server was named", remedy="give --server URL, or set OPSCTL_SERVER")
    return Client(server, ca, key)


def node_names(context: typer.Context, incomplete: str) -> list[str]:
    """For shell completion: the names of nodes, where a server's socket is at hand; silence anywhere else."""
    return _names(context, incomplete, lambda _row: True)


def unenrolled_names(context: typer.Context, incomplete: str) -> list[str]:
    """For shell completion: nodes that Git declares and nobody enrolled."""
    return _names(context, incomplete, lambda row: row["state"] == "NotEnrolled")


def _names(context: typer.Context, incomplete: str, wanted: Callable[[dict[str, Any]], bool]) -> list[str]:
    server = context.params.get("server")
    if not isinstance(server, str) or not server.startswith("unix:"):
        return []
    from reconciler.api.client import Client

    try:
        with Client(server, answer_seconds=COMPLETION_SECONDS) as client:
            rows = client.nodes()
    except Problem:
        return []
    return [row["name"] for row in rows if wanted(row) and row["name"].startswith(incomplete)]
