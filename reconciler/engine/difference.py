"""What a new body means on a node that has an old one (or none): claim by claim, with the diff that a person reads.

A template that uses no facts is rendered, once per distinct context; otherwise its source is compared, and said so.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.contract import template
from agent.contract.claims import claims_of
from agent.contract.codec import from_wire
from agent.contract.inputs import ACTIONS
from agent.contract.template import Template, TemplateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from reconciler.engine.views import Context

Contents = Callable[[str], bytes | None]
"""Digest -> bytes of a file that a body names, None where they are not at hand."""

Reads = frozenset[tuple[str, ...]]
"""What templates read of a context: `("labels", "Env")`, or `("labels",)` for all of them."""

PlaceOf = Callable[[str], str]
"""The name of a step, empty for what concerns all -> `file:line:column` of what asks for it."""

Content = str | bytes | None
"""What a file holds: text, or bytes that are none; None where there is no file."""

DIFF_LINES = 200
_CONTEXT = 3
"""Lines shown around a change."""
_SCRIPTS: Mapping[str, Sequence[str]] = {"aws:runShellScript": ("runCommand",), "ops:script": ("test", "apply")}
"""Inputs that are lines of a script, by action: shown as content."""

_SHOWN_ELSEWHERE = frozenset({"path", "content", "source", "template", "runCommand", "test", "apply"})
_SAID_BY_THE_CLAIM = _SHOWN_ELSEWHERE | {"name"}
_STEP_NAMES = frozenset({"name", "action", "version", "inputs"})


class ClaimChange(NamedTuple):
    """One claim that a change touches, as `views.ClaimView` has it: `place` is where the repository asks for it.

    `detail` are attributes, as `mode: 0644 -> 0600`, or `mode: 0644` of what is new; `diff` is of a file or a script.
    """

    claim: str
    sign: str
    step: str
    place: str
    detail: tuple[str, ...] = ()
    diff: str = ""
    note: str = ""


Step = Mapping[str, Any]
"""A step as the wire has it."""


@dataclass(frozen=True, slots=True)
class ReadBody:
    """A body as differences see it: `steps` by name, digests of `files` by path, claims by step."""

    content: Mapping[str, Any]
    steps: Mapping[str, Step]
    files: Mapping[str, str]
    claims: Mapping[str, Sequence[str]]
    templated: bool

    def file_of(self, step: Step) -> str:
        """The digest of the file that a step names, empty for none."""
        return self.files.get(step["inputs"].get("source"), "") if self.files else ""

    @property
    def templates(self) -> list[tuple[Step, str]]:
        """Steps that are rendered, each with its file."""
        if not self.templated:
            return []
        return [(step, self.file_of(step)) for step in self.steps.values() if _is_template(step)]


def read_body(data: bytes, claims: Mapping[str, Sequence[str]] | None = None) -> ReadBody:
    """A body from its canonical JSON. `claims` are those of its steps by name, where they are known already."""
    content = json.loads(data)
    steps = {step["name"]: step for step in content["steps"]}
    files = {path: file["digest"] for path, file in content.get("files", {}).items()}
    return ReadBody(content, steps, files, _Claims(steps) if claims is None else claims, may_template(data))


def may_template(body: bytes) -> bool:
    """Whether a body may have templates, told from its bytes: canonical JSON writes it one way."""
    return b'"template":true' in body


class _Claims(dict[str, Sequence[str]]):
    """Claims by step, found out for the steps that somebody asks about."""

    def __init__(self, steps: Mapping[str, Step]) -> None:
        self._steps = steps

    def __missing__(self, name: str) -> Sequence[str]:
        step = self._steps[name]
        action = ACTIONS.get(step["action"])
        claims = claims_of(step["action"], from_wire(action.inputs, step["inputs"])) if action else []
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
        place: PlaceOf,
        contexts: tuple[Context, Context] | None = None,
    ) -> tuple[ClaimChange, ...]:
        """Changes from `old` to `new`; None stands for not having the association.

        `contexts` (the old one, the new one) are given where templates are to be rendered; without them their source is
        compared.
        """
        before, after = _Side(old, contexts and contexts[0]), _Side(new, contexts and contexts[1])
        same = _same(old, new, templates=before.context == after.context)
        was, now = _by_claim(old, same), _by_claim(new, same)
        found = []
        for claim, step in now.items():
            change = self._change(claim, before, was.get(claim), after, step, place)
            if change is not None:
                found.append(change)
        if old is not None:
            left = [(claim, step) for claim, step in was.items() if claim not in now]
            note = _of_what_is_left(old, new) if left else ""
            found += [ClaimChange(claim, "-", step["name"], place(step["name"]), note=note) for claim, step in left]
            found[:0] = _settings(old, new, found, place) if new is not None else ()
        return tuple(found)

    def reads(self, *bodies: ReadBody | None) -> Reads | None:
        """What of a context the templates of these bodies read; None when one reads facts or is not at hand."""
        used: Reads = frozenset()
        for body in bodies:
            for step, _ in body.templates if body is not None else ():
                text = self._text(body, step) if body is not None else None
                reads = self._reads_of(text) if isinstance(text, str) else None
                if reads is None:
                    return None
                used |= reads
        return used

    def _reads_of(self, source: str) -> Reads | None:
        if source not in self._reads:
            self._reads[source] = _paths_read(source)
        return self._reads[source]

    def _change(
        self, claim: str, before: _Side, was: Step | None, after: _Side, now: Step, place: PlaceOf
    ) -> ClaimChange | None:
        name = now["name"]
        new, new_note = self._content(after, now)
        if was is None:
            diff = unified(claim.partition(":")[2], None, new)
            detail = _attributes(now) if _is_first(claim, after.body, name) else ()
            return ClaimChange(claim, "+", name, place(name), detail, diff, new_note)
        old, old_note = self._content(before, was)
        detail = _differing_attributes(was, now)
        if not detail and old == new:
            return None
        diff = unified(claim.partition(":")[2], old, new)
        return ClaimChange(claim, "~", name, place(name), detail, diff, new_note or old_note)

    def _content(self, side: _Side, step: Step) -> tuple[Content, str]:
        """What a step writes or runs (None for one that does neither), and what to say about it."""
        inputs = step["inputs"]
        if side.body is None or inputs.get("state") == "absent":
            return None, ""
        if step["action"] in _SCRIPTS:
            return _script(step), ""
        if "content" not in inputs and "source" not in inputs and step["action"] != "ops:file":
            return None, ""
        text = self._text(side.body, step)
        if not isinstance(text, str) or not _is_template(step):
            return text, ""
        if side.context is None:
            return text, "template source (what it renders to depends on the node)"
        try:
            return self._template(text).render(_in_order(side.context)), ""
        except TemplateError as error:
            return text, f"template error: {error}"

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

    def _text(self, body: ReadBody, step: Step) -> Content:
        """A step's content as text; as bytes where it is none, and where nobody has it, the digest."""
        content = step["inputs"].get("content")
        if content is not None:
            return str(content)
        file = body.file_of(step)
        data = self._contents(file) if file else b""
        if data is None:
            return file.encode()
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data


