"""The ports: what the house asks of the world outside, as Protocols.

Each port has a real adapter and a first-class in-memory one under `reconciler/adapters/`, and one contract suite that
both pass. Adapters wrap every foreign exception into the classes of `problem`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from agent.contract.wire import Signed
    from reconciler.core.cleartext import Cleartext
    from reconciler.core.commands import CommandRow, InvocationRow
    from reconciler.core.executions import Answer, ExecutionRow
    from reconciler.core.parameters import Parameter, Selector, Version
    from reconciler.core.records import (
        AssignmentRow,
        AuditRow,
        Changes,
        EffectRow,
        InventoryRow,
        LeaveRow,
        NodeRow,
        PermitRow,
        ReleaseRow,
        StateRow,
        TokenRow,
    )
    from reconciler.core.world import Columns


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as people quote it. `at` is the committer's instant in Unix milliseconds; `author` is `Name <mail>`."""

    oid: str
    parents: tuple[str, ...]
    author: str
    at: int
    subject: str


PLAIN, EXECUTABLE, LINK = "100644", "100755", "120000"
REGULAR = (PLAIN, EXECUTABLE)
"""Modes of regular files in a tree."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a tree. `mode` is Git's octal text (`100644`, `100755`, `120000`)."""

    path: str
    oid: str
    mode: str
    size: int = -1


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs between two commits; `old` or `new` is None where it does not exist on that side."""

    path: str
    old: Entry | None
    new: Entry | None


SignatureVerdict = Literal["good", "unsigned", "unlisted", "bad"]


class Source(Protocol):
    """A config repository, read at a commit without a checkout.

    Raises `Unavailable` when the remote does not answer or the repository lacks what was asked for. Never `Invalid`:
    contents are judged by `engine.load`. Only `fetch` asks the remote.
    """

    def head(self) -> str | None:
        """The commit of the tracked branch that was accepted last, None before the first."""

    def fetch(self, *, allow_rewrite: bool = False) -> str | None:
        """Fetch the tracked branch and accept its commit; its id, or None for an empty repository.

        `Refused` for rewritten or unrelated history unless `allow_rewrite`, and for a branch that vanished; what was
        accepted then stays.
        """

    def resolve(self, rev: str) -> str:
        """The commit id that `rev` names; `Refused` with the nearest ref where there is none."""

    def is_ancestor(self, old: str, new: str) -> bool: ...

    def commit(self, oid: str) -> Commit: ...

    def first_parents(self, oid: str, limit: int) -> Iterator[Commit]:
        """`oid` and its first-parent ancestors, newest first, at most `limit`."""

    def tree(self, oid: str) -> Mapping[str, Entry]:
        """Every file of a commit by path."""

    def changes(self, old: str | None, new: str) -> list[Change]:
        """Paths that differ between two commits (`old` None: the empty tree)."""

    def touching(self, oid: str, folder: str, after: str | None = None) -> list[tuple[Commit, list[Change]]]:
        """First-parent commits up to `oid` that changed files below `folder/`, oldest first, each with those changes.

        With `after`, an earlier commit of that line, only those since.
        """

    def blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        """Contents by blob id, read in one batch; `Refused` for a file too large to read."""

    def read(self, oid: str, paths: Iterable[str]) -> dict[str, bytes]:
        """Contents at a commit of those of `paths` that exist; `folder/` names all files below it."""

    def last_change(self, oid: str, path: str, line: int) -> Commit:
        """The commit that last wrote that line of that file (line 0: the file), as seen from commit `oid` (blame)."""

    def lines_written(self, oid: str, path: str) -> list[str]:
        """For each line of that file, the id of the commit that last wrote it, as seen from commit `oid`."""

    def signature(self, oid: str, allowed_signers: bytes) -> SignatureVerdict:
        """Whether the commit is signed by one of the keys in an OpenSSH allowed-signers file's text."""


ONE_LEADER = "one leader per state"
"""The rule by which a store refuses a writer whose lease is not, or no longer, its own."""


