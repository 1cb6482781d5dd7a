"""The documents that `--format json` prints, one type each: their schemas are published below `schemas/faces/`.

Within a version fields are only added. Instants are `YYYY-MM-DDTHH:MM:SS.mmmZ` in UTC.
"""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

from reconciler.cli.automation_documents import AUTOMATION_DOCUMENTS
from reconciler.cli.command_documents import COMMAND_DOCUMENTS
from reconciler.cli.findings import FindingView
from reconciler.cli.inventory_documents import INVENTORY_DOCUMENTS
from reconciler.cli.parameter_documents import PARAMETER_DOCUMENTS
from reconciler.cli.secret_documents import SECRET_DOCUMENTS
from reconciler.cli.session_documents import SESSION_DOCUMENTS
from reconciler.cli.ssm_documents import SSM_DOCUMENTS
from reconciler.engine.views import PlanView

Compliance = Literal["COMPLIANT", "NON_COMPLIANT", "UNKNOWN"]


class InitDocument(TypedDict):
    """`opsctl init`: the repository that was made."""

    format: Literal["opsctl.init/v1"]
    directory: str
    commit: str
    files: int


class ValidateDocument(TypedDict):
    """`opsctl validate`. `valid` says that no finding is an error."""

    format: Literal["opsctl.validate/v1"]
    valid: bool
    files: int
    findings: list[FindingView]


class Counts(TypedDict):
    """Pairs of node and association by how far they have come.

    `done` answered and did not fail, `failed` did, `drifted` answered and are not as wanted, `running` were given it
    and have not answered, `waiting` are not given it yet, `offline` are not connected, `held` do not get it.
    """

    total: int
    done: int
    failed: int
    drifted: int
    running: int
    waiting: int
    offline: int
    held: int


class AppliedAssociation(Counts):
    """One association of an apply. `failedNodes` names the first of them."""

    uid: str
    failedNodes: list[str]


class WaitCount(TypedDict):
    """How many nodes do not get (or lose) an association now, by which rule of the gate and why."""

    uid: str
    rule: str
    reason: str
    nodes: int


class ApplyDocument(Counts):
    """`opsctl apply`: what came of it. `apply` is its id, `at` Unix milliseconds.

    `dropped` are changes that the saved plan named and that are needed no more. `superseded` says that a newer commit
    came into force meanwhile; `visiting` counts nodes that the server is on its way to, `unreached` those that it could
    not reach.
    """

    format: Literal["opsctl.apply/v1"]
    apply: str
    commit: str
    subject: str
    at: int
    removals: int
    dropped: list[str]
    superseded: bool
    finished: bool
    visiting: int
    unreached: int
    associations: list[AppliedAssociation]
    waits: list[WaitCount]


class ConditionView(TypedDict):
    """A resource that is not as its author meant it, and why; `findings` as `opsctl validate` prints them."""

    uid: str
    type: str
    status: str
    reason: str
    message: str
    findings: list[str]


class StatusDocument(TypedDict):
    """`opsctl status`: `revision` is in force, `head` the newest fetched; `held` says why associations stand, `frozen`
    why nothing changes anywhere.

    `conflicts` begin with file:line:column.
    """

    format: Literal["opsctl.status/v1"]
    fleet: str
    revision: str | None
    head: str | None
    sync: str | None
    fetchedAt: str | None
    problems: list[str]
    nodes: int
    online: int
    failing: int
    drifted: int
    associations: int
    conditions: list[ConditionView]
    conflicts: list[str]
    frozen: str
    held: dict[str, str]
    waits: list[WaitCount]


class _NamedNode(TypedDict):
    id: str
    name: str
    state: Literal["Online", "Inactive", "ConnectionLost", "Held", "NotEnrolled", "Retired"]


class NodeRow(_NamedNode, total=False):
    """A node in a list; one that Git declares and nobody enrolled has an empty `id` and no more than its name.

    `Held` is a node that nothing is given to; `reason` says why, also of one that the server cannot reach over SSH.
    `Inactive` is one that is connected and has not looked at itself for long. `frozen` says why a node only monitors.
    """

    reason: str
    compliance: Compliance
    failing: bool
    labels: dict[str, str]
    frozen: str
    lastSeen: str | None
    checkedAt: str | None


