"""The program: its commands, and the one place where a problem becomes a message and an exit code.

0 done; 1 any other error; 2 the user's files or usage. Under `plan --detailed-exitcode` 2 means changes and nothing
else, and every error is 1. Commands import what they need when they run, so that help and completion come at once.
"""

from __future__ import annotations

import io
import sys
import traceback

import typer

from reconciler import __version__
from reconciler.cli import (
    agent,
    apply,
    automation,
    document,
    document_run,
    execute,
    explain,
    init,
    inventory,
    node,
    param,
    param_edit,
    plan,
    secret,
    serve,
    session,
    status,
    token,
    validate,
    who_can_read,
)
from reconciler.cli import run as run_
from reconciler.cli.manual import WIDTH, Command, Group
from reconciler.cli.output import print_json, say
from reconciler.core.problem import Defect, Invalid, Problem, Unavailable

app = typer.Typer(
    name="opsctl",
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)


def _show_version(value: bool) -> None:
    if value:
        sys.stdout.write(f"opsctl {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
) -> None:
    """Run a fleet of servers from a Git repository: what they should be is committed, agents make it so and keep it so,
    and what came of it is committed back.

    Start with:
      opsctl init config          a repository to begin with
      opsctl validate config      every error at once
      opsctl plan --repo config   what it means, machine by machine

    Exit status:
      0  done
      1  any other error: refused, not available, or a machine that failed
      2  your files or the command itself are wrong

    Environment:
      OPSCTL_SERVER  the server to talk to, as --server
      OPSCTL_CA      its ca.pem, as --ca
      OPSCTL_KEY     the SSH key that you sign with, as --key
      NO_COLOR       no colour, whatever its value
    """


for _name, _function, _brief in (
    ("init", init.init, "Make a config repository to begin with."),
    ("validate", validate.validate, "Check a working tree: every error at once."),
    ("plan", plan.plan, "Show what would change, where, with every diff."),
    ("apply", apply.apply, "Bring a commit into force now, and wait."),
    ("status", status.status, "Show where the fleet stands."),
    ("explain", explain.explain, "Say why something is on a machine as it is."),
):
    app.command(_name, cls=Command, short_help=_brief)(_function)
app.command("inventory", cls=Command, short_help="Show what a node collected about itself.")(inventory.inventory)
app.add_typer(node.app, name="node", short_help="The machines: list, show, retire.")
document.app.command("run", cls=Command, short_help="Run a document on nodes, once.")(document_run.run)
app.add_typer(document.app, name="document", short_help="SSM documents: run, list, describe, lint, show, draw.")
app.add_typer(automation.app, name="automation", short_help="Automation documents: start, show, approve, stop.")
app.add_typer(run_.app, name="run", short_help="Run a command on nodes, now; list, follow, retry, cancel.")
secret.app.command("who-can-read", cls=Command, short_help="List what can read a secret.")(who_can_read.who_can_read)
app.add_typer(secret.app, name="secret", short_help="Secrets in Git: init, edit, verify, recipients.")
param.app.command("put", cls=Command, short_help="Give a parameter a value.")(param_edit.put)
param.app.command("rm", cls=Command, short_help="Remove a parameter.")(param_edit.rm)
param.app.command("mv", cls=Command, short_help="Rename a parameter.")(param_edit.mv)
param.app.command("label", cls=Command, short_help="Label a version of a parameter.")(param_edit.label)
app.command("exec", cls=Command, short_help="Run a program with parameters as its environment.")(execute.execute)
app.add_typer(param.app, name="param", short_help="Parameters: get, put, list, search, label.")
app.add_typer(session.app, name="session", short_help="Shells and ports on nodes: start, forward, list, terminate.")
app.command("ssh-config", cls=Command, short_help="Write what ssh needs to reach nodes.")(session.ssh_config)
app.add_typer(token.app, name="token", short_help="Join tokens for new machines.")
app.command("serve", cls=Command, short_help="Run the daemon.")(serve.serve)
app.add_typer(agent.app, name="agent", short_help="The program that runs on machines.")


def run() -> None:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(exit_code(sys.argv[1:]))


def exit_code(arguments: list[str]) -> int:
    """Run the command line; what the process exits with."""
    misused = 1 if "--detailed-exitcode" in arguments else 2
    try:
        outcome = typer.main.get_command(app).main(arguments, prog_name="opsctl", standalone_mode=False)
    except Problem as problem:
        _tell(problem, arguments)
        return misused if isinstance(problem, Invalid) else 1
    except typer.TyperException as error:
        error.show()  # type: ignore[attr-defined]  # it is click's, by another name
        return misused
    except typer.Abort:
        say("opsctl: stopped", error=True)
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        _tell(Unavailable(error.filename or "the operating system", error.strerror or str(error)), arguments)
        return 1
    except Exception as error:
        traceback.print_exc()
        _tell(Defect(f"{type(error).__name__}: {error}; please report it with the lines above"), arguments)
        return 1
    return outcome if isinstance(outcome, int) else 0


def _tell(problem: Problem, arguments: list[str]) -> None:
    """To people on standard error; to a program that asked for JSON, as a document besides."""
    for text in str(problem).split("\n"):
        say((text if isinstance(problem, Invalid) else f"opsctl: {text}", "red"), error=True)
    if "json" in arguments or "--format=json" in arguments:
        from reconciler.api.problems import to_json

        print_json({"format": "opsctl.problem/v1", **to_json(problem)})
