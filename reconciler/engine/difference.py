"""What a new body means on a node that has an old one (or none): claim by claim, with the diff that a person reads.

A template that uses no facts is rendered, once per distinct context; otherwise its source is compared, and said so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.contract import template
from agent.contract.inputs import CUSTOM
from agent.contract.template import TemplateError
from reconciler.engine.bodies import is_template
from reconciler.engine.reading import what_is_read
from reconciler.engine.textdiff import unified

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from reconciler.core.ports import Render
    from reconciler.engine.bodies import ReadBody, Step
    from reconciler.engine.textdiff import Content
    from reconciler.engine.views import ClaimView, Context

Contents = Callable[[str], bytes | None]
"""Digest -> bytes of a file that a body names, None where they are not at hand."""

Reads = frozenset[tuple[str, ...]]
"""What templates read of a context: `("labels", "Env")`, or `("labels",)` for all of them."""

PlaceOf = Callable[[str], str]
"""The name of a step, empty for what concerns all -> `file:line:column` of what asks for it."""

_SCRIPTS: Mapping[str, Sequence[str]] = {
    "aws:runPowerShellScript": ("runCommand",),
    "aws:runShellScript": ("runCommand",),
    "ops:script": ("test", "apply"),
}
"""Inputs that are lines of a script, by action: shown as content."""

_SHOWN_ELSEWHERE = frozenset({"path", "content", "source", "template", "runCommand", "test", "apply", "desired"})
_SAID_BY_THE_CLAIM = _SHOWN_ELSEWHERE | {"name", "key"}
_OF_CUSTOM = frozenset({"timeoutSeconds", "version"})
"""What is told of a step of the repository's own when it is new, besides its content."""
_STEP_NAMES = frozenset({"name", "action", "version", "inputs"})


class Differ:
    """Compares bodies. It works out each template once, and is good for as long as `contents` finds the same."""

    def __init__(self, contents: Contents, render: Render) -> None:
        self._contents, self._render = contents, render
        self._reads: dict[str, Reads | None] = {}
        self._rendered: dict[tuple[str, tuple[object, ...]], str | TemplateError] = {}

    def compared(self, old: ReadBody | None, new: ReadBody | None, place: PlaceOf) -> Comparison:
        """`old` with `new`; None stands for not having the association."""
        return Comparison(self, old, new, place)

    def reads(self, *bodies: ReadBody | None) -> Reads | None:
        """What of a context the templates of these bodies read; None when one reads facts or is not at hand."""
        used: Reads = frozenset()
        for body in bodies:
            if body is None:
                continue
            for step, _ in body.templates:
                text = self._text(body, step)
                reads = self._reads_of(text) if isinstance(text, str) else None
                if reads is None:
                    return None
                used |= reads
        return used

    def _reads_of(self, source: str) -> Reads | None:
        if source not in self._reads:
            self._reads[source] = _paths_read(source)
        return self._reads[source]

    def content(self, body: ReadBody, step: Step, context: Context | None) -> tuple[Content, str]:
        """What a step writes or runs (None for one that does neither), and what to say about it.

        Templates are rendered for the context, where there is one.
        """
        inputs = step["inputs"]
        if inputs.get("state") == "absent":
            return None, ""
        if step["action"] in _SCRIPTS:
            return _script(step), ""
        if step["action"] == "aws:downloadContent":
            return inputs["sourceInfo"].get("content"), ""
        if step["action"].startswith(CUSTOM):
            return _wanted(step, body.files_of(step)), ""
        if "content" not in inputs and "source" not in inputs and step["action"] != "ops:file":
            return None, ""
        text = self._text(body, step)
        if not isinstance(text, str) or not is_template(step):
            return text, ""
        if context is None:
            return text, "template source (what it renders to depends on the node)"
        rendered = self._come_to(text, context)
        if isinstance(rendered, TemplateError):
            return text, _not_rendered(rendered, inputs.get("source"))
        return rendered, ""

    def _come_to(self, source: str, context: Context) -> str | TemplateError:
        """What a template comes to, worked out once for all contexts in which it reads the same."""
        reads = self._reads_of(source)
        if reads is None:
            return self._work_out(source, context)
        found = (source, what_is_read(context, reads))
        if found not in self._rendered:
            self._rendered[found] = self._work_out(source, context)
        return self._rendered[found]

    def _work_out(self, source: str, context: Context) -> str | TemplateError:
        try:
            return self._render(source, _in_order(context))
        except TemplateError as error:
            return error

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


