"""Steps of a document made ready once, so that compiling it for an association only interpolates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.contract.canonical import NotCanonical, canonical
from agent.contract.claims import Claim, claims_of
from agent.contract.codec import to_wire
from agent.contract.inputs import ACTIONS, CUSTOM
from agent.contract.interpolation import references
from agent.contract.wire import BodyStep
from reconciler.core.manifest import Plain, resolve
from reconciler.core.problem import Finding, Place, nearest
from reconciler.core.typed import check
from reconciler.core.typed.words import is_what, one_of, path_text
from reconciler.documents import actions, inputs, rules, templates
from reconciler.documents.model import Control
from reconciler.documents.plugins import PLUGINS, Plugin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agent.contract.inputs.custom import CustomInputs
    from reconciler.core.manifest import Loc, Places, Tree
    from reconciler.documents.model import Precondition, Step

PLATFORM = "Linux"
"""What `platformType` is on nodes that agents of this version run on."""

CONTINUE = "continue"
"""SSM's way after a failed step that says nothing: the next one runs, the document fails at its end."""


class Finished(NamedTuple):
    """A step with its final inputs: as the wire has it, and what it owns. `source` is a file of the repository."""

    step: BodyStep
    claims: tuple[Claim, ...] = ()
    source: str | None = None
    template: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """A step and where its document has it: the whole, its inputs, and its action, which may be a key."""

    step: Step
    loc: Loc
    inputs_loc: Loc
    action_is_key: bool = False

    def action_place(self, places: Places) -> Place:
        """Where its action is named."""
        return places.of(self.loc, key=True) if self.action_is_key else places.of((*self.loc, "action"))

    def name_place(self, places: Places) -> Place:
        """Where its name is given."""
        return places.of((*self.inputs_loc, "id") if self.action_is_key else (*self.loc, "name"))


@dataclass(frozen=True, slots=True)
class ReadyStep:
    """A step checked as far as it can be before parameters are known.

    `inputs_loc` is where its inputs are written. `references` are the parameters it uses, and `fixed` is the finished
    step where it uses none. `missing` says what agents of this version lack to run it.
    """

    step: Step
    loc: Loc
    inputs_loc: Loc
    tree: Mapping[str, Tree]
    control: Control
    references: frozenset[str]
    missing: Finding | None = None
    fixed: Finished | None = None

    @property
    def on_failure(self) -> str:
        """What comes after the step failed, as the wire has it."""
        return self.control.on_failure or CONTINUE


def prepare(
    written: Written, declared: set[str], places: Places, *, last: bool = True
) -> tuple[ReadyStep | None, list[Finding]]:
    """The step ready to be finished, None where a finding is an error. Findings may be warnings alone."""
    step = written.step
    findings = list(_misnamed(written, places))
    if findings:
        return None, findings
    control, findings = _control(written, places)
    if control.finally_step and not last:
        findings.append(_misplaced(written, places))
        control = control.model_copy(update={"finally_step": False})
    tree = {name: value for name, value in step.inputs.items() if name not in _CONTROL_WORDS}
    if step.action in ACTIONS:
        tree, strange = _known_inputs(written, tree, places)
        findings += strange
    elif step.action in PLUGINS:
        findings += rules.misfits(PLUGINS[step.action].inputs, tree, places, written.inputs_loc)
    ready = ReadyStep(
        step,
        written.loc,
        written.inputs_loc,
        tree,
        control,
        frozenset(references([tree, step.precondition, step.timeout_seconds], declared)),
        _missing(written, places),
    )
    if not ready.references and not step.action.startswith(CUSTOM):
        fixed, found = finish(ready, tree, step.precondition, places)
        ready = replace(ready, fixed=fixed)
        findings += found
    elif step.action in ACTIONS:
        findings += _certain(ready, declared, places)
    return (None if any(finding.severity == "error" for finding in findings) else ready), findings


def _certain(ready: ReadyStep, declared: set[str], places: Places) -> Iterator[Finding]:
    """What is wrong with inputs that no parameter has a part in."""
    open_ = {name for name, value in ready.tree.items() if references(value, declared)}
    certain = {name: value for name, value in ready.tree.items() if name not in open_}
    _, findings = check(ACTIONS[ready.step.action].inputs, certain, places, ready.inputs_loc)
    missing = {f"{path_text((*ready.inputs_loc, name))} is missing" for name in open_}
    return (finding for finding in findings if finding.message not in missing)


def finish(ready: ReadyStep, tree: Any, precondition: Any, places: Places) -> tuple[Finished | None, list[Finding]]:
    """A step whose inputs are interpolated, None where a finding is an error. Findings may be warnings alone."""
    step, loc = ready.step, ready.inputs_loc
    action = ACTIONS.get(step.action)
    if action is None:
        return _foreign(ready, tree, precondition, places)
    typed, found = inputs.load(step.action, tree, places, loc)
    if typed is None:
        return None, list(found)
    findings = list(found)
    body = _body(ready, action.version, to_wire(typed), precondition)
    claims = tuple(claims_of(step.action, typed))
    template = bool(getattr(typed, "template", False))
    if template and typed.content is not None:
        findings += _inline_flaws(typed.content, places, loc)
    if any(finding.severity == "error" for finding in findings):
        return None, findings
    return Finished(body, claims, getattr(typed, "source", None), template), findings


def finish_custom(ready: ReadyStep, typed: CustomInputs, precondition: Any) -> Finished:
    """A step of the repository's own, with what agents are given of it."""
    body = _body(ready, 1, to_wire(typed), precondition)
    return Finished(body, tuple(claims_of(ready.step.action, typed)))


