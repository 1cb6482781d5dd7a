"""The agent's command line: enroll, install, upgrade, serve, once, status, doctor."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Tuple

import agent
from agent import DEFAULT_STATE, USER_STATE, lean, log
from agent.contract.record import NamedTuple
from agent.link.dial import BadAddress
from agent.state.identity import NotEnrolled, StateDamaged
from agent.state.lock import StateInUse

if TYPE_CHECKING:
    import argparse

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
    for command in _COMMANDS:
        added = commands.add_parser(command.name, help=command.summary, description=command.description)
        for name, how in (*_COMMON, *command.arguments):
            added.add_argument(name, **how)
        added.set_defaults(run=command.run)
    return parser


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
    from agent.install import SYSTEM, of_user
    from agent.state import identity
    from agent.upgrade import UpgradeRefused, check_order, installation, release, switch, watched

    try:
        here = installation(of_user() if options.non_root else SYSTEM, options.state, options.root)
        file = options.file or _offered(options, here.version)
        if not file:
            return 0
        wanted = release(file, identity.load(options.state).controller())
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


def _offered(options: argparse.Namespace, present: str) -> str:
    """The file of the archive that the server offers; empty where that version is in use. Raises UpgradeRefused."""
    from agent.offered import Offered
    from agent.upgrade import UpgradeRefused

    found = Offered(options.state)
    version = found.offer.version
    if options.version and options.version != version:
        raise UpgradeRefused("the server offers version %s, not %s" % (version, options.version))
    if version == present:
        print("version %s is in use already" % version)
        return ""
    return found.fetched()


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


class _Argument(NamedTuple):
    """One that a command takes; `how` is what argparse is told of it."""

    name: str
    how: Dict[str, Any]


class _Command(NamedTuple):
    """`run` does it, and gives the exit status."""

    name: str
    run: Callable[[argparse.Namespace], int]
    summary: str
    description: str
    arguments: Tuple[_Argument, ...]


def _argument(name: str, meaning: str, **how: Any) -> _Argument:
    return _Argument(name, dict(how, help=meaning))


def _flag(name: str, meaning: str) -> _Argument:
    return _argument(name, meaning, action="store_true")


def _seconds(name: str, default: float, meaning: str) -> _Argument:
    return _argument(name, "%s (default: %g)" % (meaning, default), metavar="SECONDS", type=float, default=default)


_COMMON = (
    _argument("--state", "where the agent keeps what it must not forget (default: %s)" % DEFAULT_STATE, metavar="DIR"),
    _argument("--root", "a sandbox: manage the files beneath DIR instead of this machine", metavar="DIR", default="/"),
    _flag("--non-root", "as an ordinary user: do what that user may, and say what needs root"),
)
_SCRIPTS = _flag("--scripts", "with --root: run scripts too, although they act on the whole machine")
_FORMAT = _argument("--format", "default: text", choices=("text", "json"), default="text")
_COMMANDS = (
    _Command(
        "enroll",
        _enroll,
        "give this machine an identity in a fleet",
        "Make this machine's keys and trade a join token for an identity. The token names the fleet's CA: no other"
        " server is told the secret. Safe to repeat. Make a token with `opsctl token create`.",
        (
            _argument("--server", "https://HOST:PORT; default: the servers that the token names", metavar="URL"),
            _argument("--token-file", "file that holds the token; - for standard input", metavar="FILE", required=True),
            _argument("--name", "name to enroll as, instead of the host name", metavar="NAME"),
        ),
    ),
    _Command(
        "install",
        _install,
        "unpack this program and let systemd run it",
        "Unpack this program under /opt/opsctl/VERSION, write a systemd unit, and start it. Repeated, it does nothing;"
        " run from a newer agent.pyz, it moves the machine to that version. With --root, nothing is started.",
        (_flag("--no-start", "unpack and write the unit only"),),
    ),
    _Command(
        "upgrade",
        _upgrade,
        "move to a newer, signed agent.pyz, and back if it does not connect",
        "Check FILE against FILE.sig and the controller key that this node pinned, unpack it beside the version in use,"
        " switch to it and restart. If the server has not acknowledged the new agent in time, go back. Sign with"
        " `opsctl agent sign FILE`.",
        (
            _argument(
                "file",
                "the newer agent.pyz; its signature lies beside it as FILE.sig (default: what the server offers)",
                metavar="FILE",
                nargs="?",
                default="",
            ),
            _argument("--version", "without FILE: only this version", metavar="VERSION", default=""),
            _flag("--allow-downgrade", "take an older version too"),
            _seconds("--wait", 120.0, "patience with the new agent"),
        ),
    ),
    _Command(
        "serve",
        _serve,
        "run until stopped",
        "Connect, converge, heal and report until SIGTERM or SIGINT. The step in progress is given a minute to end.",
        (_SCRIPTS,),
    ),
    _Command(
        "once",
        _once,
        "connect, converge once, report",
        "Connect, take what is assigned, converge, report, and end. The exit status is 0 where everything is as it"
        " should be and the server has acknowledged every report.",
        (
            _seconds("--wait", 30.0, "patience with the server"),
            _flag("--stdio", "talk with the server that started this over SSH, on standard input/output"),
            _flag("--ephemeral", "with --stdio: keep nothing, and refuse what would take a memory"),
            _flag("--offline", "ask no server: converge what is held; reports wait for the next link"),
            _flag("--dry-run", "ask no server and change nothing: say what would change"),
            _SCRIPTS,
        ),
    ),
    _Command(
        "status",
        _status,
        "who this node is, how the link is, what is held",
        "Show who this node is, how its link is, what it holds and what came of it; also while the server is away, or"
        " the agent is not running.",
        (_FORMAT,),
    ),
    _Command(
        "doctor",
        _doctor,
        "what keeps this node from its server or its work, and what to do",
        "Check Python, libcrypto, clock, state, disk, keys, service, and the way to each server: name, route, proxy,"
        " TLS, CA. Works with the server down, beside a running agent, and before enrolment (--token-file). Changes"
        " nothing. The exit status is 1 where something failed.",
        (
            _argument("--server", "check this server instead of those that this node knows", metavar="URL"),
            _argument(
                "--token-file", "before enrolment: file that holds the token; - for standard input", metavar="FILE"
            ),
            _seconds("--timeout", 10.0, "patience with each step"),
            _FORMAT,
        ),
    ),
)