class _Side(NamedTuple):
    body: ReadBody | None
    context: Context | None


def _is_template(step: Step) -> bool:
    return step["inputs"].get("template") is True


def _paths_read(source: str) -> Reads | None:
    try:
        paths = template.paths_read(source)
    except TemplateError:
        return None
    known = frozenset(path for path in paths if path[0] in template.CONTEXT_NAMES)
    return None if any(path[0] == "facts" for path in known) else known


def _in_order(value: Any) -> Any:
    """A value as canonical JSON has it: templates that list what they read show the order of its keys."""
    if isinstance(value, Mapping):
        return {key: _in_order(value[key]) for key in sorted(value)}
    return [_in_order(item) for item in value] if isinstance(value, list | tuple) else value


def _same(old: ReadBody | None, new: ReadBody | None, *, templates: bool) -> set[str]:
    """Names of the steps that both have, which come to the same; of templates only where they are rendered alike."""
    if old is None or new is None:
        return set()
    alike = {name for name, step in new.steps.items() if old.steps.get(name) == step}
    if new.files:
        alike = {name for name in alike if old.file_of(old.steps[name]) == new.file_of(new.steps[name])}
    return alike if templates or not new.templated else {name for name in alike if not _is_template(new.steps[name])}


def _by_claim(body: ReadBody | None, but: set[str]) -> dict[str, Step]:
    """Steps by claim, without those named; what only runs has no claim and goes by its step's name."""
    if body is None:
        return {}
    return {
        claim: step
        for name, step in body.steps.items()
        if name not in but
        for claim in body.claims[name] or (f"script:{name}",)
    }


def _of_what_is_left(old: ReadBody, new: ReadBody | None) -> str:
    """What becomes of claims that nothing asks for any more."""
    prune = new.content.get("prune") is True if new is not None else old.content.get("onRemove") == "Prune"
    return "removed where opsctl created it" if prune else "left as it is"


_SETTINGS = {"mode": "ApplyAndAutoCorrect", "prune": False, "onRemove": "Retain", "schedule": None}
"""What a body says of all its steps, with the contract's defaults, which bodies leave out."""


