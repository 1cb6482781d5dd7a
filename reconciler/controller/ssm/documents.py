"""Documents: those of the repository, and behind them those that are built in."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from reconciler.controller.document_orders import OF_THE_REPOSITORY
from reconciler.controller.ssm import given as ask
from reconciler.documents.runbook import references

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.controller.automation.work import Work
    from reconciler.controller.ssm.house import House
    from reconciler.documents.document import Document

View = dict[str, Any]
_FORMATS = {"json": "JSON", "yaml": "YAML", "yml": "YAML"}


def show(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """A document with its text, as it was written."""
    document = _named(house, work, given)
    content = house.shelf.text(document).decode("utf-8", "replace")
    return {**_head(document), "Status": "Active", "Content": content, "DisplayName": document.name}


def described(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """A document without its text."""
    document = _named(house, work, given)
    text = house.shelf.text(document)
    parameters = [
        {
            "Name": name,
            "Type": getattr(declared, "type", "String"),
            "Description": getattr(declared, "description", "") or "",
            **({"DefaultValue": references.written(default)} if (default := declared.default) is not None else {}),
        }
        for name, declared in document.parameters.items()
    ]
    more = {
        "Hash": hashlib.sha256(text).hexdigest(),
        "HashType": "Sha256",
        "Status": "Active",
        "Description": getattr(document.content, "description", "") or "",
        "Parameters": parameters,
        "LatestVersion": "1",
        "DefaultVersion": "1",
    }
    return {"Document": {**_head(document), **more}}


def listed(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """Documents by name."""
    house.permissions.check(work.subject, "read", OF_THE_REPOSITORY)
    found = [{**_head(document), "Owner": owner} for document, owner in house.shelf.all()]
    for key, values in [*ask.filters(given, "Filters"), *ask.filters(given, "DocumentFilterList")]:
        if key not in _FILTERS:
            raise ask.unknown_filter(key, ", ".join(_FILTERS))
        found = [row for row in found if any(_FILTERS[key](row, value) for value in values)]
    return {"DocumentIdentifiers": found[: ask.most(given)]}


_FILTERS = {
    "Name": lambda row, value: row["Name"].startswith(value),
    "Owner": lambda row, value: row["Owner"] == value or value == "All",
    "DocumentType": lambda row, value: row["DocumentType"] == value,
}


def _named(house: House, work: Work, given: Mapping[str, Any]) -> Document:
    house.permissions.check(work.subject, "read", OF_THE_REPOSITORY)
    return house.shelf.named(ask.last(given, "Name"))


def _head(document: Document) -> View:
    return {
        "Name": document.name,
        "DocumentVersion": "1",
        "DocumentType": document.type,
        "DocumentFormat": _FORMATS.get(document.path.rpartition(".")[2].lower(), "TEXT"),
        "SchemaVersion": getattr(document.content, "schema_version", "0.3"),
    }
