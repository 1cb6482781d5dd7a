"""`opsctl serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(
    repo: Annotated[str, typer.Option(help="The config repository: https, ssh or a path.", metavar="URL")],
    state: Annotated[Path, typer.Option(help="Where the daemon keeps what it knows.", metavar="DIR")],
    listen: Annotated[
        str, typer.Option(help="Where agents and operators connect.", metavar="ADDR:PORT")
    ] = "127.0.0.1:8443",
    name: Annotated[
        list[str] | None,
        typer.Option(help="A name or address that agents reach this server by; may be repeated.", metavar="HOST"),
    ] = None,
    branch: Annotated[
        str | None, typer.Option(help="The branch to track; the remote's own choice where left out.", metavar="NAME")
    ] = None,
    restored: Annotated[
        bool, typer.Option("--restored", help="Say that the state was restored from a backup.")
    ] = False,
    allow_rewrite: Annotated[
        bool, typer.Option("--allow-rewrite", help="Follow the tracked branch once although its history was rewritten.")
    ] = False,
) -> int:
    """Run the daemon until SIGTERM: fetch the repository, drive the agents, answer operators, commit compliance.

    One process, with one state directory to itself. Root and the user who runs it may do everything through its socket;
    others come over https, as operators of the repository. Its log is on standard error.

    Examples:
      opsctl serve --repo config --state state
      opsctl serve --repo git@git.example.com:ops/config.git \\
          --state /var/lib/opsctl-server \\
          --listen 0.0.0.0:8443 --name ops.example.com

    Files:
      DIR/opsctl.sock  the socket: opsctl --server unix:DIR/opsctl.sock
      DIR/keys/ca.pem  what operators name with --ca
      DIR/server.yaml  accessSigners and hooks, where they are wanted
      DIR/store.db     the store; DIR/keys the keys: what a backup must hold
    """
    from reconciler.api.face import face
    from reconciler.wiring.daemon import ServeOptions
    from reconciler.wiring.daemon import serve as run

    run(
        ServeOptions(
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