class NodesDocument(TypedDict):
    """`opsctl node list`."""

    format: Literal["opsctl.nodes/v1"]
    nodes: list[NodeRow]


class _Finding(TypedDict):
    claim: str
    step: str
    outcome: Literal["Drifted", "Failed", "Skipped", "Unknown"]


class ClaimFinding(_Finding, total=False):
    """A claim that is not as it should be: what it is and should be, why, and a bounded diff."""

    before: str
    after: str
    reason: str
    diff: str


class GivenAssociation(TypedDict):
    """An association as a node has it. `held` says that the node acknowledged it; `findings` are its last word."""

    uid: str
    generation: int
    bodyDigest: str
    held: bool
    status: str
    compliance: Compliance
    reason: str
    since: str | None
    findings: list[ClaimFinding]


class NodeDocument(TypedDict):
    """`opsctl node show`. `reason` says why it is `Held`; `facts` are the node's own word: shown, never trusted."""

    format: Literal["opsctl.node/v1"]
    id: str
    name: str
    state: Literal["Online", "Inactive", "ConnectionLost", "Held"]
    reason: str
    compliance: Compliance
    failing: bool
    labels: dict[str, str]
    frozen: str
    lastSeen: str | None
    checkedAt: str | None
    agentVersion: str
    platform: str
    enrolledAt: str
    serial: int
    facts: dict[str, Any]
    assignments: list[GivenAssociation]


class RetiredDocument(_NamedNode):
    """`opsctl node retire`."""

    format: Literal["opsctl.retired/v1"]


class TokenDocument(TypedDict):
    """`opsctl token create`. The token is a secret."""

    format: Literal["opsctl.token/v1"]
    token: str


class ReasonView(TypedDict):
    """Why one claim is on a node: association, document, step, file:line:column, commit; and what it waits for.

    `until` is the step's last line (0: the file's), `sources` the files that its content comes from, `because` the
    targets that selected the node; `waits` is empty where nothing is to come.
    """

    uid: str
    document: str
    claim: str
    step: str
    place: str
    until: int
    sources: list[str]
    declared: str
    revision: str
    because: list[str]
    compliance: str
    status: str
    reason: str
    since: str | None
    outcome: str
    waits: list[str]
    commit: str
    author: str
    committedAt: str
    subject: str


class ExplainDocument(TypedDict):
    """`opsctl explain`. No reasons: nothing in Git asks for it."""

    format: Literal["opsctl.explain/v1"]
    node: str
    claim: str | None
    revision: str | None
    reasons: list[ReasonView]


class AgentDocument(TypedDict):
    """`opsctl agent package`. `size` is in bytes, `digest` is `sha256:` and 64 hex digits."""

    format: Literal["opsctl.agent/v1"]
    path: str
    size: int
    digest: str


class SignatureDocument(TypedDict):
    """`opsctl agent sign`. `digest` is that of the file which was signed, `key` the controller's public key."""

    format: Literal["opsctl.signature/v1"]
    path: str
    digest: str
    key: str


class ProblemDocument(TypedDict):
    """Any command that fails: the same object as the API answers with. `class` says what may be done about it."""

    format: Literal["opsctl.problem/v1"]
    error: dict[str, Any]


DOCUMENTS: dict[str, Any] = {
    "agent": AgentDocument,
    "apply": ApplyDocument,
    "explain": ExplainDocument,
    "init": InitDocument,
    "node": NodeDocument,
    "nodes": NodesDocument,
    "plan": PlanView,
    "problem": ProblemDocument,
    "retired": RetiredDocument,
    "signature": SignatureDocument,
    "status": StatusDocument,
    "token": TokenDocument,
    "validate": ValidateDocument,
    **SSM_DOCUMENTS,
    **COMMAND_DOCUMENTS,
    **AUTOMATION_DOCUMENTS,
    **SECRET_DOCUMENTS,
    **INVENTORY_DOCUMENTS,
    **PARAMETER_DOCUMENTS,
    **SESSION_DOCUMENTS,
}
"""Every document by the name in its `format`."""
