"""`opsctl document`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import document_views as views
from reconciler.cli.manual import Command, Group
from reconciler.cli.output import Format, FormatOption, counted, print_json, print_table, say, say_lines

if TYPE_CHECKING:
    from reconciler.documents.document import Document, Reading
    from reconciler.documents.lint import Linted

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="SSM documents: Command, Automation, Session, Policy and Package, as they are written for AWS.",
)


class Drawing(StrEnum):
    """What `graph --format` takes."""

    mermaid = "mermaid"
    svg = "svg"


def _names(context: typer.Context, incomplete: str) -> list[str]:
    """For shell completion."""
    from reconciler.wiring.library import every

    repo = context.params.get("repo")
    return [shelved.name for shelved in every(Path(repo or ".")) if shelved.name.startswith(incomplete)]


RepoOption = Annotated[
    Path, typer.Option("--repo", metavar="DIR", help="The config repository's working tree.", show_default="here")
]
NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A document's name, or its file.", autocompletion=_names)
]


@app.command("list", cls=Command, short_help="List the documents there are.")
def list_(repo: RepoOption = Path(), format_: FormatOption = Format.text) -> int:
    """List the documents of the repository and those that are built in.

    One of the repository takes the place of one of the same name that is built in.

    Examples:
      opsctl document list
      opsctl document list --repo config --format json
    """
    from reconciler.wiring.library import every

    rows = [views.listed(shelved, shelved.read()) for shelved in every(repo)]
    if format_ is Format.json:
        print_json({"format": "opsctl.documents/v1", "documents": rows})
        return 0
    print_table(
        ("NAME", "TYPE", "SCHEMA", "FROM", "WHAT"),
        [
            (
                row["name"],
                row["type"] or ("not valid", "red"),
                row["schemaVersion"],
                row["owner"] or row["path"],
                views.brief(row["description"]),
            )
            for row in rows
        ],
    )
    return 0


@app.command(cls=Command, short_help="Say what a document takes and needs.")
def describe(name: NameArgument, repo: RepoOption = Path(), format_: FormatOption = Format.text) -> int:
    """Say what a document is for, which parameters it takes, and what it needs that is not here.

    Examples:
      opsctl document describe AWS-RunShellScript
      opsctl document describe documents/backup.yaml --format json

    Exit status:
      0  done
      1  there is no such document
      2  it is not valid
    """
    from reconciler.documents.needs import needs
    from reconciler.documents.normal import parameter_form
    from reconciler.wiring.library import one

    shelved = one(name, repo)
    reading = shelved.read()
    document = _valid(reading)
    parameters = {key: parameter_form(declared) for key, declared in document.parameters.items()}
    lacking = needs(document)
    if format_ is Format.json:
        found = {"format": "opsctl.description/v1", **views.listed(shelved, reading), "parameters": parameters}
        print_json({**found, "needs": [views.need_view(need) for need in lacking]})
        return 0
    say((document.name, "bold"), f"  {document.type} {views.version(reading)}, {shelved.owner or shelved.path}")
    for line in (document.content.description or "").rstrip().split("\n"):
        say(line)
    if parameters:
        say("")
        print_table(
            ("PARAMETER", "TYPE", "DEFAULT", "TAKES", "WHAT"),
            [
                (key, form["type"], views.default(form), views.takes(form), views.brief(form.get("description", "")))
                for key, form in parameters.items()
            ],
        )
    for need in lacking:
        say((views.need_line(need), "yellow"))
    return 0


@app.command(cls=Command, short_help="Show a document's normal form.")
def show(name: NameArgument, repo: RepoOption = Path(), format_: FormatOption = Format.text) -> int:
    """Show the normal form of a document, the same for every schemaVersion: parameters with their defaults as values,
    steps in order with their inputs, every way that control may flow, outputs.

    Examples:
      opsctl document show restart-web
      opsctl document show runbook.yaml --format json

    Exit status:
      0  done
      1  there is no such document
      2  it is not valid
    """
    from reconciler.documents.normal import normal
    from reconciler.wiring.library import one

    reading = one(name, repo).read()
    form = normal(_valid(reading), reading.tree or {})
    if format_ is Format.json:
        print_json({"format": "opsctl.document/v1", **form})
        return 0
    import yaml

    told = {key: value for key, value in form.items() if value}
    for line in yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=120).splitlines():
        say(line)
    return 0


@app.command(cls=Command, short_help="Check documents, and say what they need.")
def lint(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Documents, YAML or JSON.")],
    format_: FormatOption = Format.text,
) -> int:
    """Check documents: every error at once as FILE:LINE:COLUMN, and step by step what they need that is not here.

    Examples:
      opsctl document lint documents/*.yaml
      opsctl document lint runbook.json --format json

    Exit status:
      0  no file has an error; some may need what is not here
      2  a file has an error, or cannot be read
    """
    found = [(str(file), _linted(file)) for file in files]
    wrong = any(linted.errors for _, linted in found)
    if format_ is Format.json:
        print_json({"format": "opsctl.lint/v1", "documents": [views.linted(file, linted) for file, linted in found]})
        return 2 if wrong else 0
    say_lines(told for _, linted in found for told in views.lint_lines(linted))
    every = [linted for _, linted in found]
    verdict = (
        counted(len(every), "file"),
        counted(sum(len(linted.errors) for linted in every), "error"),
        counted(sum(len(linted.warnings) for linted in every), "warning"),
        f"{sum(linted.runnable for linted in every)} runnable here",
    )
    say((", ".join(verdict), "bold red" if wrong else "bold green"))
    return 2 if wrong else 0


def _linted(file: Path) -> Linted:
    from reconciler.core.problem import Finding, Place, Unavailable
    from reconciler.documents.lint import Linted, lint
    from reconciler.wiring.library import of_file

    try:
        return lint(of_file(file).data, str(file))
    except Unavailable as error:
        return Linted(parsed=False, errors=(Finding(f"it cannot be read: {error.why}", Place(str(file))),))


@app.command(cls=Command, short_help="Draw a document.")
def graph(
    name: NameArgument,
    repo: RepoOption = Path(),
    drawing: Annotated[Drawing, typer.Option("--format", help="How to draw it.")] = Drawing.mermaid,
) -> int:
    """Draw the steps of a document and every way between them: for Mermaid, which Git hosts draw within Markdown, or as
    a picture.

    Examples:
      opsctl document graph restart-web
      opsctl document graph runbook.yaml --format svg > runbook.svg

    Exit status:
      0  done
      1  there is no such document
      2  it is not valid
    """
    from reconciler.cli.printable import printable
    from reconciler.documents.graph import graph as graph_of
    from reconciler.documents.graph import mermaid
    from reconciler.documents.picture import svg
    from reconciler.wiring.library import one

    drawn = graph_of(_valid(one(name, repo).read()))
    text = svg(drawn) if drawing is Drawing.svg else mermaid(drawn)
    sys.stdout.write(printable(text, "\n"))
    return 0


def _valid(reading: Reading) -> Document:
    from reconciler.core.problem import Invalid

    if reading.document is None:
        raise Invalid(reading.findings)
    return reading.document
