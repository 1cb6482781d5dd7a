"""What a new body means on a node that has an old one (or none): claim by claim, with the diff that a person reads.

A template that uses no facts is rendered, once per distinct context; otherwise its source is compared, and said so.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.contract import template
from agent.contract.claims import claims_of
from agent.contract.codec import from_wire
from agent.contract.inputs import ACTIONS
from agent.contract.template import Template, TemplateError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from collections.abc import Set as AbstractSet

    from reconciler.engine.views import Context

Contents = Callable[[str], bytes | None]
"""Digest -> bytes of a file that a body names, None where they are not at hand."""

Reads = frozenset[tuple[str, ...]]
"""What templates read of a context: `("labels", "Env")`, or `("labels",)` for all of them."""

Claims = Mapping[str, Sequence[str]]
"""The claims that each step makes, by its name; none for a step that only runs."""

DIFF_LINES = 200
_SCRIPTS: Mapping[str, Sequence[str]] = {"aws:runShellScript": ("runCommand",), "ops:script": ("test", "apply")}
"""Inputs that are lines of a script, by action: shown as content."""

_SHOWN_ELSEWHERE = frozenset({"path", "content", "source", "template", "runCommand", "test", "apply"})
_SAID_BY_THE_CLAIM = _SHOWN_ELSEWHERE | {"name"}


@dataclass(frozen=True, slots=True)
class ClaimChange:
    """One claim that a change touches. `sign` is `+`, `~` or `-`.

    `detail` are attributes, as `mode: 0644 -> 0600`, or `mode: 0644` of what is new; `diff` is of a file or a script.
    """

    claim: str
    sign: str
    step: str
    detail: tuple[str, ...] = ()
    diff: str = ""
    note: str = ""


class Step(NamedTuple):
    """A step as the wire has it; `file` is the digest of the repository's file that it names."""

    name: str
    action: str
    inputs: Mapping[str, Any]
    file: str
    control: Mapping[str, Any]

    @property
    def templated(self) -> bool:
        return self.inputs.get("template") is True


@dataclass(frozen=True, slots=True)
class ReadBody:
    """A body as differences see it: `claims` by step, and as `settings` what holds for all of them."""

    uid: str
    steps: Mapping[str, Step]
    claims: Claims
    settings: Mapping[str, Any]

    @property
    def templates(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps.values() if step.templated)


_DEFAULTS = {"mode": "ApplyAndAutoCorrect", "prune": False, "onRemove": "Retain", "schedule": None}


def read_body(data: bytes, claims: Claims | None = None) -> ReadBody:
    """A body from its canonical JSON. `claims` are those of its steps by name, where they are known already."""
    body = json.loads(data)
    files = {path: file["digest"] for path, file in body.get("files", {}).items()}
    steps = {}
    for row in body["steps"]:
        control = {key: row[key] for key in ("onFailure", "precondition") if key in row}
        file = files.get(row["inputs"].get("source"), "")
        steps[row["name"]] = Step(row["name"], row["action"], row["inputs"], file, control)
    settings = {key: body.get(key, default) for key, default in _DEFAULTS.items()}
    return ReadBody(body["uid"], steps, claims if claims is not None else _Claims(steps), settings)


class _Claims(dict[str, Sequence[str]]):
    """Claims by step, found out for the steps that somebody asks about."""

    def __init__(self, steps: Mapping[str, Step]) -> None:
        self._steps = steps

    def __missing__(self, name: str) -> Sequence[str]:
        step = self._steps[name]
        action = ACTIONS.get(step.action)
        claims = claims_of(step.action, from_wire(action.inputs, step.inputs)) if action else []
        found = self[name] = [str(claim) for claim in claims]
        return found