class Comparison:
    """One body with another (or none), claim by claim. What no context touches is worked out once."""

    def __init__(self, differ: Differ, old: ReadBody | None, new: ReadBody | None, place: PlaceOf) -> None:
        self._differ, self._old, self._new, self._place = differ, old, new, place
        self._fixed: dict[str, ClaimView | None] = {}

    def changes(self, contexts: tuple[Context | None, Context | None] = (None, None)) -> list[ClaimView]:
        """All that differs.

        `contexts` (the old one, the new one) are given where templates are to be rendered; without them their source is
        compared.
        """
        old, new = self._old, self._new
        same = (
            _same(old, new, templates=contexts[0] == contexts[1]) if old is not None and new is not None else _NO_STEPS
        )
        was, now = _by_claim(old, same), _by_claim(new, same)
        moves = (self._change(claim, was.get(claim), step, contexts) for claim, step in now.items())
        found = [change for change in moves if change is not None]
        if old is not None:
            found += _left(old, new, was, now, self._place)
            found[:0] = _settings(old, new, found, self._place) if new is not None else ()
        return found

    def _change(
        self, claim: str, was: Step | None, now: Step, contexts: tuple[Context | None, Context | None]
    ) -> ClaimView | None:
        if is_template(now) or (was is not None and is_template(was)):
            return self._work_out(claim, was, now, contexts)
        if claim not in self._fixed:
            self._fixed[claim] = self._work_out(claim, was, now, contexts)
        return self._fixed[claim]

    def _work_out(
        self, claim: str, was: Step | None, now: Step, contexts: tuple[Context | None, Context | None]
    ) -> ClaimView | None:
        assert self._new is not None
        name = now["name"]
        new, note = self._differ.content(self._new, now, contexts[1])
        if was is None or self._old is None:
            detail = _attributes(now) if _is_first(claim, self._new, name) else []
            return _view(claim, "+", name, self._place(name), detail, unified(_named(claim), None, new), note)
        old, old_note = self._differ.content(self._old, was, contexts[0])
        detail = _differing_attributes(was, now)
        if not detail and old == new:
            return None
        return _view(claim, "~", name, self._place(name), detail, unified(_named(claim), old, new), note or old_note)


def _not_rendered(error: TemplateError, file: str | None) -> str:
    """What to say of a template that stands in a file of the repository, or in its step."""
    line = f":{error.line}" if file and error.line else f" line {error.line}:" if error.line else ""
    return f"template error: {file}{line}: {error}" if file else f"template error:{line} {error}"


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


_NO_STEPS: AbstractSet[str] = frozenset()


def _view(
    claim: str, sign: str, step: str, place: str, detail: list[str] | None = None, diff: str = "", note: str = ""
) -> ClaimView:
    return {
        "claim": claim,
        "sign": sign,
        "step": step,
        "place": place,
        "detail": detail or [],
        "diff": diff,
        "note": note,
    }


def _named(claim: str) -> str:
    """What a claim is of, without its kind."""
    return claim.partition(":")[2]


def _same(old: ReadBody, new: ReadBody, *, templates: bool) -> AbstractSet[str]:
    """Names of the steps that both have, which come to the same; of templates only where they are rendered alike."""
    alike = {name for name, step in new.steps.items() if old.steps.get(name) == step}
    if new.files:
        alike = {name for name in alike if old.files_of(old.steps[name]) == new.files_of(new.steps[name])}
    return alike if templates or not new.templates else alike.difference(step["name"] for step, _ in new.templates)


