"""Documents as rows: of lists, of what lint says, of tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.cli.findings import view
from reconciler.cli.output import line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from reconciler.cli.ssm_documents import LintedDocument, ListedDocument, NeedView
    from reconciler.documents.document import Reading
    from reconciler.documents.lint import Linted
    from reconciler.documents.needs import Need
    from reconciler.wiring.library import Shelved

_LONGEST = 100


def listed(shelved: Shelved, reading: Reading) -> ListedDocument:
    """A document in a list, also one that is not valid."""
    from reconciler.documents.needs import needs

    document = reading.document
    return {
        "name": shelved.name,
        "type": document.type if document else "",
        "schemaVersion": version(reading),
        "owner": shelved.owner,
        "path": shelved.path,
        "description": (document.content.description or "") if document else "",
        "runnable": document is not None and not needs(document),
    }


def version(reading: Reading) -> str:
    """The schemaVersion as it is written; empty where there is none."""
    found = reading.tree.get("schemaVersion") if isinstance(reading.tree, dict) else None
    return str(found) if isinstance(found, str) else ""


def linted(file: str, found: Linted) -> LintedDocument:
    """What lint says of a file."""
    return {
        "file": file,
        "parsed": found.parsed,
        "errors": [view(finding) for finding in found.errors],
        "warnings": [view(finding) for finding in found.warnings],
        "needs": [need_view(need) for need in found.needs],
        "runnable": found.runnable,
    }


def need_view(need: Need) -> NeedView:
    """What a step needs."""
    return {
        "step": need.step,
        "action": need.action,
        "needs": need.what,
        "message": need.message,
        "line": need.place.line,
        "column": need.place.column,
    }


def need_line(need: Need) -> str:
    """What a step needs, for people, without its place."""
    who = f"step `{need.step}` ({need.action}): " if need.step else ""
    return f"needs {need.what}: {who}{need.message}"


def lint_lines(found: Linted) -> Iterator[Text]:
    """What lint says of a file, for people."""
    for finding in (*found.errors, *found.warnings):
        yield line((str(finding), "red" if finding.severity == "error" else "yellow"))
    for need in found.needs:
        yield line(f"{need.place}: {need_line(need)}")


def brief(text: str) -> str:
    """The first line of a text, shortened."""
    first = next((line for line in text.lstrip("# \n").split("\n") if line.strip()), "")
    return first if len(first) <= _LONGEST else first[: _LONGEST - 3] + "..."


def default(form: dict[str, Any]) -> str:
    """A parameter's default for a table."""
    if form["required"]:
        return "required"
    value = form["default"]
    return brief(value) if isinstance(value, str) else _json(value)


def takes(form: dict[str, Any]) -> str:
    """What a parameter takes besides its type, for a table."""
    parts = []
    if "allowedValues" in form:
        parts.append(", ".join(value if isinstance(value, str) else _json(value) for value in form["allowedValues"]))
    if form.get("allowedPattern"):
        parts.append(form["allowedPattern"])
    for noun, words in (("Chars", "characters"), ("Items", "items"), ("Value", "")):
        least, most = form.get(f"min{noun}"), form.get(f"max{noun}")
        if least is not None or most is not None:
            bounds = f"{'' if least is None else least}..{'' if most is None else most}"
            parts.append(f"{bounds} {words}".rstrip())
    return "; ".join(parts)


def _json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
