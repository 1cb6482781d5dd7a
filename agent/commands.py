"""The agent's command line: enroll, install, upgrade, serve, once, status, doctor."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, List

import agent
from agent import DEFAULT_STATE, USER_STATE, lean, log
from agent.dial import BadAddress
from agent.identity import NotEnrolled, StateDamaged
from agent.lock import StateInUse

if TYPE_CHECKING:
    import argparse

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_DESCRIPTION = """\
The opsctl agent keeps this machine as its fleet's Git repository says. It connects to the server by itself, listens
on nothing, and goes on healing while the server is away.

  first    python3 agent.pyz enroll --server https://HOST:8443 --token-file FILE
  then     python3 agent.pyz install
"""

_EPILOG = """\
files:
  /var/lib/opsctl           keys, identity, what is held, the journal, what scripts said (--state)
  /opt/opsctl/VERSION       the installed program; /opt/opsctl/current is the version in use
  opsctl-agent.service      the systemd unit that `install` writes; its log: journalctl -u opsctl-agent

  with --non-root ~/.local/state/opsctl, ~/.local/share/opsctl/VERSION and a unit of `systemctl --user`

environment:
  https_proxy, no_proxy     an HTTP proxy to reach the server through, and hosts to reach without it
  OPSCTL_RECONNECT_MAX      longest pause between two attempts to connect, in seconds (60, or 300 after a refusal)

exit status:
  0 done   1 an error, said on standard error   2 wrong usage
