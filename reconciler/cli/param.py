"""`opsctl param`: what parameters there are."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect
from reconciler.cli.manual import Command, Group
from reconciler.cli.output import Format, FormatOption, print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.engine.parameter_views import View

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="Parameter Store: configuration and secrets, as the config repository has them below parameters/.",
)

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A parameter's name, as /prod/db/url; :VERSION or :LABEL may follow.")
]
PathArgument = Annotated[str, typer.Argument(metavar="PATH", help="A level of the hierarchy, as /prod.")]
RepoOption = Annotated[
    Path | None,
    typer.Option("--repo", metavar="DIR", help="The config repository's working tree.", show_default="here"),
]
DecryptOption = Annotated[bool, typer.Option("--with-decryption", help="Show what is encrypted.")]


class PathFormat(StrEnum):
    """What `get-by-path --format` takes."""

    text = "text"
    json = "json"
    dotenv = "dotenv"
    yaml = "yaml"


class Parameters(Protocol):
    """Parameters as they are shown, here or at a server. Raises `Refused` for what is not there."""

    def one(self, name: str, *, decrypt: bool) -> View: ...
    def below(self, path: str, *, recursive: bool, decrypt: bool) -> list[View]: ...
    def history(self, name: str, *, decrypt: bool) -> list[View]: ...


@contextmanager
def parameters(repo: Path | None, server: str | None, ca: Path | None, key: Path | None) -> Iterator[Parameters]:
    """Those of the server, where one is named and no repository is; else those of the repository."""
    if server is not None and repo is None:
        with connect(server, ca, key) as client:
            yield client.parameters
        return
    from reconciler.wiring.parameters import opened

    with opened(repo or Path()) as library:
        yield library.book


@app.command(cls=Command, short_help="Show a parameter's value.")
def get(
    name: NameArgument,
    with_decryption: DecryptOption = False,
    repo: RepoOption = None,
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Show a parameter's value and nothing else; with --format json all that is known of it, as `aws ssm get-parameter`
    does.

    It is read from the repository's files as they lie there, or as the server has them in force. A SecureString's value
    is its ciphertext unless --with-decryption is given: then it takes a private key here, or the verb `decrypt` there.

    Examples:
      opsctl param get /prod/db/url
      opsctl param get /prod/db/url:3
      opsctl param get /prod/db/password --with-decryption
      opsctl param get /prod/db/url --format json | jq -r .Parameter.Value
    """
    with parameters(repo, server, ca, key) as known:
        found = known.one(name, decrypt=with_decryption)
    if format_ is Format.json:
        print_json({"format": "opsctl.parameter/v1", "Parameter": found})
    else:
        _print_value(found["Value"])
    return 0


@app.command("get-by-path", cls=Command, short_help="Show parameters below a level.")
def get_by_path(
    path: PathArgument,
    recursive: Annotated[bool, typer.Option("--recursive", help="All levels below, not only the next.")] = False,
    with_decryption: DecryptOption = False,
    repo: RepoOption = None,
    format_: Annotated[PathFormat, typer.Option("--format", help="How to show them.")] = PathFormat.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Show the parameters below a level of the hierarchy with their values.

    Examples:
      opsctl param get-by-path /prod --recursive
      opsctl param get-by-path /prod/web --format dotenv --with-decryption > .env
    """
    from reconciler.engine import environment

    with parameters(repo, server, ca, key) as known:
        found = known.below(path, recursive=recursive, decrypt=with_decryption)
    if format_ is PathFormat.json:
        print_json({"format": "opsctl.parameters/v1", "Parameters": found})
    elif format_ is PathFormat.dotenv:
        sys.stdout.write(environment.dotenv(environment.variables(found, path)))
    elif format_ is PathFormat.yaml:
        sys.stdout.write(environment.yaml_tree(found))
    else:
        print_table(("NAME", "TYPE", "VALUE"), [(row["Name"], row["Type"], row["Value"]) for row in found])
    return 0


@app.command(cls=Command, short_help="Show every version of a parameter.")
def history(
    name: NameArgument,
    with_decryption: DecryptOption = False,
    repo: RepoOption = None,
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Show every version of a parameter, its labels, and which commit made it.

    A version is a change of the value in the first-parent history; of a SecureString, of its ciphertext.

    Examples:
      opsctl param history /prod/db/url
    """
    with parameters(repo, server, ca, key) as known:
        found = known.history(name, decrypt=with_decryption)
    if format_ is Format.json:
        print_json({"format": "opsctl.parameters/v1", "Parameters": found})
        return 0
    rows = [
        (
            str(row["Version"]),
            row["LastModifiedDate"] or "not committed",
            row["LastModifiedUser"],
            row["Commit"][:12],
            ", ".join(row["Labels"]),
            row["Value"],
        )
        for row in found
    ]
    print_table(("VERSION", "AT", "BY", "COMMIT", "LABELS", "VALUE"), rows, numbers=frozenset({"VERSION"}))
    return 0


@app.command("list", cls=Command, short_help="List parameters.")
def list_(
    path: Annotated[str, typer.Option("--path", metavar="PATH", help="Only those below.")] = "/",
    repo: RepoOption = None,
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """List parameters without their values.

    Examples:
      opsctl param list
      opsctl param list --path /prod --format json
    """
    from reconciler.engine.parameter_views import described

    with parameters(repo, server, ca, key) as known:
        found = described(known.below(path, recursive=True, decrypt=False))
    _list(found, format_)
    return 0


@app.command(cls=Command, short_help="Find parameters by a text.")
def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Part of a name, a description or a value.")],
    repo: RepoOption = None,
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Find parameters by part of their name, their description or, but for SecureStrings, their value.

    Examples:
      opsctl param search password
    """
    from reconciler.engine.parameter_views import described, matching

    with parameters(repo, server, ca, key) as known:
        found = described(matching(known.below("/", recursive=True, decrypt=False), text))
    _list(found, format_)
    return 0 if found else 1


def _list(found: Iterable[dict[str, Any]], format_: Format) -> None:
    if format_ is Format.json:
        print_json({"format": "opsctl.parameters/v1", "Parameters": list(found)})
        return
    rows = [
        (row["Name"], row["Type"], str(row["Version"]), row["LastModifiedDate"] or "not committed", row["File"])
        for row in found
    ]
    print_table(("NAME", "TYPE", "VERSION", "CHANGED", "FILE"), rows, numbers=frozenset({"VERSION"}))


def _print_value(value: str) -> None:
    """As it is, for a program; made printable, for a person."""
    if sys.stdout.isatty():
        for line in value.split("\n"):
            say(line)
    else:
        sys.stdout.write(value + "\n")