def _by_claim(body: ReadBody | None, but: AbstractSet[str]) -> dict[str, Step]:
    """Steps by claim, without those named; what only runs has no claim and goes by its step's name."""
    if body is None:
        return {}
    return {
        claim: step
        for name, step in body.steps.items()
        if name not in but
        for claim in body.claims[name] or (f"script:{name}",)
    }


def _left(
    old: ReadBody, new: ReadBody | None, was: Mapping[str, Step], now: Mapping[str, Step], place: PlaceOf
) -> list[ClaimView]:
    """Claims that nothing asks for any more, and what becomes of them."""
    left = [(claim, step["name"]) for claim, step in was.items() if claim not in now]
    if not left:
        return []
    prune = new.content.get("prune") is True if new is not None else old.content.get("onRemove") == "Prune"
    note = "removed where opsctl created it" if prune else "left as it is"
    return [_view(claim, "-", name, place(name), note=note) for claim, name in left]


_SETTINGS = {"mode": "ApplyAndAutoCorrect", "prune": False, "onRemove": "Retain", "schedule": None}
"""What a body says of all its steps, with the contract's defaults, which bodies leave out."""


def _settings(old: ReadBody, new: ReadBody, found: Sequence[ClaimView], place: PlaceOf) -> Iterator[ClaimView]:
    """What changes for all steps together, under the association's own name."""
    was, now = old.content, new.content
    if any(was.get(key) != now.get(key) for key in _SETTINGS):  # what is left out in both is the default in both
        before, after = ({key: body.get(key, value) for key, value in _SETTINGS.items()} for body in (was, now))
        yield _view(now["uid"], "~", "", place(""), _differing(before, after))
    elif not found and was["steps"] != now["steps"]:
        yield _view(now["uid"], "~", "", place(""), note="the same things, by other steps or in another order")


def _is_first(claim: str, body: ReadBody, step: str) -> bool:
    """Whether a step's attributes are told with this claim of it."""
    claims = body.claims[step]
    return not claims or claims[0] == claim


def _wanted(step: Step, files: Sequence[str]) -> str:
    """What a step of the repository's own is to bring about, and the files that it does that with."""
    desired = step["inputs"]["desired"]
    return "".join(f"{line}\n" for line in [*(f"{name}: {_short(desired[name])}" for name in sorted(desired)), *files])


def _script(step: Step) -> str:
    """The lines of a script; of a pair, the check, then what brings it about."""
    parts = (step["inputs"].get(name, ()) for name in _SCRIPTS[step["action"]])
    return "".join(f"{line}\n" for lines in parts for line in lines)


def _attributes(step: Step) -> list[str]:
    inputs = step["inputs"]
    shown = _OF_CUSTOM & inputs.keys() if step["action"].startswith(CUSTOM) else inputs.keys() - _SAID_BY_THE_CLAIM
    return [f"{key}: {_short(inputs[key])}" for key in sorted(shown)]


def _differing_attributes(old: Step, new: Step) -> list[str]:
    if old["action"] != new["action"]:
        return [f"action: {old['action']} -> {new['action']}"]
    return _differing(old["inputs"], new["inputs"], _SHOWN_ELSEWHERE) + _differing(old, new, _STEP_NAMES)


def _differing(old: Mapping[str, Any], new: Mapping[str, Any], but: AbstractSet[str] = frozenset()) -> list[str]:
    changed = [key for key in (old.keys() | new.keys()) - but if old.get(key) != new.get(key)]
    shown = [(key, _short(old.get(key)), _short(new.get(key))) for key in sorted(changed)]
    return [f"{key}: {was} -> {now}" for key, was, now in shown if was != now or key != "sourceInfo"]


def _short(value: Any) -> str:
    if value is None:
        return "(unset)"
    if isinstance(value, Mapping):
        value = [f"{key}={item}" for key, item in value.items() if key != "content"]
    text = "; ".join(str(item) for item in value) if isinstance(value, list) else str(value)
    return text if len(text) <= 120 else text[:117] + "..."
