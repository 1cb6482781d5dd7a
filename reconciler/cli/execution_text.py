"""An execution as people read it: what ran, with what, how long, and why it went on as it did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reconciler.cli.output import Format, print_json, print_table, say

if TYPE_CHECKING:
    from reconciler.api.client import Client

STYLES = {
    "Success": "green",
    "CompletedWithSuccess": "green",
    "Failed": "red",
    "TimedOut": "red",
    "Cancelled": "yellow",
    "Cancelling": "yellow",
    "Waiting": "yellow",
    "Pending": "dim",
}
LONGEST = 400
"""Characters of one value; all of it stands in the document."""


def show(execution: dict[str, Any]) -> None:
    """All of it."""
    say((execution["execution"], "bold"), f"  {execution['document']}, by {execution['subject']}")
    begun = f"begun {execution['startedAt']}"
    say(begun + (f", over {execution['finishedAt']}" if execution["finishedAt"] else ""))
    if execution["parent"]:
        say(f"started by {execution['parent']}")
    if execution["assumeRole"]:
        say(f"asks for the rights of {execution['assumeRole']}")
    _values("parameter", execution["parameters"])
    for step in execution["steps"]:
        _step(step)
    if execution["children"]:
        rows = [(one["target"], _styled(one["status"]), one["execution"]) for one in execution["children"]]
        print_table(("TARGET", "STATUS", "EXECUTION"), rows)
    _values("output", execution["outputs"])
    conclude(execution)


def follow(client: Client, execution: dict[str, Any], format_: Format, *, wait: bool) -> int:
    """Show what comes of an execution; the exit code."""
    quiet = format_ is Format.json
    if not quiet:
        say(("execution ", "dim"), execution["execution"], f" of {execution['document']}", error=True)
    told: dict[tuple[int, str], str] = {}
    waits = ""
    for news in client.execution_events(execution["execution"]) if wait else ():
        execution = news  # the last one is the answer
        if not quiet:
            changes(news, told)
        if not quiet and news["waitsFor"] != waits:
            tell_wait(news)
        waits = news["waitsFor"]
    if quiet:
        print_execution(execution, format_)
    elif wait:
        conclude(execution)
    return 0 if not wait or execution["status"] in ("Success", "CompletedWithSuccess") else 1


def print_execution(execution: dict[str, Any], format_: Format) -> None:
    """All of it, for people or programs."""
    if format_ is Format.json:
        print_json({"format": "opsctl.execution/v1", **execution})
    else:
        show(execution)


def conclude(execution: dict[str, Any]) -> None:
    """What it has come to, and whom it waits for."""
    status = execution["status"]
    say((status, f"bold {STYLES.get(status, '')}".strip()), _because(execution["reason"]))
    tell_wait(execution)


def tell_wait(execution: dict[str, Any]) -> None:
    """For whom it waits, and what that person may say."""
    if execution["waitsFor"]:
        say(("waits for ", "yellow"), execution["waitsFor"])


def changes(execution: dict[str, Any], told: dict[tuple[int, str], str]) -> None:
    """Say of each run of a step what it became since it was told of last."""
    for step in execution["steps"]:
        key, status = (step["visit"], step["step"]), step["status"]
        if step["visit"] and told.get(key) != status:
            told[key] = status
            say(_heading(step), ": ", _styled(status), _took(step), _because(step["reason"] or step["why"]))
    for child in execution["children"]:
        key = (0, child["execution"])
        if told.get(key) != child["status"]:
            told[key] = child["status"]
            say(child["target"], ": ", _styled(child["status"]), f"  {child['execution']}")


def _step(step: dict[str, Any]) -> None:
    say("")
    attempts = f", {step['attempts']} attempts" if step["attempts"] > 1 else ""
    say((_heading(step), "bold"), f" ({step['action']}) ", _styled(step["status"]), _took(step) + attempts)
    _values("in", step["inputs"])
    _values("out", step["outputs"])
    for note in step["notes"]:
        say(f"  {note['at']}  {note['text']}")
    if step["reason"]:
        say("  reason  ", (step["reason"], "red"))
    if step["why"]:
        say(f"  why  {step['why']}" + (f", so `{step['next']}` follows" if step["next"] else ""))


def _heading(step: dict[str, Any]) -> str:
    return str(step["step"]) + (f" [{step['iteration']}]" if step["iteration"] else "")


def _took(step: dict[str, Any]) -> str:
    return f" after {step['milliseconds'] / 1000:.1f} s" if step["milliseconds"] is not None else ""


def _values(word: str, values: dict[str, Any]) -> None:
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"
        first, *rest = shown.rstrip("\n").split("\n")
        say(f"  {word}  {name}: {first}")
        for line in rest:
            say(f"    {line}")


def _styled(status: str) -> tuple[str, str]:
    return status, STYLES.get(status, "")


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""