class Differ:
    """Compares bodies. It works out each template once, and is good for as long as `contents` finds the same."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._templates: dict[str, Template | TemplateError] = {}
        self._reads: dict[str, Reads | None] = {}

    def changes(
        self,
        old: ReadBody | None,
        new: ReadBody | None,
        old_context: Context | None = None,
        new_context: Context | None = None,
    ) -> tuple[ClaimChange, ...]:
        """Changes from `old` to `new`; None stands for not having the association.

        Contexts are given where templates are to be rendered, absent where their source is to be compared.
        """
        same = _same(old, new, templates=old_context == new_context)
        before, after = _by_claim(old, same), _by_claim(new, same)
        found = []
        for claim, step in after.items():
            change = self._compare(claim, before.get(claim), step, old_context, new_context)
            if change is not None:
                found.append(
                    change if change.sign != "+" or _is_first(claim, step, new) else replace(change, detail=())
                )
        found += _left(old, new, before.keys() - after.keys(), before)
        return (*_settings(old, new, found), *found)

    def reads(self, body: ReadBody) -> Reads | None:
        """What of a context the body's templates read; None when one reads facts or is not at hand."""
        used: set[tuple[str, ...]] = set()
        for step in body.templates:
            text = self._text(step)
            paths = self._paths(text) if text is not None else None
            if paths is None:
                return None
            used |= paths
        return frozenset(used)

    def _paths(self, source: str) -> Reads | None:
        if source not in self._reads:
            self._reads[source] = _paths_read(source)
        return self._reads[source]

    def _compare(
        self, claim: str, was: Step | None, now: Step, old_context: Context | None, new_context: Context | None
    ) -> ClaimChange | None:
        old_content, old_note = self._content(was, old_context)
        new_content, new_note = self._content(now, new_context)
        detail = _attributes(was, now)
        if was is not None and not detail and old_content == new_content:
            return None
        diff = unified(claim.partition(":")[2], old_content, new_content)
        return ClaimChange(claim, "~" if was else "+", now.name, detail, diff, new_note or old_note)

    def _content(self, step: Step | None, context: Context | None) -> tuple[bytes | None, str]:
        """What a step writes or runs (None for one that does neither), and what to say about it."""
        if step is None or step.inputs.get("state") == "absent":
            return None, ""
        if step.action in _SCRIPTS:
            return _script(step), ""
        if step.action != "ops:file" and not step.inputs.keys() & {"content", "source"}:
            return None, ""
        text = self._text(step)
        if text is None:
            data = self._contents(step.file) if step.file else b""
            return (data if data is not None else step.file.encode()), ""
        if not step.templated:
            return text.encode(), ""
        if context is None:
            return text.encode(), "template source (what it renders to depends on the node)"
        try:
            return self._template(text).render(dict(context)).encode(), ""
        except TemplateError as error:
            return text.encode(), f"template error: {error}"

    def _template(self, source: str) -> Template:
        """Raises `TemplateError` for a source that does not parse, every time."""
        if source not in self._templates:
            try:
                self._templates[source] = Template(source)
            except TemplateError as error:
                self._templates[source] = error
        found = self._templates[source]
        if isinstance(found, TemplateError):
            raise found
        return found

    def _text(self, step: Step) -> str | None:
        content = step.inputs.get("content")
        if content is not None:
            return str(content)
        data = self._contents(step.file) if step.file else None
        try:
            return data.decode() if data is not None else None
        except UnicodeDecodeError:
            return None


def _paths_read(source: str) -> Reads | None:
    try:
        paths = template.paths_read(source)
    except TemplateError:
        return None
    known = frozenset(path for path in paths if path[0] in template.CONTEXT_NAMES)
    return None if any(path[0] == "facts" for path in known) else known


def _same(old: ReadBody | None, new: ReadBody | None, *, templates: bool) -> set[str]:
    """Names of the steps that both have, which come to the same; of templates only where they are rendered alike."""
    if old is None or new is None:
        return set()
    return {
        name for name, step in new.steps.items() if old.steps.get(name) == step and (templates or not step.templated)
    }


def _by_claim(body: ReadBody | None, but: set[str]) -> dict[str, Step]:
    """Steps by claim, without those named; what only runs has no claim and goes by its step's name."""
    held: dict[str, Step] = {}
    if body is None:
        return held
    for step in body.steps.values():
        if step.name not in but:
            for claim in body.claims[step.name] or [f"run:{step.name}"]:
                held[claim] = step
    return held


