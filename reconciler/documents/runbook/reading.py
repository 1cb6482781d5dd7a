"""A tree and its places -> a runbook, or every finding. One look at a file tells all that is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.core.manifest import Plain, resolve
from reconciler.core.manifest.scalar import BOOLEANS
from reconciler.core.problem import Finding, Invalid, nearest
from reconciler.core.typed import check as check_typed
from reconciler.core.typed.words import is_what, one_of, path_text
from reconciler.documents.checked import doubtful_parameters
from reconciler.documents.runbook import actions, conditions, flow, jsonpath, mentions, variables
from reconciler.documents.runbook.inputs import misfits
from reconciler.documents.runbook.model import AutomationDocument, StepDeclaration
from reconciler.documents.runbook.runbook import Branch, Choice, Loop, Output, Reaction, Runbook, Step, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.core.manifest import Loc, Manifest, Places, Tree
    from reconciler.documents.runbook.model import OutputDeclaration


def load(manifest: Manifest, name: str) -> Runbook:
    """The runbook that one file's document is. Raises `Invalid` with every finding."""
    runbook, findings = check(manifest, name)
    if runbook is None:
        raise Invalid(findings)
    return runbook


def check(manifest: Manifest, name: str) -> tuple[Runbook | None, tuple[Finding, ...]]:
    """As `load`, but giving the findings, sorted by place; no runbook where one of them is an error."""
    places = manifest.places
    content, found = check_typed(AutomationDocument, manifest.tree, places)
    findings = list(found)
    reader = _Reader(places)
    steps = reader.steps(_steps_of(manifest.tree, content), ("mainSteps",), "")
    findings += reader.findings
    known = {step.name: step for step in walk(steps)}
    edges = flow.edges(steps)
    if content is not None:
        findings += variables.strange(content, places)
        findings += doubtful_parameters(content, places)
    if not reader.lost:
        findings += flow.strange_targets(known, known.values(), places)
        if content is not None:
            mentioned = mentions.mentions(content, known)
            findings += mentions.findings(mentioned, content, known, places)
            if not any(finding.severity == "error" for finding in findings):
                findings += flow.findings(known, edges, places)
                findings += mentions.untimely(mentioned, known, flow.successors(known, edges), places)
    findings = sorted(findings, key=lambda finding: finding.place)
    if content is None or any(finding.severity == "error" for finding in findings):
        return None, tuple(findings)
    runbook = Runbook(
        name,
        manifest.path,
        content.description or "",
        content.assume_role or "",
        content.parameters,
        content.variables,
        tuple(content.outputs or ()),
        content.files,
        steps,
        known,
        edges,
        places,
        tuple(findings),
    )
    return runbook, tuple(findings)


def _steps_of(tree: Tree, content: AutomationDocument | None) -> list[Any]:
    if content is not None:
        return content.main_steps
    steps = tree.get("mainSteps") if isinstance(tree, dict) else None
    return steps if isinstance(steps, list) else []


