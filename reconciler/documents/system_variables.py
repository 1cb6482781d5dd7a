"""What SSM's own words between double braces stand for in a Command document: `{{ global:DATE }}`."""

from __future__ import annotations

from reconciler.core.problem import nearest
from reconciler.core.typed import Wrong
from reconciler.core.typed.words import one_of
from reconciler.documents.runbook import times
from reconciler.documents.runbook.references import GLOBALS

_TIMES = {"DATE": times.date, "DATE_TIME": times.date_time}
_SECRET = ("resolve:ssm-secure:", "ssm-secure:")


def value_of(reference: str, at: int | None) -> str:
    """What a reference with one of SSM's prefixes, other than to a parameter in the clear, stands for.

    `at` is the instant, in Unix milliseconds, at which the document is run; None for one that is held. Raises `Wrong`.
    """
    said = f"`{{{{ {reference} }}}}`"
    if reference.startswith(_SECRET):
        message = f"{said} is a secret, and secrets are not given to steps by this version"
        raise Wrong(message, expected="a String or StringList")
    prefix, _, name = reference.partition(":")
    if prefix != "global":
        raise Wrong(f"{said} has a value in Automation documents only", expected="a declared parameter")
    if name not in GLOBALS:
        names = [f"global:{known}" for known in GLOBALS]
        near = nearest(f"global:{name}", names)
        raise Wrong(f"{said} is nothing of SSM's", expected=one_of(names), nearest=near)
    if name not in _TIMES:
        raise Wrong(f"{said} is a word of AWS's and has no value here", expected="a declared parameter")
    if at is None:
        message = f"{said} changes with time, and what an association holds does not"
        raise Wrong(message, expected="`date` in a script, or a document that is run")
    return _TIMES[name](at)
