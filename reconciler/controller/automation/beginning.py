"""How executions begin: the document, what it is given, and for which targets, checked before anything is kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from agent.contract.canonical import digest
from reconciler.capabilities.changes import automation
from reconciler.controller.automation.runbooks import source_of
from reconciler.controller.document_orders import BROUGHT, require_reach
from reconciler.core import nodeset
from reconciler.core.access import ROLE
from reconciler.core.executions import ExecutionRow
from reconciler.core.fields import TARGET_EXPECTED
from reconciler.core.parameters import SECURE, Selector
from reconciler.core.problem import Finding, Invalid, Place, Refused
from reconciler.core.select import Target, known_key
from reconciler.documents.runbook import Runbook, references
from reconciler.documents.stored import PREFIXES as STORED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.capabilities.changes.automation import StartChild, Started
    from reconciler.capabilities.changes.automation.events import Mode
    from reconciler.controller.permissions import Permissions
    from reconciler.controller.shelf import Shelf
    from reconciler.controller.state import State
    from reconciler.core.access import Subject
    from reconciler.core.ports import Source
    from reconciler.documents.document import Document

AUTOMATION = "Automation"
"""The kind that verbs on executions are granted on."""
MOST_DEPTH = 10
"""Executions that may stand above one that another started."""
VALUES = "ParameterValues"
"""The key of a target that lists what the parameter gets, instead of nodes."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants executed. With `parameter` once for each target, which that parameter gets."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    mode: Mode = "Auto"
    targets: Sequence[Target] = ()
    parameter: str = ""
    max_concurrency: str = automation.CONCURRENCY
    max_errors: str = automation.ERRORS


@dataclass(frozen=True, slots=True)
class Beginning:
    """An execution that is not yet kept. `source` is what its runbook is found by again."""

    started: Started
    row: ExecutionRow
    runbook: Runbook
    source: bytes