def _left(
    old: ReadBody | None, new: ReadBody | None, gone: AbstractSet[str], before: Mapping[str, Step]
) -> list[ClaimChange]:
    """Claims that nothing asks for any more."""
    prune = new.settings["prune"] if new is not None else old is not None and old.settings["onRemove"] == "Prune"
    note = "removed where opsctl created it" if prune else "left as it is"
    return [ClaimChange(claim, "-", step.name, note=note) for claim, step in before.items() if claim in gone]


def _settings(old: ReadBody | None, new: ReadBody | None, found: Collection[ClaimChange]) -> Iterator[ClaimChange]:
    """What changes for all steps together, under the association's own name."""
    if old is None or new is None:
        return
    detail = _differing(old.settings, new.settings)
    if detail:
        yield ClaimChange(new.uid, "~", "", detail)
    elif not found and [*old.steps.items()] != [*new.steps.items()]:
        yield ClaimChange(new.uid, "~", "", note="the same things, by other steps or in another order")


def _is_first(claim: str, step: Step, body: ReadBody | None) -> bool:
    """Whether a step's attributes are told with this claim of it."""
    claims = body.claims[step.name] if body is not None else ()
    return not claims or claims[0] == claim


def _script(step: Step) -> bytes:
    """The lines of a script; of a pair, the check, then what brings it about."""
    parts = [step.inputs.get(name, ()) for name in _SCRIPTS[step.action]]
    return "".join(f"{line}\n" for lines in parts for line in lines).encode()


def _attributes(old: Step | None, new: Step) -> tuple[str, ...]:
    if old is None:
        told = sorted(new.inputs.keys() - _SAID_BY_THE_CLAIM)
        return tuple(f"{key}: {_short(new.inputs[key])}" for key in told)
    if old.action != new.action:
        return (f"action: {old.action} -> {new.action}",)
    return _differing(old.inputs, new.inputs, but=_SHOWN_ELSEWHERE) + _differing(old.control, new.control)


def _differing(old: Mapping[str, Any], new: Mapping[str, Any], but: AbstractSet[str] = frozenset()) -> tuple[str, ...]:
    changed = sorted(key for key in (old.keys() | new.keys()) - but if old.get(key) != new.get(key))
    return tuple(f"{key}: {_short(old.get(key))} -> {_short(new.get(key))}" for key in changed)


def _short(value: Any) -> str:
    if value is None:
        return "(unset)"
    text = "; ".join(str(item) for item in value) if isinstance(value, list) else str(value)
    return text if len(text) <= 120 else text[:117] + "..."


def unified(name: str, old: bytes | None, new: bytes | None) -> str:
    """A unified diff of two contents, bounded; sizes where one is not text; empty where there is none to show."""
    if old == new or (old is None and new is None):
        return ""
    try:
        before, after = (old or b"").decode(), (new or b"").decode()
    except UnicodeDecodeError:
        return f"binary content: {len(old or b'')} -> {len(new or b'')} bytes\n"
    lines = list(_unified(name if old is not None else "/dev/null", _lines(before), name, _lines(after)))
    shown = [line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines[:DIFF_LINES]]
    if len(lines) > DIFF_LINES:
        shown.append(f"... {len(lines) - DIFF_LINES} more lines\n")
    return "".join(shown)


def _unified(old_name: str, old: list[str], new_name: str, new: list[str]) -> Iterator[str]:
    if old or not new:
        yield from difflib.unified_diff(old, new, old_name, new_name)
    else:  # as difflib says it, without looking for what there is not
        span = f"1,{len(new)}" if len(new) > 1 else "1"
        yield from (f"--- {old_name}\n", f"+++ {new_name}\n", f"@@ -0,0 +{span} @@\n")
        yield from (f"+{line}" for line in new)


def _lines(text: str) -> list[str]:
    """Lines with their ends; only a line feed ends one."""
    *whole, rest = text.split("\n")
    return [line + "\n" for line in whole] + ([rest] if rest else [])