class _Reader:
    """Reads steps, those in loops too; `findings` grows. `lost` counts steps that could not be read at all."""

    def __init__(self, places: Places) -> None:
        self.findings: list[Finding] = []
        self.lost = 0
        self._places = places
        self._first: dict[str, Loc] = {}

    def steps(self, trees: list[Any], loc: Loc, within: str) -> tuple[Step, ...]:
        """The steps of a list that could be read, each knowing the one after it."""
        found = [self._step(tree, (*loc, position), within) for position, tree in enumerate(trees)]
        kept = [step for step in found if step is not None]
        self.lost += len(found) - len(kept)
        names: list[str | None] = [step.name for step in kept]
        return tuple(
            replace(step, following=following) for step, following in zip(kept, [*names[1:], None], strict=False)
        )

    def _step(self, tree: Any, loc: Loc, within: str) -> Step | None:
        declared, findings = check_typed(StepDeclaration, tree, self._places, loc)
        self.findings += findings
        if declared is None:
            return None
        self._note_name(declared.name, loc)
        where = (*loc, "inputs")
        if strange := actions.unknown(declared.action):
            message, near = strange
            self._find(message, (*loc, "action"), one_of(actions.ACTIONS), near)
            return self._plain(declared, {}, loc, within)
        inputs = {} if declared.inputs == "" else declared.inputs
        if not isinstance(inputs, dict):
            self._find(f"{path_text(where)} {is_what(inputs)}", where, "a mapping")
            return self._plain(declared, {}, loc, within)
        self.findings += misfits(declared.action, inputs, self._places, loc)
        step = self._plain(declared, _resolved(declared.action, inputs), loc, within)
        if declared.action == "aws:branch":
            return replace(step, branch=self._branch(inputs, where))
        if declared.action == "aws:loop":
            return self._looping(step, inputs, where)
        return step

    def _plain(self, declared: StepDeclaration, inputs: dict[str, Any], loc: Loc, within: str) -> Step:
        return Step(
            declared.name,
            declared.action,
            loc,
            declared.description or "",
            inputs,
            tuple(self._outputs(declared.outputs or [], (*loc, "outputs"))),
            self._reaction(declared.on_failure, (*loc, "onFailure"), ("Abort", "Continue")),
            self._reaction(declared.on_cancel, (*loc, "onCancel"), ("Abort",)),
            declared.next_step,
            declared.is_end,
            declared.is_critical,
            declared.max_attempts,
            declared.timeout_seconds,
            within=within,
        )

    def _branch(self, inputs: dict[str, Tree], loc: Loc) -> Branch:
        choices = []
        trees = self._written_out(inputs, "Choices", loc)
        if inputs.get("Choices") == []:
            self._find("the branch has no choices", (*loc, "Choices"), "at least one", key=True)
        for position, tree in enumerate(trees):
            if not isinstance(tree, dict):
                continue
            where = (*loc, "Choices", position)
            condition, found = conditions.read(tree, self._places, where, beside=("NextStep",))
            self.findings += found
            target = tree.get("NextStep")
            if not isinstance(target, str):
                self._find(f"{path_text((*where, 'NextStep'))} is missing", where, "the name of a step")
            if condition is not None and isinstance(target, str):
                choices.append(Choice(condition, str(target), position))
        default = inputs.get("Default")
        return Branch(tuple(choices), str(default) if isinstance(default, str) else None)

    def _looping(self, step: Step, inputs: dict[str, Tree], loc: Loc) -> Step:
        trees = self._written_out(inputs, "Steps", loc)
        inner = self.steps(trees, (*loc, "Steps"), step.name)
        condition = None
        if "LoopCondition" in inputs:
            condition, found = conditions.read(inputs["LoopCondition"], self._places, (*loc, "LoopCondition"))
            self.findings += found
        given = [name for name in ("Iterators", "LoopCondition") if name in inputs]
        if len(given) != 1:
            what = "gives both `Iterators` and `LoopCondition`" if given else "says not how often it runs"
            self._find(f"the loop `{step.name}` {what}", loc, "one of `Iterators` and `LoopCondition`", key=True)
        if inputs.get("Steps") == []:
            self._find(f"the loop `{step.name}` has no steps", (*loc, "Steps"), "at least one step", key=True)
        kept = {name: value for name, value in step.inputs.items() if name not in ("Steps", "LoopCondition")}
        return replace(step, inputs=kept, loop=Loop(inner, condition))

    def _written_out(self, inputs: dict[str, Tree], name: str, loc: Loc) -> list[Any]:
        """A list that control flow depends on: no reference can stand for it."""
        tree = inputs.get(name)
        if isinstance(tree, str) and "{{" in tree:
            where = (*loc, name)
            self._find(f"{path_text(where)} {is_what(tree)}", where, "a list of mappings, written out")
        return tree if isinstance(tree, list) else []

    def _outputs(self, declared: list[OutputDeclaration], loc: Loc) -> Iterator[Output]:
        seen: set[str] = set()
        for position, output in enumerate(declared):
            where = (*loc, position)
            if output.name in seen:
                self._find(f"the output `{output.name}` is declared already", (*where, "Name"), "each name once")
            seen.add(output.name)
            try:
                path = jsonpath.parse(output.selector)
            except jsonpath.NotAPath as error:
                self._find(f"the selector is no JSONPath: {error}", (*where, "Selector"), "a path as `$.Payload.id`")
                continue
            yield Output(output.name, output.selector, output.type, path)

    def _reaction(self, text: str | None, loc: Loc, words: tuple[str, ...]) -> Reaction:
        if text is None:
            return Reaction()
        if text.startswith("step:") and text.removeprefix("step:").strip():
            return Reaction("step", text.removeprefix("step:").strip())
        for word in words:
            if text.casefold() == word.casefold():
                return Reaction("Continue" if word == "Continue" else "Abort")
        expected = one_of((*words, "step:NAME"))
        self._find(f"{path_text(loc)} {is_what(text)}", loc, expected, nearest(text, words))
        return Reaction()

    def _note_name(self, name: str, loc: Loc) -> None:
        first = self._first.setdefault(name, loc)
        if first != loc:
            here, there = self._places.of((*loc, "name")), self._places.of((*first, "name"))
            message = f"a step is called `{name}` already"
            self.findings.append(Finding(message, here, "each name once", related=(there,)))

    def _find(self, message: str, loc: Loc, expected: str, near: str = "", *, key: bool = False) -> None:
        self.findings.append(Finding(message, self._places.of(loc, key=key), expected, near))


def _resolved(action: str, inputs: dict[str, Tree]) -> dict[str, Any]:
    """Inputs as values: those that are texts stay what was written, the others as YAML's core schema has them."""
    known = actions.ACTIONS[action].inputs
    return {name: _value(known[name].sort if name in known else "", tree) for name, tree in inputs.items()}


def _value(sort: str, tree: Tree) -> Any:
    if sort == "text" and isinstance(tree, str):
        return str(tree)
    if sort == "texts" and isinstance(tree, list):
        return [str(item) if isinstance(item, str) else resolve(item) for item in tree]
    if sort == "boolean" and isinstance(tree, str) and tree in BOOLEANS:
        return BOOLEANS[tree]
    if sort == "integer" and isinstance(tree, str) and "{{" not in tree:
        return resolve(Plain(tree))
    return resolve(tree)
