"""`opsctl serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler import wiring
from reconciler.api.face import face


def serve(
    repo: Annotated[str, typer.Option(help="The config repository.", metavar="URL")],
    state: Annotated[Path, typer.Option(help="Directory for the store, keys and mirror.", metavar="DIR")],
    listen: Annotated[
        str, typer.Option(help="Where agents and operators connect.", metavar="ADDR:PORT")
    ] = "127.0.0.1:8443",
    name: Annotated[
        list[str] | None,
        typer.Option(help="A name or address that agents reach this server by; may be repeated.", metavar="HOST"),
    ] = None,
    branch: Annotated[
        str | None, typer.Option(help="The branch to track; the remote's own choice where left out.")
    ] = None,
    restored: Annotated[
        bool, typer.Option("--restored", help="Say that the store was restored from a backup.")
    ] = False,
    allow_rewrite: Annotated[
        bool, typer.Option("--allow-rewrite", help="Follow the tracked branch once although its history was rewritten.")
    ] = False,
) -> int:
    """Run the daemon: fetch the repository, drive the agents, commit compliance; until it is told to end.

    Everything it keeps is in STATE: the store, its CA and keys, a mirror of the repository, and opsctl.sock, through
    which root and the user who runs it may do everything. STATE/server.yaml holds its own settings.

    Example: opsctl serve --repo git@git.example.com:ops/config.git --state /var/lib/opsctl-server --listen 0.0.0.0:8443
    """
    wiring.serve(
        wiring.ServeOptions(
            repo=repo,
            state=state,
            listen=listen,
            names=tuple(name or ()),
            branch=branch,
            restored=restored,
            allow_rewrite=allow_rewrite,
        ),
        face,
    )
    return 0