class Store(Protocol):
    """Truth that outlives the process. One writer (it holds a fenced lease); every table has `fleet_id` first.

    Raises `Unavailable` when it cannot be reached, `Refused` by the rule `ONE_LEADER` when the lease is not ours.
    """

    @property
    def incarnation(self) -> int:
        """Unix milliseconds at which the store was made or declared restored."""

    def declare_restored(self, at: int) -> int:
        """The new incarnation after a restore from a backup: `at`, or one more than the last where that is later."""

    def commit(self, changes: Changes) -> None:
        """All of it or nothing, durable on return. `Refused` without the lease, `Defect` for what cannot be kept."""

    def collect(self, *, effects_before: int = 0, audit_before: int = 0, commands_before: int = 0) -> int:
        """Forget what nobody needs any more; how many rows that were.

        Bodies that no assignment, no newest release, no node's context, no command and no execution names, and files
        that none of the rest names; effects with an outcome that were queued, audit rows that were written, and
        commands and executions that are over and were asked for before these Unix milliseconds.
        """

    def nodes(self) -> list[NodeRow]:
        """Every node, retired ones too, in the order of enrolment."""

    def node(self, node_id: str) -> NodeRow | None: ...

    def assignments(self) -> Iterator[AssignmentRow]:
        """Every row, ordered by uid; made for loading World."""

    def columns(self, position: Mapping[str, int]) -> Mapping[str, Columns]:
        """World's columns, built from all assignment rows with each node's bit position.

        Made for speed, which it has where positions grow with the order of `nodes`.
        """

    def assignments_of(self, node_id: str) -> list[AssignmentRow]: ...

    def assignment(self, node_id: str, uid: str) -> AssignmentRow | None:
        """The row of one pair."""

    def states(self, *, node_ids: Iterable[str] | None = None, since: int = 0) -> list[StateRow]:
        """State rows of these nodes (None: all) that changed at or after `since` (Unix milliseconds)."""

    def state(self, node_id: str, uid: str) -> StateRow | None:
        """The state row of one pair."""

    def inventory(self, node_id: str) -> list[InventoryRow]:
        """Ordered by type."""

    def is_inventory(self, content_hash: str) -> bool:
        """Whether some node has this content of some type."""

    def releases(self) -> list[ReleaseRow]:
        """The newest of each uid."""

    def release(self, uid: str, generation: int) -> ReleaseRow | None: ...

    def leaves(self) -> list[LeaveRow]:
        """Ordered by uid."""

    def leaves_of(self, node_id: str) -> list[LeaveRow]:
        """Those of the associations that the node has, ordered by uid."""

    def permits(self) -> list[PermitRow]:
        """Ordered by uid and node id."""

    def commands(self, *, limit: int = 50) -> list[CommandRow]:
        """Newest first."""

    def open_commands(self) -> list[CommandRow]:
        """Those that are not over, oldest first."""

    def command(self, command_id: str) -> CommandRow | None: ...

    def invocations(self, command_id: str) -> list[InvocationRow]:
        """Ordered by the node's name."""

    def invocation(self, job_id: str) -> InvocationRow | None: ...

    def executions(self, *, limit: int = 50, parent: str | None = None) -> list[ExecutionRow]:
        """Newest first; with `parent` those that this one started (empty: those that none did)."""

    def open_executions(self) -> list[ExecutionRow]:
        """Those that are not over, oldest first."""

    def execution(self, execution_id: str) -> ExecutionRow | None: ...

    def events(self, execution_id: str) -> list[str]:
        """What happened in an execution, in order: one JSON text each."""

    def body(self, digest: str) -> bytes | None:
        """A body's, a node context's or a runbook's bytes, or those of a file that a body names."""

    def token(self, token_id: str) -> TokenRow | None: ...

    def pending_effects(self) -> list[EffectRow]:
        """Effects without an outcome, oldest first."""

    def audit(self, *, limit: int = 200, before: int | None = None) -> list[AuditRow]:
        """Newest first; `before` is the `number` of the last row already seen."""

    def settings(self) -> Mapping[str, str]: ...

    def renew_lease(self, holder: str, at: int, seconds: int, *, seize: bool = False) -> None:
        """Take or keep the fenced lease. `Refused` while another holder's has not run out, and whenever ours was taken.

        `seize` takes it all the same: for one who knows that the last holder is dead, by holding the state's lock.
        """

    def release_lease(self) -> None:
        """Let the next holder in at once. Nothing happens where the lease is not ours."""

    def close(self) -> None: ...


class Parameters(Protocol):
    """Parameter Store at one moment: every parameter with its versions. A SecureString's value is its ciphertext.

    Names are absolute (`/prod/db/url`). Raises `Unavailable` when it cannot be reached.
    """

    def find(self, selector: Selector) -> Parameter | None:
        """The parameter as that version has it (none named: as it is now); None where there is no such version."""

    def version(self, selector: Selector) -> Version | None:
        """The version that a number or a label names, the newest where nothing does."""

    def versions(self, name: str) -> Sequence[Version]:
        """Every version of a parameter, oldest first; empty for no such parameter."""

    def labels(self, name: str) -> Mapping[str, int]:
        """Numbers of versions by label."""

    def below(self, path: str, *, recursive: bool) -> Sequence[Parameter]:
        """Parameters below a level of the hierarchy, ordered by name; right below it unless `recursive`."""

    def nearest(self, selector: Selector) -> str:
        """What is there that is closest to a selector of which nothing was found, or an empty string."""


