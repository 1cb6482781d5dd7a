"""Association: State Manager's word for "these nodes are to be as this document says, with these parameters"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from agent.contract import schedule
from agent.contract.canonical import canonical, digest
from agent.contract.codec import to_wire
from agent.contract.wire import Body
from reconciler.core import nodeset, rate
from reconciler.core.effect import Assign, Record, Withdraw
from reconciler.core.fields import OURS, TargetField
from reconciler.core.nodeset import EMPTY, NodeSet
from reconciler.core.records import FAILURES
from reconciler.core.resource import Model, Name
from reconciler.core.typed.markers import StringOrList, Wrong
from reconciler.documents.steps import asked_of_agents

if TYPE_CHECKING:
    from agent.contract.wire import Report
    from reconciler.core.effect import Effect
    from reconciler.core.problem import Place
    from reconciler.core.world import World
    from reconciler.documents.compile import Placed, SourceFile, Steps

# --- Model ---------------------------------------------------------------------------------------------------------


def _schedule(expression: str) -> str:
    if wrong := schedule.check(expression):
        raise Wrong(wrong, expected=schedule.EXPECTED)
    return expression


ScheduleExpression = Annotated[
    str,
    AfterValidator(_schedule),
    Field(json_schema_extra={"pattern": r"^(rate|cron)\(.*\)$", "x-expected": schedule.EXPECTED}),
]


class AssociationSpec(Model):
    """What, with which parameters, on which nodes, how carefully. Names are SSM's, but for those marked as ours."""

    document: Name = Field(json_schema_extra=OURS)
    """The document by its file's name without extension (SSM's `Name`)."""
    document_version: Literal["$LATEST", "$DEFAULT"] = "$DEFAULT"
    """Both mean the document at the commit in force: versions of documents are Git's."""
    parameters: dict[str, StringOrList] = Field(default_factory=dict)
    """Values for the document's parameters, each a text or a list of texts."""
    targets: tuple[TargetField, ...] = Field(default=(), min_length=1)
    """The nodes that all of these select. Required but for an Automation document that is executed once."""
    automation_target_parameter_name: str | None = None
    """Of an Automation document, the parameter that gets the target: one execution for each."""
    schedule_expression: ScheduleExpression | None = None
    """When scripts run again, in UTC: `rate(30 minutes)` or `cron(0 2 ? * SUN *)`; once per change where absent."""
    max_concurrency: Annotated[str, Field(pattern=rate.PATTERN)] | None = None
    """How many nodes may change at once, as a number or a percentage of the targets."""
    max_errors: Annotated[str, Field(pattern=rate.ERRORS_PATTERN)] | None = None
    """How many nodes may fail before the rest is held back, as a number or a percentage."""
    compliance_severity: Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "UNSPECIFIED"] = "UNSPECIFIED"
    """How bad it is when a node is not as it should be."""
    mode: Literal["ApplyAndAutoCorrect", "ApplyAndMonitor", "AuditOnly"] = Field(
        default="ApplyAndAutoCorrect", json_schema_extra=OURS
    )
    """Whether drift is repaired, only reported after the first apply, or nothing is ever changed."""
    prune: bool = Field(default=False, json_schema_extra=OURS)
    """Whether what left the document is taken away where opsctl created it."""
    on_remove: Literal["Retain", "Prune"] = Field(default="Retain", json_schema_extra=OURS)
    """What becomes of it all when a node leaves the targets or the association leaves Git."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """An association ready to be given out: the body's canonical JSON, what it claims, what it was made of.

    `content` is what the canonical JSON is of, so that nobody who compares bodies has to read it again. `files` are the
    sources it names, by repository path; `closure` every path that a change of it can come from; `runs` the steps that
    own nothing; `parameters` the stored ones that it refers to.
    """

    uid: str
    body: bytes
    body_digest: str
    claims: tuple[Placed, ...]
    document_uid: str
    files: dict[str, SourceFile]
    closure: frozenset[str]
    place: Place
    runs: tuple[Placed, ...] = ()
    parameters: frozenset[str] = frozenset()
    content: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def compiled(uid: str, spec: AssociationSpec, steps: Steps, place: Place) -> Compiled:
    """The body of an association from its document's compiled steps."""
    body = Body(
        uid=uid,
        document=spec.document,
        steps=list(steps.steps),
        mode=spec.mode,
        prune=spec.prune,
        on_remove=spec.on_remove,
        schedule=spec.schedule_expression,
        files={path: file.ref for path, file in steps.files.items()},
        must_understand=asked_of_agents(steps.steps),
    )
    content = to_wire(body)
    data = canonical(content)
    return Compiled(
        uid=uid,
        body=data,
        body_digest=digest(data),
        claims=steps.claims,
        document_uid=steps.document_uid,
        files=steps.files,
        closure=frozenset({place.path, steps.document_path, *steps.files, *steps.parameter_files, *steps.documents}),
        place=place,
        runs=steps.runs,
        parameters=steps.parameters,
        content=content,
    )


# --- Plan ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Desired:
    """An association at a revision, resolved: its body, the nodes it targets, the nodes where it is contested."""

    uid: str
    body: bytes
    body_digest: str
    commit: str
    targets: NodeSet
    contested: NodeSet = EMPTY


def plan(desired: Desired, world: World) -> list[Effect]:
    """Give the body to targets that were given another one or none; take it from nodes that are targets no more."""
    columns = world.of(desired.uid)
    effects: list[Effect] = []
    assign = nodeset.without(desired.targets, columns.on(desired.body_digest) | desired.contested)
    if assign:
        effects.append(Assign(desired.uid, assign, desired.body, desired.body_digest, desired.commit))
    leaving = nodeset.without(columns.anywhere, desired.targets)
    if leaving:
        effects.append(Withdraw(desired.uid, leaving))
    return effects


FAILED_STATUSES = FAILURES
"""What counts as an error of an association."""


def compliance(report: Report) -> str:
    """COMPLIANT, NON_COMPLIANT or UNKNOWN of one report: SSM's words for what its claims came to."""
    outcomes = {claim.outcome for claim in report.claims}
    if report.status in FAILED_STATUSES or outcomes & {"Failed", "Drifted"}:
        return "NON_COMPLIANT"
    if report.status == "Cancelled" or "Unknown" in outcomes:
        return "UNKNOWN"
    return "COMPLIANT"


def absorb(report: Report, since: int, before: Record | None) -> list[Effect]:
    """A Record where the report changes what people were told before; nothing where it says the same again."""
    findings = tuple(claim for claim in report.claims if claim.outcome not in ("Unchanged", "Changed"))
    verdict = compliance(report)
    record = Record(
        report.uid, report.node_id, report.generation, verdict, report.status, report.reason or "", since, findings
    )
    if before is not None and _same(before, record):
        return []
    return [record]


def _same(one: Record, other: Record) -> bool:
    return _told(one) == _told(other)


def _told(record: Record) -> tuple[object, ...]:
    """What people are told of a state: a transition is a difference here."""
    keys = sorted((claim.claim, claim.outcome) for claim in record.findings)
    return (record.generation, record.compliance, record.status, record.reason, keys)
