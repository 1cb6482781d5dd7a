"""Jobs: a body to run once on one node, what is said of it while it runs, and its end before its time.

Frames: `job`, `revocation` and `compiled` carry `Signed` under `signed` (`opsctl-job@v1`, `opsctl-revocation@v1`,
`opsctl-job@v1`); the others are plain. What the job's programs say goes to the server on binary frames of a stream that
`output` opens.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Dict, List

from agent.contract.codec import Wire
from agent.contract.leave import Envelope
from agent.contract.record import dataclass
from agent.contract.wire import BodyStep

FEATURE = "job"
"""What an agent that takes jobs says in its Hello."""
STREAMS = ("stdout", "stderr")
OUTPUT_KEPT = 16 * 1024 * 1024
"""Bytes of one output of one step that are kept, here and at the server: its beginning."""


@dataclass(frozen=True)
class Job(Wire):
    """A body to run once. The envelope has `job_id`, and `delivery_timeout`, `execution_timeout` in seconds.

    `expires_in` bounds the start: whoever gets it later does not begin.
    """

    envelope: Envelope
    body_digest: str


@dataclass(frozen=True)
class Revocation(Wire):
    """Ends a ticket or a job before its time. Of a job, `revoked_id` is also the envelope's `job_id`."""

    envelope: Envelope
    revoked_id: str


@dataclass(frozen=True)
class Accepted(Wire):
    """The job is on the node's disk: from now on it has an end that will be reported."""

    job_id: str


@dataclass(frozen=True)
class Revoked(Wire):
    """The answer to the revocation of a job that is not open on this node: it will never begin here."""

    job_id: str


@dataclass(frozen=True)
class Output(Wire):
    """The agent is about to send what a step says: the server answers how much of it there is already (`Stored`)."""

    stream: int
    job_id: str
    step: str
    name: str


@dataclass(frozen=True)
class Stored(Wire):
    """So many bytes are in the output store; the agent may have a window more on its way.

    `full`: nothing more is taken.
    """

    stream: int
    offset: int
    full: bool = False


DOCUMENT_LIMIT = 64 * 1024
"""Bytes of a document, as SSM has it."""


@dataclass(frozen=True)
class Compile(Wire):
    """The agent asks for the steps of a document that is on the node alone, and that a step of its job runs.

    `depth` counts the documents that it is run within, the job's own as well.
    """

    job_id: str
    step: str
    path: str
    text: str
    parameters: Dict[str, Any] = field(default_factory=dict)
    depth: int = 1


@dataclass(frozen=True)
class Compiled(Wire):
    """The answer to the `Compile` of that digest: the steps under the names that they have in the job's body.

    Where there is a `problem`, there are no steps. The envelope's `must_understand` names fields of `BodyStep`.
    """

    envelope: Envelope
    question: str
    steps: List[BodyStep] = field(default_factory=list)
    problem: str = ""
