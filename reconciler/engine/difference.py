"""What a new body means on a node that has an old one (or none): claim by claim, with the diff that a person reads.

A template that uses no facts is rendered, once per distinct context; otherwise its source is compared, and said so.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.contract import template
from agent.contract.claims import claims_of
from agent.contract.codec import from_wire
from agent.contract.inputs import ACTIONS
from agent.contract.wire import Body, BodyStep

Contents = Callable[[str], bytes | None]
"""Digest -> bytes of a file that a body names, None where they are not at hand."""

DIFF_LINES = 200
_ATTRIBUTES_SHOWN_ELSEWHERE = {"path", "content", "source", "template"}


@dataclass(frozen=True, slots=True)
class ClaimChange:
    """One claim that a change touches. `sign` is `+`, `~` or `-`; `detail` are attributes as `mode: 0644 -> 0600`."""

    claim: str
    sign: str
    step: str
    detail: tuple[str, ...] = ()
    diff: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Held:
    """A step under one of its claims, in one body."""

    claim: str
    step: BodyStep
    files: Mapping[str, Any] = field(default_factory=dict)


def difference(
    old: Body | None,
    new: Body | None,
    contents: Contents,
    old_context: Mapping[str, Any] | None = None,
    new_context: Mapping[str, Any] | None = None,
) -> tuple[ClaimChange, ...]:
    """Changes from `old` to `new`; None stands for not having the association.

    Contexts are given where templates are to be rendered, absent where their source is to be compared.
    """
    before, after = _by_claim(old), _by_claim(new)
    found = []
    for claim, held in after.items():
        was = before.get(claim)
        change = _compare(was, held, contents, old_context, new_context)
        if change is not None:
            found.append(change)
    prune = new.prune if new is not None else old is not None and old.on_remove == "Prune"
    for claim, was in before.items():
        if claim not in after:
            note = "removed where opsctl created it" if prune else "left as it is"
            found.append(ClaimChange(claim, "-", was.step.name, note=note))
    return tuple(found)


def context_names(body: Body, contents: Contents) -> set[str] | None:
    """Which of labels, vars and name the body's templates read; None when one reads facts or is not at hand."""
    used: set[str] = set()
    for step in body.steps:
        if step.inputs.get("template") is True:
            text = _text(step, body.files, contents)
            if text is None:
                return None
            try:
                used |= template.names_used(text)
            except template.TemplateError:
                return None
    return None if "facts" in used else used & {"labels", "vars", "name"}


def _by_claim(body: Body | None) -> dict[str, _Held]:
    """Steps by claim; what only runs has no claim and goes by its step's name."""
    held: dict[str, _Held] = {}
    for step in body.steps if body else ():
        action = ACTIONS.get(step.action)
        claims = claims_of(step.action, from_wire(action.inputs, step.inputs)) if action else []
        for claim in [str(claim) for claim in claims] or [f"run:{step.name}"]:
            held[claim] = _Held(claim, step, body.files if body else {})
    return held


def _compare(
    was: _Held | None,
    now: _Held,
    contents: Contents,
    old_context: Mapping[str, Any] | None,
    new_context: Mapping[str, Any] | None,
) -> ClaimChange | None:
    old_content, old_note = _content(was, contents, old_context)
    new_content, new_note = _content(now, contents, new_context)
    detail = _attributes(was.step if was else None, now.step)
    diff = unified(now.claim.partition(":")[2], old_content, new_content)
    if was is not None and not detail and old_content == new_content:
        return None
    return ClaimChange(now.claim, "~" if was else "+", now.step.name, detail, diff, new_note or old_note)


def _attributes(old: BodyStep | None, new: BodyStep) -> tuple[str, ...]:
    if old is None:
        return ()
    keys = sorted((old.inputs.keys() | new.inputs.keys()) - _ATTRIBUTES_SHOWN_ELSEWHERE)
    changed = [key for key in keys if old.inputs.get(key) != new.inputs.get(key)]
    if old.action != new.action:
        return (f"action: {old.action} -> {new.action}",)
    return tuple(f"{key}: {_short(old.inputs.get(key))} -> {_short(new.inputs.get(key))}" for key in changed)


def _short(value: Any) -> str:
    if value is None:
        return "(unset)"
    text = "; ".join(str(item) for item in value) if isinstance(value, list) else str(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _content(held: _Held | None, contents: Contents, context: Mapping[str, Any] | None) -> tuple[bytes | None, str]:
    """The bytes a file step writes (None for other steps) and what to say about them."""
    if held is None or held.step.action != "ops:file" or held.step.inputs.get("state") == "absent":
        return None, ""
    text = _text(held.step, held.files, contents)
    if text is None:
        source = held.step.inputs.get("source")
        if source is None:
            return b"", ""
        reference = held.files[source]
        data = contents(reference.digest)
        return (data if data is not None else reference.digest.encode()), ""
    if held.step.inputs.get("template") is not True:
        return text.encode(), ""
    if context is None:
        return text.encode(), "template source (what it renders to depends on the node)"
    try:
        return template.render(text, dict(context)).encode(), ""
    except template.TemplateError as error:
        return text.encode(), f"template error: {error}"


def _text(step: BodyStep, files: Mapping[str, Any], contents: Contents) -> str | None:
    content = step.inputs.get("content")
    if content is not None:
        return str(content)
    source = step.inputs.get("source")
    if source is None or source not in files:
        return None
    data = contents(files[source].digest)
    try:
        return data.decode() if data is not None else None
    except UnicodeDecodeError:
        return None


def unified(name: str, old: bytes | None, new: bytes | None) -> str:
    """A unified diff of two contents, bounded; sizes where one is not text; empty where there is none to show."""
    if old == new or (old is None and new is None):
        return ""
    try:
        before, after = (old or b"").decode(), (new or b"").decode()
    except UnicodeDecodeError:
        return f"binary content: {len(old or b'')} -> {len(new or b'')} bytes\n"
    lines = list(
        difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            name if old is not None else "/dev/null",
            name if new is not None else "/dev/null",
        )
    )
    shown = [line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines[:DIFF_LINES]]
    if len(lines) > DIFF_LINES:
        shown.append(f"... {len(lines) - DIFF_LINES} more lines\n")
    return "".join(shown)
