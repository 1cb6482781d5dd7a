"""Which server is meant, and as whom: options that every command talking to a server shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler import wiring
from reconciler.api.client import Client
from reconciler.core.problem import Refused

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server", envvar="OPSCTL_SERVER", help="https://HOST:PORT, or unix:PATH of the socket.", metavar="URL"
    ),
]
CaOption = Annotated[
    Path | None, typer.Option("--ca", envvar="OPSCTL_CA", help="The server's ca.pem, for an https server.")
]
KeyOption = Annotated[
    Path | None, typer.Option("--key", envvar="OPSCTL_KEY", help="Your SSH key (ed25519), for an https server.")
]


def connect(server: str | None, ca: Path | None, key: Path | None) -> Client:
    """A client, or `Refused` with what to say where no server was named."""
    if server is None:
        raise Refused("no server was named", remedy="give --server URL, or set OPSCTL_SERVER")
    return Client(server, ca, wiring.operator_signer(key) if key is not None else None)
