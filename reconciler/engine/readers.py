"""Readers: everybody and everything that a repository lets read the parameters below a level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.core.parameters import SECURE, absolute
from reconciler.engine.contexts import declared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reconciler.core.parameters import Parameter
    from reconciler.engine.catalog import Catalog


def readers(catalog: Catalog, path: str, recipients: Callable[[Parameter], Iterable[str]]) -> list[dict[str, Any]]:
    """For each parameter at or below a level: the keys that open it, the operators that a server shows it to with the
    roles that say so, and the declared nodes whose associations refer to it.

    `recipients` gives the keys that a SecureString's file is encrypted to.
    """
    name = absolute(path).rstrip("/") or "/"
    found = catalog.parameters.declared.below(name, recursive=True)
    alone = catalog.parameters.declared.get(name)
    return [_of(catalog, parameter, recipients) for parameter in (*([alone] if alone else ()), *found)]


def _of(catalog: Catalog, parameter: Parameter, recipients: Callable[[Parameter], Iterable[str]]) -> dict[str, Any]:
    secure = parameter.type == SECURE
    return {
        "name": parameter.name,
        "type": parameter.type,
        "keys": sorted(recipients(parameter)) if secure else [],
        "operators": _operators(catalog, parameter.name, secure=secure),
        "associations": _associations(catalog, parameter.name),
    }


def _operators(catalog: Catalog, name: str, *, secure: bool) -> list[dict[str, Any]]:
    verbs = ("read", "decrypt") if secure else ("read",)
    found = []
    for operator in sorted(catalog.operators):
        grants = [grant for grant in catalog.grants_of(operator) if grant.reads(name)]
        covering = [[grant.role for grant in grants if grant.covers(verb, "Parameter")] for verb in verbs]
        if all(covering):
            roles = sorted({role for roles in covering for role in roles})
            found.append({"operator": operator, "roles": roles})
    return found


def _associations(catalog: Catalog, name: str) -> list[dict[str, Any]]:
    nodes = declared(catalog)
    resolve = catalog.resolver(nodes)
    return [
        {"association": known, "nodes": sorted(nodes.names(resolve(catalog.resources[known].spec.targets)))}
        for known, compiled in sorted(catalog.compiled.items())
        if name in compiled.parameters
    ]