def _settings(old: ReadBody, new: ReadBody, found: Sequence[ClaimChange], place: PlaceOf) -> Iterator[ClaimChange]:
    """What changes for all steps together, under the association's own name."""
    uid = new.content["uid"]
    was, now = ({key: body.content.get(key, value) for key, value in _SETTINGS.items()} for body in (old, new))
    if was != now:
        yield ClaimChange(uid, "~", "", place(""), _differing(was, now))
    elif not found and old.content["steps"] != new.content["steps"]:
        yield ClaimChange(uid, "~", "", place(""), note="the same things, by other steps or in another order")


def _is_first(claim: str, body: ReadBody | None, step: str) -> bool:
    """Whether a step's attributes are told with this claim of it."""
    claims = body.claims[step] if body is not None else ()
    return not claims or claims[0] == claim


def _script(step: Step) -> str:
    """The lines of a script; of a pair, the check, then what brings it about."""
    parts = (step["inputs"].get(name, ()) for name in _SCRIPTS[step["action"]])
    return "".join(f"{line}\n" for lines in parts for line in lines)


def _attributes(step: Step) -> tuple[str, ...]:
    inputs = step["inputs"]
    return tuple(f"{key}: {_short(inputs[key])}" for key in sorted(inputs.keys() - _SAID_BY_THE_CLAIM))


def _differing_attributes(old: Step, new: Step) -> tuple[str, ...]:
    if old["action"] != new["action"]:
        return (f"action: {old['action']} -> {new['action']}",)
    return _differing(old["inputs"], new["inputs"], _SHOWN_ELSEWHERE) + _differing(old, new, _STEP_NAMES)


def _differing(old: Mapping[str, Any], new: Mapping[str, Any], but: AbstractSet[str] = frozenset()) -> tuple[str, ...]:
    changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key) and key not in but)
    return tuple(f"{key}: {_short(old.get(key))} -> {_short(new.get(key))}" for key in changed)


def _short(value: Any) -> str:
    if value is None:
        return "(unset)"
    text = "; ".join(str(item) for item in value) if isinstance(value, list) else str(value)
    return text if len(text) <= 120 else text[:117] + "..."


def unified(name: str, old: Content, new: Content) -> str:
    """A unified diff of two contents, bounded; sizes where one is not text; empty where there is none to show."""
    if old == new:
        return ""
    if isinstance(old, bytes) or isinstance(new, bytes):
        sizes = [len(content.encode() if isinstance(content, str) else content or b"") for content in (old, new)]
        return f"binary content: {sizes[0]} -> {sizes[1]} bytes\n"
    names = (name if old is not None else "/dev/null", name if new is not None else "/dev/null")
    lines = list(_unified(names[0], _lines(old or ""), names[1], _lines(new or "")))
    shown = [line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines[:DIFF_LINES]]
    if len(lines) > DIFF_LINES:
        shown.append(f"... {len(lines) - DIFF_LINES} more lines\n")
    return "".join(shown)


def _unified(old_name: str, old: list[str], new_name: str, new: list[str]) -> Iterator[str]:
    """As difflib writes it; where a single stretch of lines changed, without its search for the best match."""
    head = _alike(old, new)
    tail = _alike(old[head:][::-1], new[head:][::-1])
    gone, come = old[head : len(old) - tail], new[head : len(new) - tail]
    if not set(gone).isdisjoint(come):
        yield from difflib.unified_diff(old, new, old_name, new_name)
        return
    start, rest = max(0, head - _CONTEXT), len(old) - tail
    before, after = old[start:head], old[rest : rest + _CONTEXT]
    around = len(before) + len(after)
    yield f"--- {old_name}\n"
    yield f"+++ {new_name}\n"
    yield f"@@ -{_span(start, around + len(gone))} +{_span(start, around + len(come))} @@\n"
    yield from (f" {line}" for line in before)
    yield from (f"-{line}" for line in gone)
    yield from (f"+{line}" for line in come)
    yield from (f" {line}" for line in after)


def _alike(one: list[str], other: list[str]) -> int:
    """How many lines two texts begin with alike."""
    at = 0
    while at < len(one) and at < len(other) and one[at] == other[at]:
        at += 1
    return at


def _span(start: int, length: int) -> str:
    """A stretch of lines as hunks name it."""
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _lines(text: str) -> list[str]:
    """Lines with their ends; only a line feed ends one."""
    *whole, rest = text.split("\n")
    return [line + "\n" for line in whole] + ([rest] if rest else [])
