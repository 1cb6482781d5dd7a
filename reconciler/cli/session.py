"""`opsctl session`: shells and ports on nodes, through the connection that each agent keeps open."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect, node_names
from reconciler.cli.manual import Command, Group
from reconciler.cli.output import Format, FormatOption, print_json, print_table, say
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.api.channel import ClientChannel
    from reconciler.api.client import Client

app = typer.Typer(cls=Group, no_args_is_help=True, help="Shells and ports on nodes, without SSH or an open port.")

READ_SIZE = 64 * 1024
NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="A node's name or id.", autocompletion=node_names)]
ReasonOption = Annotated[str, typer.Option(help="Why; it stands in the audit trail.", metavar="TEXT")]
SessionArgument = Annotated[str, typer.Argument(metavar="ID", help="A session's id, as `list` shows it.")]


@app.command(cls=Command, short_help="Open a shell on a node.")
def start(
    node: NodeArgument,
    as_: Annotated[str, typer.Option("--as", help="The account on the node.", metavar="USER")] = "",
    document: Annotated[str, typer.Option(help="A Session document with other preferences.", metavar="NAME")] = "",
    reason: ReasonOption = "",
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Open a login shell on a node, in this terminal.

    The session outlives a lost connection and a server that is restarted: it goes on where it was. It ends with its
    shell, after the idle time and the duration that the Session document says, when somebody terminates it, and within
    seconds when you may no longer have it.

    Examples:
      opsctl session start web-1
      opsctl session start web-1 --as deploy
      echo uptime | opsctl session start web-1

    Exit status:
      that of the shell; 1 where there was none, or it was ended
    """
    from reconciler.api.channel import ClientChannel
    from reconciler.cli import terminal

    asked = {"node": node, "runAs": as_, "document": document, "reason": reason}
    with connect(server, ca, key) as client:
        session = client.start_session(asked)
        channel = ClientChannel(
            client,
            session["ticket"],
            terminal.write,
            size=terminal.size(),
            term=os.environ.get("TERM", "xterm"),
        )
        with terminal.raw():
            ended = terminal.converse(channel)
    if ended is None or ended.code is None:
        say("opsctl: the session was ended", f": {ended.reason}" if ended is not None else "", error=True)
        return 1
    return ended.code