class Unseal(Protocol):
    """Opens a SecureString."""

    def __call__(self, parameter: Parameter, /) -> Cleartext:
        """Its value. Raises `Refused` where no key opens it, `Invalid` where its file was changed by other hands."""


class OutputStore(Protocol):
    """What jobs said, whole: a growing run of bytes for each (job, step, stream). Called from any thread.

    Raises `Unavailable` when it cannot be reached, `Refused` for a name that can be none of a step's.
    """

    def append(self, job_id: str, step: str, stream: str, offset: int, data: bytes) -> tuple[int, bool]:
        """Keep bytes that begin at `offset`, durably; (how many are kept now, whether no more are taken).

        What is there already is left as it is, so that sending again does no harm; what would leave a gap is not kept.
        """

    def sizes(self, job_id: str) -> Mapping[tuple[str, str], int]:
        """Bytes by step and stream; empty for a job that said nothing."""

    def read(self, job_id: str, step: str, stream: str, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset`; empty where there are none."""

    def collect(self, before: int, most: int) -> int:
        """Forget jobs that began before this instant (Unix milliseconds), and the oldest while more than `most` bytes
        are kept; how many jobs that were."""

    def close(self) -> None: ...


class Outside(Protocol):
    """Work that a step of an automation has done elsewhere, as a webhook or a cloud's API. Blocks; on any thread.

    Foreign errors are answers, not exceptions: the step fails with the reason.
    """

    def perform(self, work: str, action: str, inputs: Mapping[str, Any], deadline: int | None) -> Answer:
        """Do the work of this id and say how it went. After a restart it may be asked for again, under the same id.

        `inputs` are the step's, with values in place of references. At `deadline` (Unix milliseconds) nobody waits
        any longer, so that it must have returned by then.
        """


class Clock(Protocol):
    """What time it is, and how much of it has passed: two different things wherever somebody may set the clock."""

    def now_ms(self) -> int:
        """Unix milliseconds by the wall clock."""

    def elapsed(self) -> float:
        """Seconds since some instant of this process; never goes back, never jumps."""


class Timer(Protocol):
    """Runs jobs later, each on a thread of the timer's own.

    A job that raises is logged and runs again at its next time; one that is still running is not started twice.
    What `every` and `at` return takes the job back; taking back what is over does nothing.
    """

    def every(self, seconds: float, job: Callable[[], None]) -> Callable[[], None]:
        """Run `job` now-plus-`seconds` and at that interval after; runs that were missed are made up for by one."""

    def at(self, instant: int, job: Callable[[], None]) -> Callable[[], None]:
        """Run `job` once at `instant` (Unix milliseconds), at once where that has passed."""

    def close(self) -> None:
        """Start nothing more and wait for what is running."""


class Bus(Protocol):
    """Wakes whoever holds a node's connection. In-process here; the same words fit a message system."""

    def wake(self, node_ids: Iterable[str]) -> None:
        """These nodes' assignment sets, or orders, changed."""


class Notifier(Protocol):
    def notify(self, effect_id: str, subject: str, text: str, severity: str) -> None:
        """Tell people; idempotent on `effect_id`."""


class Render(Protocol):
    """`agent.contract.template.render`, for one plan."""

    def __call__(self, source: str, context: Mapping[str, Any], /) -> str:
        """The text. Raises `TemplateError`, also where a bound is passed; then it says which."""


class Renderer(Protocol):
    """Renders templates that nobody may have reviewed: none of them takes more than it is given."""

    def for_plan(self) -> Render:
        """What one plan renders with; it is given so much for all its templates together. For one thread."""

    def close(self) -> None:
        """End what is running."""


class Signer(Protocol):
    """A key that signs for one side; SSHSIG over exact bytes."""

    @property
    def public(self) -> str:
        """OpenSSH public key text."""

    def sign(self, payload: bytes, namespace: str) -> Signed: ...


class Verify(Protocol):
    """Checks what a `Signer` anywhere signed."""

    def __call__(self, signed: Signed, public: str, namespace: str, /) -> bytes:
        """The payload, once `public` (OpenSSH text) is shown to have signed it there; `BadSignature` otherwise."""