"""


def run(arguments: List[str]) -> int:
    """Run one command; the exit status."""
    options = _parser().parse_args(arguments)
    if options.state is None:
        default = os.path.expanduser(USER_STATE) if options.non_root else DEFAULT_STATE
        options.state = os.path.join(options.root, default.lstrip("/"))
    options.state, options.root = os.path.abspath(options.state), os.path.abspath(options.root)
    try:
        return int(options.run(options))
    except (BadAddress, NotEnrolled, StateDamaged, StateInUse, OSError) as error:
        log.log(log.ERROR, "%s", error)
        return 1


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(
        prog="agent.pyz",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version="opsctl agent %s" % agent.__version__)
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for add in (_add_enroll, _add_install, _add_upgrade, _add_serve, _add_once, _add_status, _add_doctor):
        add(commands)
    return parser


def _command(commands: "Commands", name: str, summary: str, description: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=description)
    parser.add_argument(
        "--state", metavar="DIR", help="where the agent keeps what it must not forget (default: %s)" % DEFAULT_STATE
    )
    parser.add_argument(
        "--root", metavar="DIR", default="/", help="a sandbox: manage the files beneath DIR instead of this machine"
    )
    parser.add_argument(
        "--non-root", action="store_true", help="as an ordinary user: do what that user may, and say what needs root"
    )
    return parser


def _add_enroll(commands: "Commands") -> None:
    parser = _command(
        commands,
        "enroll",
        "give this machine an identity in a fleet",
        "Make this machine's keys and trade a join token for an identity. The token names the fleet's CA: no other"
        " server is told the secret. Safe to repeat. Make a token with `opsctl token create`.",
    )
    parser.add_argument("--server", metavar="URL", help="https://HOST:PORT; default: the servers that the token names")
    parser.add_argument(
        "--token-file", metavar="FILE", required=True, help="file that holds the token; - for standard input"
    )
    parser.add_argument("--name", metavar="NAME", help="name to enroll as, instead of the host name")
    parser.set_defaults(run=_enroll)


def _add_install(commands: "Commands") -> None:
    parser = _command(
        commands,
        "install",
        "unpack this program and let systemd run it",
        "Unpack this program under /opt/opsctl/VERSION, write a systemd unit, and start it. Repeated, it does nothing;"
        " run from a newer agent.pyz, it moves the machine to that version. With --root, nothing is started.",
    )
    parser.add_argument("--no-start", action="store_true", help="unpack and write the unit only")
    parser.set_defaults(run=_install)


def _add_upgrade(commands: "Commands") -> None:
    parser = _command(
        commands,
        "upgrade",
        "move to a newer, signed agent.pyz, and back if it does not connect",
        "Check FILE against FILE.sig and the controller key that this node pinned, unpack it beside the version in use,"
        " switch to it and restart. If the server has not acknowledged the new agent in time, go back. Sign with"
        " `opsctl agent sign FILE`.",
    )
    parser.add_argument("file", metavar="FILE", help="the newer agent.pyz; its signature lies beside it as FILE.sig")
    parser.add_argument("--allow-downgrade", action="store_true", help="take an older version too")
    parser.add_argument(
        "--wait", metavar="SECONDS", type=float, default=120.0, help="patience with the new agent (default: 120)"
    )
    parser.set_defaults(run=_upgrade)


def _add_serve(commands: "Commands") -> None:
    parser = _command(
        commands,
        "serve",
        "run until stopped",
        "Connect, converge, heal and report until SIGTERM or SIGINT. The step in progress is given a minute to end.",
    )
    _add_scripts(parser)
    parser.set_defaults(run=_serve)


def _add_once(commands: "Commands") -> None:
    parser = _command(
        commands,
        "once",
        "connect, converge once, report",
        "Connect, take what is assigned, converge, report, and end. The exit status is 0 where everything is as it"
        " should be and the server has acknowledged every report.",
    )
    parser.add_argument(
        "--wait", metavar="SECONDS", type=float, default=30.0, help="patience with the server (default: 30)"
    )
    parser.add_argument(
        "--stdio", action="store_true", help="talk with the server that started this over SSH, on standard input/output"
    )
    parser.add_argument(
        "--ephemeral", action="store_true", help="with --stdio: keep nothing, and refuse what would take a memory"
    )
    parser.add_argument(
        "--offline", action="store_true", help="ask no server: converge what is held; reports wait for the next link"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="ask no server and change nothing: say what would change"
    )
    _add_scripts(parser)
    parser.set_defaults(run=_once)


def _add_scripts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scripts", action="store_true", help="with --root: run scripts too, although they act on the whole machine"
    )


def _add_status(commands: "Commands") -> None:
    parser = _command(
        commands,
        "status",
        "who this node is, how the link is, what is held",
        "Show who this node is, how its link is, what it holds and what came of it; also while the server is away, or"
        " the agent is not running.",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.set_defaults(run=_status)


def _add_doctor(commands: "Commands") -> None:
    parser = _command(
        commands,
        "doctor",
        "what keeps this node from its server or its work, and what to do",
        "Check Python, libcrypto, clock, state, disk, keys, service, and the way to each server: name, route, proxy,"
        " TLS, CA. Works with the server down, beside a running agent, and before enrolment (--token-file). Changes"
        " nothing. The exit status is 1 where something failed.",
    )
    parser.add_argument("--server", metavar="URL", help="check this server instead of those that this node knows")
    parser.add_argument(
        "--token-file", metavar="FILE", help="before enrolment: file that holds the token; - for standard input"
    )
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=10.0, help="patience with each step (default: 10)"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.set_defaults(run=_doctor)


def _enroll(options: argparse.Namespace) -> int:
    from agent.enrolment import EnrolmentFailed, enroll

    try:
        done = enroll(options.state, _token(options.token_file), options.server, options.name)
    except EnrolmentFailed as error:
        log.log(log.ERROR, "not enrolled: %s", error)
        return 1
    found = done.identity
    print(
        "%s as %s (%s) in fleet %s"
        % ("already enrolled" if done.already else "enrolled", found.node_name, found.node_id, found.fleet_id)
    )
    return 0


def _install(options: argparse.Namespace) -> int:
    from agent.install import SYSTEM, InstallFailed, install, of_user

    state = options.state
    if options.root != "/" and state.startswith(options.root + "/"):
        state = state[len(options.root) :]  # as the installed agent will see it
    try:
        layout = of_user() if options.non_root else SYSTEM
        done = install(layout, options.root, state, start=not options.no_start)
    except InstallFailed as error:
        log.log(log.ERROR, "not installed: %s", error)
        return 1
    for change in done.changes:
        print(change)
    if not done.changes:
        print("version %s is installed already" % done.version)
    if done.started and not os.path.exists(os.path.join(options.state, "identity.json")):
        print("not enrolled yet: the service starts once `enroll` has run (systemctl start opsctl-agent)")
    return 0


def _upgrade(options: argparse.Namespace) -> int:
    from agent import identity
    from agent.install import SYSTEM, of_user
    from agent.upgrade import UpgradeRefused, check_order, installation, release, switch, watched

    try:
        here = installation(of_user() if options.non_root else SYSTEM, options.state, options.root)
        wanted = release(options.file, identity.load(options.state).controller())
        check_order(wanted.version, here.version, options.allow_downgrade)
    except UpgradeRefused as error:
        log.log(log.ERROR, "not upgraded: %s", error)
        return 1
    code = watched(lambda say: switch(here, wanted, options.wait, say))
    if code == 0:
        print("version %s is in use" % wanted.version)
    else:
        log.log(log.ERROR, "not upgraded: version %s is in use again", here.version)
    return code


def _serve(options: argparse.Namespace) -> int:
    lean.drop("argparse", "gettext")
    from agent.limits import bound_memory
    from agent.serve import serve

    _check_user(options)
    bound_memory()
    return serve(options.state, options.root, options.scripts)


def _once(options: argparse.Namespace) -> int:
    if not options.stdio:
        _check_user(options)
    if options.offline or options.dry_run:
        from agent.offline import dry_run, offline

        return (dry_run if options.dry_run else offline)(options.state, options.root, options.scripts)
    if options.stdio:
        from agent.visit import visit

        return visit(options.state, options.root, options.scripts, options.wait, options.ephemeral)
    from agent.serve import once

    return once(options.state, options.root, options.scripts, options.wait)


def _check_user(options: argparse.Namespace) -> None:
    """A machine is root's to keep; whoever else does says that it is meant."""
    if os.geteuid() != 0 and options.root == "/" and not options.non_root:
        raise PermissionError("this needs root; --non-root does what an ordinary user may, and says what it may not")


def _status(options: argparse.Namespace) -> int:
    from agent.overview import as_text, overview

    found = overview(options.state)
    print(json.dumps(found, indent=2, sort_keys=True) if options.format == "json" else as_text(found))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from agent.doctor.examine import examine
    from agent.doctor.finding import as_json, as_text, healthy

    token = None if options.token_file is None else _token(options.token_file)
    sandbox = options.root != "/"
    findings = examine(options.state, options.server, token, sandbox=sandbox, seconds=max(0.1, options.timeout))
    print(json.dumps(as_json(findings), indent=2) if options.format == "json" else as_text(findings))
    return 0 if healthy(findings) else 1


def _token(path: str) -> str:
    from agent.enrolment import TOKEN_LIMIT

    if path == "-":
        return sys.stdin.read(TOKEN_LIMIT)
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read(TOKEN_LIMIT)