@app.command(cls=Command, short_help="Forward a local port to a node.")
def forward(
    node: NodeArgument,
    port: Annotated[int, typer.Argument(help="The port on the node.", metavar="PORT", min=0, max=65535)] = 0,
    socket_: Annotated[
        str, typer.Option("--socket", help="A Unix socket on the node instead of a port.", metavar="PATH")
    ] = "",
    local: Annotated[
        int, typer.Option("--local", help="The port here; the same where left out, 0 for any.", metavar="PORT")
    ] = -1,
    reason: ReasonOption = "",
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Listen on a port of this machine, and lead each connection to a port (or a socket) of the node.

    Runs until it is interrupted. Who opened it, where to, and how many bytes went each way stands in the audit trail;
    what they said is not recorded.

    Examples:
      opsctl session forward db-1 5432
      opsctl session forward db-1 5432 --local 15432
      opsctl session forward web-1 --socket /run/docker.sock --local 2375
    """
    asked = {"node": node, "sort": "port", "port": port, "path": socket_, "reason": reason}
    with connect(server, ca, key) as client:
        session = client.start_session(asked)
        with socket.create_server(("127.0.0.1", port if local < 0 else local)) as listening:
            host, here = listening.getsockname()[:2]
            where = socket_ or f"port {port}"
            say(f"{host}:{here} leads to {where} of {session['node']}; session {session['session']}")
            return _serve(client, session["ticket"], listening)


@app.command("ssh-proxy", cls=Command, short_help="Be the ProxyCommand of ssh.")
def ssh_proxy(
    node: NodeArgument,
    port: Annotated[int, typer.Argument(help="The port of the node's SSH server.", metavar="PORT", min=1)] = 22,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Lead standard input and output to the node's SSH server: ssh, scp, rsync and Ansible work through it.

    `opsctl ssh-config` writes what ssh needs to find this by itself. What goes through it is SSH's own secret: it is
    audited as a forward, and its content is not recorded.

    Examples:
      ssh -o ProxyCommand='opsctl session ssh-proxy %h %p' root@web-1
    """
    from reconciler.api.channel import ClientChannel, in_background
    from reconciler.cli import terminal

    with connect(server, ca, key) as client:
        session = client.start_session({"node": node, "sort": "port", "port": port, "reason": "ssh-proxy"})
        whole = ClientChannel(client, session["ticket"], _ignored)
        in_background(whole, lambda _: None)
        channel = ClientChannel(client, session["ticket"], terminal.write, number=1)
        whole.opened.wait()
        ended = terminal.converse(channel)
        whole.leave()
    if ended is not None and ended.code is None:
        raise Unavailable(f"port {port} of {node}", ended.reason)
    return 0


@app.command("list", cls=Command, short_help="List open sessions.")
def list_(
    format_: FormatOption = Format.text, server: ServerOption = None, ca: CaOption = None, key: KeyOption = None
) -> int:
    """List the sessions that are open on nodes that you may read. Those that are over stand in the audit trail.

    Examples:
      opsctl session list
      opsctl session list --format json
    """
    with connect(server, ca, key) as client:
        rows = client.sessions()
    if format_ is Format.json:
        print_json({"format": "opsctl.sessions/v1", "sessions": rows})
        return 0
    print_table(
        ("SESSION", "NODE", "WHAT", "BY", "SINCE", "CONNECTED"),
        [
            (
                row["session"],
                row["node"],
                row["what"],
                row["subject"],
                row["startedAt"],
                "yes" if row["connected"] else "no",
            )
            for row in rows
        ],
    )
    return 0


@app.command(cls=Command, short_help="End a session.")
def terminate(session: SessionArgument, server: ServerOption = None, ca: CaOption = None, key: KeyOption = None) -> int:
    """End a session now, yours or one on a node on which you may terminate them.

    Examples:
      opsctl session terminate s-0123456789abcdef01234567
    """
    with connect(server, ca, key) as client:
        row = client.terminate(session)
    say(f"{row['session']}: ended")
    return 0


def ssh_config(
    pattern: Annotated[
        str, typer.Argument(metavar="PATTERN", help="Host names that are nodes' names, as ssh's Host takes them.")
    ] = "*",
) -> int:
    """Write the lines of ~/.ssh/config with which ssh reaches nodes through opsctl.

    Examples:
      opsctl ssh-config 'web-*' >>~/.ssh/config
    """
    say(f"Host {pattern}")
    say("    ProxyCommand opsctl session ssh-proxy %h %p")
    return 0


def _ignored(data: bytes) -> None:
    """The channel that stands for a session says nothing."""
    del data


def _serve(client: Client, ticket: Mapping[str, Any], listening: socket.socket) -> int:
    """Accept until interrupted, or until the session is over."""
    from reconciler.api.channel import ClientChannel, in_background

    over: list[str] = []

    def ended(end: Any) -> None:
        over.append(end.reason)
        listening.shutdown(socket.SHUT_RDWR)

    whole = ClientChannel(client, ticket, _ignored)
    in_background(whole, ended)
    whole.opened.wait()
    number = 0
    try:
        while not over:
            accepted, _ = listening.accept()
            number += 1
            threading.Thread(target=_lead, args=(client, ticket, number, accepted), daemon=True).start()
    except KeyboardInterrupt:
        whole.leave()
        return 0
    except OSError:
        whole.opened.wait()
    raise Refused(over[0] if over else "the session is over", "session")


def _lead(client: Client, ticket: Mapping[str, Any], number: int, local: socket.socket) -> None:
    """One connection: from here to the node and back, until both are through."""
    from reconciler.api.channel import ClientChannel, in_background

    local.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def heard(data: bytes) -> None:
        try:
            if data:
                local.sendall(data)
            else:
                local.shutdown(socket.SHUT_WR)
        except OSError:
            channel.leave()

    def over(end: Any) -> None:
        if end.code is None and end.reason:
            sys.stderr.write(f"opsctl: a connection ended: {end.reason}\n")
        with contextlib.suppress(OSError):
            local.shutdown(socket.SHUT_RDWR)

    channel: ClientChannel = ClientChannel(client, ticket, heard, number=number)
    thread = in_background(channel, over)
    channel.opened.wait()
    try:
        while data := local.recv(READ_SIZE):
            channel.send(data)
        channel.finish()
    except OSError:
        channel.leave()
    thread.join()
    local.close()