class Beginnings:
    """May be asked from any thread."""

    def __init__(self, state: State, source: Source, permissions: Permissions, shelf: Shelf) -> None:
        self._state, self._source, self._permissions, self._shelf = state, source, permissions, shelf

    def of(
        self,
        document: Document,
        text: bytes,
        wanted: Wanted,
        subject: Subject,
        *,
        execution: str,
        at: int,
        kind: str = AUTOMATION,
        parent: str = "",
        depth: int = 0,
    ) -> Beginning:
        """An execution of this document. `kind` is what the verb `start` is asked for on the targets.

        Raises `Invalid` for what the runbook does not take, `Refused` for nodes that are beyond reach.
        """
        runbook = document.content
        if not isinstance(runbook, Runbook):
            raise Refused(
                f"{document.name} is of type {document.type}", "document", "run it on nodes: opsctl document run"
            )
        if bool(wanted.targets) != bool(wanted.parameter):
            place = Place("--target-parameter-name" if wanted.targets else "--targets")
            raise Invalid((Finding("targets and the parameter that gets them go together", place, "both, or neither"),))
        source = source_of(document.path, text, reviewed=kind != BROUGHT)
        started = automation.start(
            runbook,
            wanted.parameters,
            fleet_id=self._state.world.fleet_id,
            execution=execution,
            subject=subject.name,
            at=at,
            facts=self._facts(runbook, wanted),
            mode=wanted.mode,
            parent=parent,
            revision=digest(source),
            over=(wanted.parameter, self._values(wanted.targets, subject, kind)) if wanted.targets else None,
            max_concurrency=wanted.max_concurrency,
            max_errors=wanted.max_errors,
        )
        started = replace(started, assume_role=self._assumed(started.assume_role, subject))
        return begun(started, runbook, source, " ".join(map(str, wanted.targets)), depth)

    def _assumed(self, asked: str, subject: Subject) -> str:
        """Whose rights the execution has: `Role/NAME` for a role of this repository, which the subject has to hold.

        What somebody acts for who has a role's rights alone has no others, whatever it asks for.
        """
        if subject.role:
            return ROLE + subject.role
        catalog, name = self._shelf.catalog(), asked.rpartition("/")[2]
        if name not in catalog.roles:
            return asked
        operator = catalog.operators.get(subject.name)
        if not subject.everything and (operator is None or name not in operator.roles):
            raise Refused(f"{subject.name} does not hold the role {name} that the runbook asks for", "access")
        return ROLE + name

    def child(self, effect: StartChild, subject: Subject, at: int, depth: int) -> Beginning:
        """What a step starts. Raises as `of`, and `Refused` for too deep a nesting or what nothing here can do."""
        self._permissions.check(subject, "start", AUTOMATION)
        if depth > MOST_DEPTH:
            raise Refused(f"executions start one another {MOST_DEPTH} deep at most", "automation")
        options = effect.options
        for name in ("TargetLocations", "TargetMaps"):
            if options.get(name):
                raise Refused(
                    f"Unsupported: `{name}` needs other accounts or maps, which there are none of", "automation"
                )
        document = self._shelf.named(effect.document.rpartition("/")[2])
        wanted = Wanted(
            effect.parameters,
            targets=listed_targets(options.get("Targets") or ()),
            parameter=str(options.get("TargetParameterName") or ""),
            max_concurrency=str(options.get("MaxConcurrency") or automation.CONCURRENCY),
            max_errors=str(options.get("MaxErrors") or automation.ERRORS),
        )
        text = self._shelf.text(document)
        return self.of(
            document,
            text,
            wanted,
            subject,
            execution=effect.execution,
            at=at,
            parent=effect.parent,
            depth=depth,
        )

    def _facts(self, runbook: Runbook, wanted: Wanted) -> dict[str, Any]:
        """Stored parameters that the runbook or what it is given refers to. A SecureString is none: events are kept."""
        given = [text for _, text in references.texts(dict(wanted.parameters))]
        names = {name for text in given for name in references.names(text)} | automation.wanted_facts(runbook)
        kept = self._shelf.catalog().stored(self._source)
        found = {}
        for name in (name for name in names if name.startswith(STORED)):
            parameter = kept.find(Selector.parse(name.removeprefix("resolve:").removeprefix("ssm:")))
            if parameter is not None and parameter.type != SECURE:
                found[name] = parameter.resolved
        return found

    def _values(self, targets: Sequence[Target], subject: Subject, kind: str) -> list[str]:
        """What the parameter gets, one execution each: the values that are listed, or the ids of the nodes by name."""
        listed = [target for target in targets if target.key == VALUES]
        if listed and len(targets) == 1:
            return list(listed[0].values)
        world = self._state.world
        nodes = self._shelf.catalog().resolver(world.nodes)(targets)
        require_reach(nodes, self._permissions.reach(subject, "start", kind, world.nodes), targets, world)
        entries = (world.nodes.entries[bit] for bit in nodeset.positions(nodes))
        return [entry.id for entry in sorted((one for one in entries if one is not None), key=lambda one: one.name)]


def of_target(effect: StartChild, runbook: Runbook, source: bytes, above: Started, at: int, depth: int) -> Beginning:
    """One of the executions of one that runs once per target: the same runbook, whatever is in force by now."""
    started = automation.start(
        runbook,
        effect.parameters,
        fleet_id=above.fleet_id,
        execution=effect.execution,
        subject=effect.subject,
        at=at,
        facts=above.facts,
        parent=effect.parent,
        revision=effect.version,
    )
    started = replace(started, assume_role=above.assume_role)
    return begun(started, runbook, source, "", depth)


def begun(started: Started, runbook: Runbook, source: bytes, targets: str, depth: int) -> Beginning:
    """A beginning with the row that the store keeps of it."""
    row = ExecutionRow(
        started.execution,
        runbook.name,
        started.revision,
        started.subject,
        started.at,
        started.parent,
        depth,
        started.mode,
        targets,
    )
    return Beginning(started, row, runbook, source)


def listed_targets(given: Any) -> tuple[Target, ...]:
    """Targets as SSM's documents have them: `[{Key: ..., Values: [...]}]`. Raises `Invalid`."""
    found = []
    for position, one in enumerate(given if isinstance(given, (list, tuple)) else [given]):
        key, values = (one.get("Key"), one.get("Values")) if isinstance(one, dict) else (None, None)
        target = Target(str(key), tuple(map(str, values if isinstance(values, list) else [])))
        if not (known_key(target.key) or target.key == VALUES) or (target.key != "*" and not target.values):
            place = Place(f"Targets[{position}]")
            raise Invalid((Finding(f"`{target}` is no target", place, f"{TARGET_EXPECTED}, or {VALUES}"),))
        found.append(target)
    return tuple(found)