def asked_of_agents(steps: Sequence[BodyStep]) -> list[str]:
    """What an agent has to understand of these steps that the first ones did not: a body's `mustUnderstand`."""
    said = {
        "environment": any(step.environment for step in steps),
        "finallyStep": any(step.finally_step for step in steps),
        "onSuccess": any(step.on_success for step in steps),
        "within": any(step.within for step in steps),
    }
    return [word for word, asked in said.items() if asked]


def elsewhere(precondition: Precondition | None) -> bool:
    """Whether a precondition keeps a step off the platform that agents of this version run on."""
    pair = precondition["StringEquals"] if precondition else []
    return "platformType" in pair and PLATFORM not in pair and not any("{{" in side for side in pair)


def _foreign(ready: ReadyStep, tree: Any, precondition: Any, places: Places) -> tuple[Finished | None, list[Finding]]:
    """A step of an action whose inputs no schema describes: YAML's core schema gives them types."""
    value = resolve(tree)
    try:
        canonical(value)
    except NotCanonical as error:
        place = places.of(ready.inputs_loc)
        return None, [Finding(f"the inputs have no exact form: {error}", place, "quotes around numbers like that")]
    return Finished(_body(ready, 1, value, precondition)), []


def _body(ready: ReadyStep, version: int, value: Any, precondition: Any) -> BodyStep:
    """The step as agents are given it."""
    step, control = ready.step, ready.control
    return BodyStep(
        step.name,
        step.action,
        version,
        value,
        ready.on_failure,
        precondition,
        on_success=control.on_success or "",
        finally_step=control.finally_step,
    )


def _misnamed(written: Written, places: Places) -> Iterator[Finding]:
    """What keeps the rest of a step from being looked at."""
    step, where = written.step, written.inputs_loc
    if unknown := actions.unknown(step.action):
        message, near = unknown
        yield Finding(message, written.action_place(places), actions.RUNNABLE, near)
    elif not isinstance(step.inputs, dict):
        yield Finding(f"{path_text(where)} {is_what(step.inputs)}", places.of(where), "a mapping")


_CONTROL_WORDS = {name: field.alias or name for name, field in Control.model_fields.items()}.values()


def _control(written: Written, places: Places) -> tuple[Control, list[Finding]]:
    """What happens after the step, wherever it was written."""
    step = written.step
    given = {name: step.inputs[name] for name in _CONTROL_WORDS if name in step.inputs}
    if not given:
        return step, []
    among, findings = check(Control, given, places, written.inputs_loc)
    if among is None:
        return step, list(findings)
    both = Control(
        on_failure=step.on_failure or among.on_failure,
        on_success=step.on_success or among.on_success,
        finally_step=step.finally_step or among.finally_step,
    )
    return both, []


def _misplaced(written: Written, places: Places) -> Finding:
    loc = written.inputs_loc if "finallyStep" in written.step.inputs else written.loc
    message = f"`finallyStep` of `{written.step.name}` has no effect, for other steps follow"
    return Finding(message, places.of((*loc, "finallyStep"), key=True), "the last step", severity="warning")


def _missing(written: Written, places: Places) -> Finding | None:
    step = written.step
    if elsewhere(step.precondition):
        return None
    if why := actions.not_run(step.action):
        severity = "warning" if actions.is_sent(step.action) else "error"
        return Finding(why, written.action_place(places), actions.RUNNABLE, severity=severity)
    return None


def _known_inputs(written: Written, tree: dict[str, Tree], places: Places) -> tuple[dict[str, Tree], list[Finding]]:
    """The inputs that the action takes, with the step's own limit where it has one and they say nothing.

    Others are errors; but SSM's own agent ignores those of its own actions, so these only give warnings.
    """
    step = written.step
    known = inputs.names(step.action)
    plugin = PLUGINS.get(step.action, Plugin())
    by_other_names = {rule.instead: name for name, rule in plugin.inputs.items() if rule.instead and name not in tree}
    tree = {by_other_names.get(name, name): value for name, value in tree.items()}
    ignored = step.action.startswith("aws:")
    tree = _by_their_first_name(tree, plugin)
    findings = []
    for name in tree:
        if name not in known and name not in plugin.inputs:
            where = (*written.inputs_loc, name)
            message = f"unknown field {path_text(where)}" + (", which SSM ignores" if ignored else "")
            severity, place = "warning" if ignored else "error", places.of(where, key=True)
            findings.append(Finding(message, place, one_of(sorted(known)), nearest(name, known), severity))
    found = {name: value for name, value in tree.items() if name in known}
    seconds = step.timeout_seconds or 0
    if "timeoutSeconds" in known and (isinstance(seconds, str) or seconds > 0):
        found.setdefault("timeoutSeconds", Plain(seconds))
    return found, findings


def _by_their_first_name(tree: dict[str, Tree], plugin: Plugin) -> dict[str, Tree]:
    """The inputs, those that SSM takes by another name too under the one that is theirs."""
    first = {rule.instead: name for name, rule in plugin.inputs.items() if rule.instead and name not in tree}
    return {first.get(name, name): value for name, value in tree.items()}


def _inline_flaws(content: str, places: Places, loc: Loc) -> Iterator[Finding]:
    """What is wrong with a template that stands in the document itself, each flaw at its own line."""
    begin = places.of((*loc, "content"))
    block = "\n" in content and not begin.path.endswith(".json")
    for flaw in templates.flaws(content):
        place = Place(begin.path, begin.line + flaw.line, 1) if block and flaw.line else begin
        yield Finding(flaw.message, place, flaw.expected, flaw.nearest, flaw.severity)
