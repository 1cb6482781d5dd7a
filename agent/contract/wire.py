"""Messages between agent and server. Unknown fields are ignored; see `codec` for the JSON form.

On the socket, a control frame is a text frame of one JSON object `{"type": NAME, ...fields}`; what is signed travels as
`Signed`. Bodies, contexts and blobs travel as binary stream frames (`frames`), checked by digest when whole.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Dict, List, Optional

from agent.contract.codec import Wire
from agent.contract.heads import Issued
from agent.contract.record import dataclass

PROTOCOL = 1
FRAME_LIMIT = 1024 * 1024
REPORT_LIMIT = 256 * 1024
VALID_FOR = 30 * 86400
"""Seconds after the last contact for which an assignment set may be acted on; later it is only monitored."""

OUTCOMES = ("Unchanged", "Changed", "Drifted", "Failed", "Skipped", "Unknown")
STATUSES = ("Success", "Failed", "TimedOut", "Cancelled", "Skipped", "Interrupted")
MODES = ("ApplyAndAutoCorrect", "ApplyAndMonitor", "AuditOnly")


@dataclass(frozen=True)
class Signed(Wire):
    """`payload` is base64 of the exact bytes, verified before parsing; `sig` is base64 of the binary SSHSIG blob."""

    payload: str
    sig: str


@dataclass(frozen=True)
class Challenge(Wire):
    """First frame of a connection, from the server."""

    fleet_id: str
    nonce: str
    protocol_min: int
    protocol_max: int


@dataclass(frozen=True)
class Hello(Wire):
    """What the agent says of itself and of what it holds. Facts are shown, never trusted."""

    node_id: str
    protocol_min: int
    protocol_max: int
    agent_version: str
    platform: str
    boot_id: str
    key_generation: int
    steps: Dict[str, int]
    features: List[str]
    incarnation: int
    serial: int
    context_digest: Optional[str] = None
    digests: Dict[str, str] = field(default_factory=dict)  # uid -> body digest held
    facts: Dict[str, Any] = field(default_factory=dict)
    last_seq: int = 0
    at: Optional[str] = None
    monotonic: int = 0


@dataclass(frozen=True)
class Transcript(Wire):
    """What both sides sign (`opsctl-hello@v1`): this connection, these nonces, this Hello (by digest)."""

    fleet_id: str
    server_fingerprint: str
    node_id: str
    server_nonce: str
    agent_nonce: str
    protocol: int
    hello_digest: str


@dataclass(frozen=True)
class Interval(Wire):
    """A stretch of time in which changes are allowed; an absent end is open."""

    not_before: Optional[str] = None
    not_after: Optional[str] = None


@dataclass(frozen=True)
class Assignment(Wire):
    """One association as one node should hold it, and what the node may do with it alone.

    `permit` is `none` or `required`: then every run, the generation's and the schedule's, is asked for first.
    `splay` are the seconds over which nodes spread a run of the schedule, each at a place of its own; `heals` is how
    often in an hour the node may put right what differs, None for any number.
    """

    generation: int
    body_digest: str
    permit: str
    allowed: List[Interval] = field(default_factory=list)
    splay: int = 0
    heals: Optional[int] = None


@dataclass(frozen=True)
class AssignmentSet(Issued):
    """Everything one node should hold (`opsctl-assignments@v1`): a level, not a message.

    The agent refuses an older (incarnation, serial). A uid absent in a newer set is removed, by the body's `on_remove`.
    `retire` empties the node for good.
    """

    context_digest: str
    assignments: Dict[str, Assignment]
    interval: int = 1800
    retire: bool = False
    must_understand: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class FileRef(Wire):
    """Bytes addressed by digest."""

    digest: str
    size: int


@dataclass(frozen=True)
class BodyStep(Wire):
    """One step of a body. `inputs` has the form of the action's input type at contract `version`.

    `on_failure` is `stop`, `continue`, `exit` or `successAndExit`; after `on_success: exit` nothing follows success.
    `finally_step`: it is run whatever ended the body before it. `environment` is what its scripts find in theirs,
    besides what all do. `within` is the step that runs the document which this one is of: its name begins with that
    step's. A body that has one of these four names it in `mustUnderstand`.
    """

    name: str
    action: str
    version: int
    inputs: Dict[str, Any]
    on_failure: str = "stop"
    precondition: Optional[Dict[str, List[str]]] = None
    on_success: str = ""
    finally_step: bool = False
    environment: Dict[str, str] = field(default_factory=dict)
    within: str = ""


@dataclass(frozen=True)
class Body(Wire):
    """What an association does, the same for all nodes, addressed by the digest of its canonical JSON.

    `files` says which bytes each repository path named by a step's `source` has. `schedule` is SSM's expression for
    actions that are run rather than held; they run once per generation where it is absent.
    """

    uid: str
    document: str
    steps: List[BodyStep]
    mode: str = "ApplyAndAutoCorrect"
    prune: bool = False
    on_remove: str = "Retain"
    schedule: Optional[str] = None
    files: Dict[str, FileRef] = field(default_factory=dict)
    must_understand: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class NodeContext(Wire):
    """What templates on one node may read, from Git: `labels` and `vars`; `name` is the Node's."""

    name: str
    labels: Dict[str, str] = field(default_factory=dict)
    vars_: Dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ClaimReport(Wire):
    """What one claim was and became. `diff` is bounded and redacted text; `before`/`after` are short descriptions."""

    claim: str
    step: str
    outcome: str
    before: Optional[str] = None
    after: Optional[str] = None
    reason: Optional[str] = None
    diff: Optional[str] = None


