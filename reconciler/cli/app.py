"""The program: its commands, and the one place where a problem becomes a message and an exit code.

0 done; 1 any other error; 2 the user's files or usage. Under `plan --detailed-exitcode` 2 means changes and nothing
else, and every error is 1.
"""

from __future__ import annotations

import sys

import click
import typer

from reconciler import __version__
from reconciler.cli import agent, apply, explain, init, node, plan, serve, status, token, validate
from reconciler.cli.output import console
from reconciler.core.problem import Invalid, Problem

app = typer.Typer(
    name="opsctl",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Run a fleet of servers from a Git repository.",
    epilog="Start with `opsctl init DIR`, then `opsctl validate` and `opsctl plan` inside it.",
)
app.command("init")(init.init)
app.command("validate")(validate.validate)
app.command("plan")(plan.plan)
app.command("apply")(apply.apply)
app.command("serve")(serve.serve)
app.command("status")(status.status)
app.command("explain")(explain.explain)
app.add_typer(node.app, name="node")
app.add_typer(token.app, name="token")
app.add_typer(agent.app, name="agent")


def _show_version(value: bool) -> None:
    if value:
        sys.stdout.write(f"opsctl {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
) -> None:
    """Run a fleet of servers from a Git repository."""


def run() -> None:
    """Run the command line and exit."""
    sys.exit(exit_code(sys.argv[1:]))


def exit_code(arguments: list[str]) -> int:
    """Run the command line; what the process exits with."""
    usage = 1 if "--detailed-exitcode" in arguments else 2
    command = typer.main.get_command(app)
    try:
        outcome = command.main(arguments, prog_name="opsctl", standalone_mode=False)
    except Invalid as problem:
        console(error=True).print(str(problem), style="red")
        return usage
    except Problem as problem:
        console(error=True).print(f"opsctl: {problem}", style="red")
        return 1
    except click.ClickException as error:
        error.show()
        return usage
    except (click.Abort, KeyboardInterrupt):
        console(error=True).print("opsctl: stopped")
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return outcome if isinstance(outcome, int) else 0
