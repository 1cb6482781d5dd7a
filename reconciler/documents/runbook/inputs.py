"""What is wrong with the inputs of an Automation step, as far as it can be seen before references have values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.core.problem import Finding, nearest
from reconciler.core.typed.words import is_what, path_text
from reconciler.documents.rules import INTEGER
from reconciler.documents.rules import misfits as rules_misfits
from reconciler.documents.runbook import jsonpath, times
from reconciler.documents.runbook.actions import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.core.manifest import Loc, Places, Tree


def misfits(action: str, inputs: dict[str, Tree], places: Places, loc: Loc) -> Iterator[Finding]:
    """Findings of a step's inputs; `loc` is the step's."""
    rules = ACTIONS[action]
    where = (*loc, "inputs")
    yield from rules_misfits(rules.inputs, inputs, places, where, more=rules.open)
    if action in _MORE:
        yield from _MORE[action](inputs, places, where)


def _sleep(inputs: dict[str, Tree], places: Places, loc: Loc) -> Iterator[Finding]:
    given = [name for name in ("Duration", "Timestamp") if name in inputs]
    if len(given) != 1:
        what = "give both `Duration` and `Timestamp`" if given else "say not how long"
        place = places.of(loc, key=True)
        yield Finding(
            f"{path_text(loc)} {what}",
            place,
            "one of `Duration` and `Timestamp`",
            "" if given else nearest("Duration", inputs),
        )
        return
    name = given[0]
    tree = inputs[name]
    if not isinstance(tree, str) or "{{" in tree:
        return
    where = (*loc, name)
    try:
        if name == "Timestamp":
            times.instant(tree)
        elif times.milliseconds(tree) > times.LONGEST * 1000:
            yield Finding(f"{path_text(where)} {is_what(tree)}", places.of(where), "at most 7 days, P7D")
    except ValueError:
        expected = "as 2026-01-31T04:30:00Z" if name == "Timestamp" else "as PT10M, P1D or PT1H30M"
        yield Finding(f"{path_text(where)} {is_what(tree)}", places.of(where), f"ISO 8601, {expected}")


def _approve(inputs: dict[str, Tree], places: Places, loc: Loc) -> Iterator[Finding]:
    approvers, least = inputs.get("Approvers"), inputs.get("MinRequiredApprovals")
    if not isinstance(least, str) or not INTEGER.match(least):
        return
    where = (*loc, "MinRequiredApprovals")
    if int(least) < 1:
        yield Finding(f"{path_text(where)} {is_what(least)}", places.of(where), "at least 1")
    elif isinstance(approvers, list) and not any("{{" in str(one) for one in approvers) and int(least) > len(approvers):
        expected = f"at most {len(approvers)}, the number of `Approvers`"
        yield Finding(f"{path_text(where)} {is_what(least)}", places.of(where), expected)


def _property(inputs: dict[str, Tree], places: Places, loc: Loc) -> Iterator[Finding]:
    selector = inputs.get("PropertySelector")
    if isinstance(selector, str) and "{{" not in selector:
        try:
            jsonpath.parse(selector)
        except jsonpath.NotAPath as error:
            message = f"the selector is no JSONPath: {error}"
            yield Finding(message, places.of((*loc, "PropertySelector")), "a path as `$.Instances[0].State`")


def _script(inputs: dict[str, Tree], places: Places, loc: Loc) -> Iterator[Finding]:
    if "Script" not in inputs and "Attachment" not in inputs:
        yield Finding(f"{path_text(loc)} hold no script", places.of(loc, key=True), "`Script` or `Attachment`")
    runtime = inputs.get("Runtime")
    if isinstance(runtime, str) and "{{" not in runtime:
        where = (*loc, "Runtime")
        if not _RUNTIME.match(runtime):
            place = places.of(where)
            yield Finding(f"{path_text(where)} {is_what(runtime)}", place, "python3.11, PowerShell 7.4 and their like")
        elif runtime.lower().startswith("python") and "Handler" not in inputs:
            expected = "the function that is called with events and context"
            yield Finding(f"{path_text((*loc, 'Handler'))} is missing", places.of(loc, key=True), expected)


_RUNTIME = re.compile(r"(python3(\.\d{1,2})?|PowerShell( Core)? \d+(\.\d+)?)\Z", re.IGNORECASE)


def _loop(inputs: dict[str, Tree], places: Places, loc: Loc) -> Iterator[Finding]:
    most = inputs.get("MaxIterations")
    if isinstance(most, str) and INTEGER.match(most) and not 1 <= int(most) <= 100:
        where = (*loc, "MaxIterations")
        yield Finding(f"{path_text(where)} {is_what(most)}", places.of(where), "a number from 1 to 100")


def _command(inputs: dict[str, Tree], places: Places, loc: Loc) -> Iterator[Finding]:
    if "InstanceIds" not in inputs and "Targets" not in inputs:
        yield Finding(f"{path_text(loc)} say not where", places.of(loc, key=True), "`InstanceIds` or `Targets`")


_MORE: dict[str, Callable[[dict[str, Tree], Places, Loc], Iterator[Finding]]] = {
    "aws:approve": _approve,
    "aws:assertAwsResourceProperty": _property,
    "aws:executeScript": _script,
    "aws:loop": _loop,
    "aws:runCommand": _command,
    "aws:sleep": _sleep,
    "aws:waitForAwsResourceProperty": _property,
}