@dataclass(frozen=True)
class StepReport(Wire):
    """What came of one step of a job. `output` is its beginning, as SSM shows it; `sizes` are the bytes of the whole.

    A step that was left out, or is not for this node, is Skipped. `payload` is the JSON text of what an action
    that returns something returned.
    """

    name: str
    action: str
    status: str
    rc: int = 0
    started_at: str = ""
    finished_at: str = ""
    reason: Optional[str] = None
    output: Optional[str] = None
    sizes: Dict[str, int] = field(default_factory=dict)
    payload: Optional[str] = None


@dataclass(frozen=True)
class Report(Wire):
    """What one association is on one node (`opsctl-report@v1`).

    `seq` is durable and monotonic per node. `cause` says what made the agent look: Assigned, Interval, Boot, Schedule,
    Drift (something of it was touched), Removed. A report with cause Removed is the last of its association.
    `truncated` counts what did not fit.
    `run_instant` returns the permit of that run: empty for the generation's own, None where there was none.
    A report with `job_id` is the last word on that job, step by step; `output` and `error` are the beginnings of all
    that its steps wrote to stdout and stderr.
    """

    protocol: int
    fleet_id: str
    node_id: str
    boot_id: str
    incarnation: int
    seq: int
    uid: str
    generation: int
    body_digest: str
    context_digest: str
    agent_version: str
    status: str
    claims: List[ClaimReport]
    cause: str
    started_at: str
    finished_at: str
    monotonic: int = 0
    reason: Optional[str] = None
    output: Optional[str] = None
    truncated: int = 0
    run_instant: Optional[str] = None
    job_id: Optional[str] = None
    error: Optional[str] = None
    steps: List[StepReport] = field(default_factory=list)


@dataclass(frozen=True)
class Ack(Wire):
    """Every report up to and including `seq` is durable at the server."""

    seq: int


@dataclass(frozen=True)
class Fetch(Wire):
    """The agent asks for bytes by digest; the server answers each with a `Stream` and its frames, or `Missing`."""

    digests: List[str]


@dataclass(frozen=True)
class Stream(Wire):
    """The bytes of `digest` follow on binary frames of this stream id."""

    stream: int
    digest: str
    size: int


@dataclass(frozen=True)
class Held(Wire):
    """The set of (incarnation, serial) is whole and durable on the node; `digests` is uid -> body digest."""

    incarnation: int
    serial: int
    digests: Dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Missing(Wire):
    """The server does not have, or does not give this node, these bytes."""

    digest: str


@dataclass(frozen=True)
class Credit(Wire):
    """The receiver of a stream can take this many more bytes."""

    stream: int
    bytes_: int


@dataclass(frozen=True)
class Pulse(Wire):
    """The agent's runner is alive: when it last finished looking at everything. Not journalled."""

    at: str
    checked_at: Optional[str] = None
    monotonic: int = 0
    pending: int = 0


@dataclass(frozen=True)
class Unsupported(Wire):
    """The agent does not do what this frame asks; `what` names the type or the field in `mustUnderstand`."""

    what: str
    ref: Optional[str] = None


@dataclass(frozen=True)
class Enrolment(Wire):
    """Asks for a node identity (POST /enroll, over TLS verified against the token's CA digest)."""

    token_id: str
    secret: str
    sign_key: str
    seal_key: str
    hostname: str
    platform: str
    agent_version: str


@dataclass(frozen=True)
class Enrolled(Wire):
    """The identity given. The agent pins `controller_key` (OpenSSH public key text)."""

    fleet_id: str
    node_id: str
    node_name: str
    controller_key: str
    incarnation: int


@dataclass(frozen=True)
class Refusal(Wire):
    """Body of an HTTP answer that refuses: `reason` is a word for programs, `message` a sentence for people.

    Reasons of POST /enroll: `unknown`, `used`, `expired` (the token), `malformed` (the request), `busy` (try later),
    `refused` (anything else).
    """

    reason: str
    message: str


@dataclass(frozen=True)
class Offer(Wire):
    """Body of GET /agent.json: the agent that the server has for nodes, at /agent.pyz, signed in /agent.pyz.sig."""

    version: str
    digest: str
    size: int


@dataclass(frozen=True)
class Token(Wire):
    """A join token as people carry it: where, which fleet, which CA, one secret. See `encode_token`."""

    servers: List[str]
    fleet_id: str
    ca_digest: str
    token_id: str
    secret: str


@dataclass(frozen=True)
class Told(Wire):
    """What a node said last of one association, as the server knows it."""

    generation: int
    body_digest: str
    context_digest: str


@dataclass(frozen=True)
class Join(Wire):
    """First frame of a conversation over SSH, from the server.

    `node_id` is who the machine should be, empty where it is no node yet: then it makes its keys and sends an
    `Enrolment` with `token` (`Token`'s text form, good for this conversation only) and keeps `ca_pem`. `last_seq` and
    `told` are for a node that keeps nothing between two conversations and so cannot know them itself.
    """

    token: str
    ca_pem: str
    node_id: str = ""
    last_seq: int = 0
    told: Dict[str, Told] = field(default_factory=dict)
