"""`opsctl param put`, `rm`, `mv` and `label`: edits of the repository's files, committed."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.output import Format, FormatOption, print_json, say
from reconciler.cli.param import NameArgument
from reconciler.core.problem import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.wiring.parameter_edits import Edits

RepoOption = Annotated[
    Path, typer.Option("--repo", metavar="DIR", help="The config repository's working tree.", show_default="here")
]
NoCommitOption = Annotated[bool, typer.Option("--no-commit", help="Write the files and commit nothing.")]
PrOption = Annotated[bool, typer.Option("--pr", help="Push a branch to be reviewed; change nothing here.")]


class Type(StrEnum):
    """What `put --type` takes."""

    string = "String"
    string_list = "StringList"
    secure_string = "SecureString"


def put(
    name: NameArgument,
    value: Annotated[
        str | None,
        typer.Option(help="The value, unless it is a secret; items of a StringList with commas.", metavar="VALUE"),
    ] = None,
    type_: Annotated[Type, typer.Option("--type", help="What it is.")] = Type.string,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Also where it has a value.")] = False,
    file: Annotated[str, typer.Option(help="Where a new one is to stand, as parameters/prod.yaml.")] = "",
    no_commit: NoCommitOption = False,
    pr: PrOption = False,
    repo: RepoOption = Path(),
    format_: FormatOption = Format.text,
) -> int:
    """Give a parameter a value, and commit that. The rest of the file stays as it is, comments and order too.

    Without --value it is asked for, or read from standard input. A SecureString's value always is: it never stands in
    a command line. It goes into a file that SOPS encrypts, to the recipients that .sops.yaml names for it.

    Examples:
      opsctl param put /prod/db/url --value postgres://db/shop --overwrite
      opsctl param put /prod/zones --type StringList --value a,b,c
      opsctl param put /prod/db/password --type SecureString
      pwgen -s 40 1 | opsctl param put /prod/db/password --type SecureString
      opsctl param put /prod/zones --type StringList --value a,b --overwrite --pr
    """
    secure = type_ is Type.secure_string
    if secure and value is not None:
        raise Refused(
            "a secret does not belong in a command line", "secrets", "leave --value out: it is asked for, or read"
        )
    text = value if value is not None else _asked(name, secure=secure)
    given = text.split(",") if type_ is Type.string_list else text

    def edit(edits: Edits) -> str:
        return "Put " + edits.put(name, given, secure=secure, overwrite=overwrite, file=file)

    return _made(edit, repo, format_, no_commit=no_commit, pr=pr)


def rm(
    name: NameArgument,
    no_commit: NoCommitOption = False,
    pr: PrOption = False,
    repo: RepoOption = Path(),
    format_: FormatOption = Format.text,
) -> int:
    """Remove a parameter, and commit that. Refused while something refers to it.

    Examples:
      opsctl param rm /prod/db/url
    """
    return _made(lambda edits: "Remove " + edits.remove(name), repo, format_, no_commit=no_commit, pr=pr)


def mv(
    name: NameArgument,
    other: Annotated[str, typer.Argument(metavar="NEW", help="Its name from now on.")],
    no_commit: NoCommitOption = False,
    pr: PrOption = False,
    repo: RepoOption = Path(),
    format_: FormatOption = Format.text,
) -> int:
    """Rename a parameter, and commit that. Refused while something refers to its old name.

    Its versions begin anew. A SecureString is decrypted and encrypted again: its new place is part of what is sealed.

    Examples:
      opsctl param mv /prod/db/url /prod/shop/db-url
    """
    return _made(lambda edits: f"Rename {name} to {edits.move(name, other)}", repo, format_, no_commit=no_commit, pr=pr)


def label(
    name: NameArgument,
    labels: Annotated[list[str], typer.Option("--labels", "-l", help="A label; again for others.", metavar="LABEL")],
    version: Annotated[int | None, typer.Option(help="The version; the newest where left out.", metavar="N")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the labels away.")] = False,
    no_commit: NoCommitOption = False,
    pr: PrOption = False,
    repo: RepoOption = Path(),
    format_: FormatOption = Format.text,
) -> int:
    """Let a label name a version, and commit that. What had the label before has it no more.

    Labels stand in a resource of kind Parameter; it is added to parameters/described.yaml where there is none.

    Examples:
      opsctl param label /prod/db/url -l live
      opsctl param label /prod/db/url --version 2 -l rollback
      opsctl param label /prod/db/url -l rollback --remove
    """

    def edit(edits: Edits) -> str:
        if remove:
            return f"Take {', '.join(labels)} from {edits.unlabel(name, labels)}"
        number = version or edits.newest(name)
        return f"Label version {number} of {edits.label(name, number, labels)} {', '.join(labels)}"

    return _made(edit, repo, format_, no_commit=no_commit, pr=pr)


def _asked(name: str, *, secure: bool) -> str:
    """The value, from whoever is there: a person, unseen where it is a secret, or a program."""
    if not sys.stdin.isatty():
        return sys.stdin.read().removesuffix("\n")
    if secure:
        import getpass

        first = getpass.getpass(f"Value of {name}: ")
        if getpass.getpass("Again: ") != first:
            raise Refused("the two values differ", "secrets")
        return first
    return str(typer.prompt(f"Value of {name}"))


def _made(edit: Callable[[Edits], str], repo: Path, format_: Format, *, no_commit: bool, pr: bool) -> int:
    from reconciler.wiring.parameters import edited

    done = edited(repo, edit, commit=not no_commit, propose=pr)
    if format_ is Format.json:
        print_json(
            {
                "format": "opsctl.parameter-change/v1",
                "files": list(done.files),
                "message": done.message,
                "commit": done.commit,
                "branch": done.branch,
            }
        )
    else:
        where = f" on {done.branch}" if done.branch else ""
        what = f"commit {done.commit[:12]}{where}" if done.commit else "not committed"
        say(f"{done.message}: ", ", ".join(done.files), (f" ({what})", "dim"))
    return 0
