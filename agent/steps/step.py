"""The words every step speaks."""

from __future__ import annotations

import json
from dataclasses import field
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    FrozenSet,
    List,
    Mapping,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Union,
)

from agent.contract.claims import Claim
from agent.contract.record import NamedTuple, dataclass
from agent.contract.wire import FileRef
from agent.host.port import Host, Ran
from agent.steps.rendering import rendered

if TYPE_CHECKING:
    from agent.contract.inventory import Inventory

State = Optional[Dict[str, Any]]
"""What a claim is, as JSON for the ledger; None where there is nothing. `bytes` in it is base64 of kept content."""
Recalled = Union[None, Tuple[str, str], Tuple[str, int, str]]
"""What the journal says of a run: None, `("started", boot id)`, `("rebooting", boot id)` (it asked for that boot's
end) or `("finished", exit code, status)`."""
REBOOTING = "Rebooting"
"""The status of a run that goes on after a reboot: known to this node alone, for it is no run's last."""
INTERRUPTED = "Interrupted: the script was started and its end was not seen; it is not run again by itself"


class StepFailed(Exception):
    """The step cannot see, or cannot bring about, what is wanted; the text says why and what to do."""

    def __init__(self, reason: str, *, rc: int = 1, status: str = "Failed", output: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.rc = rc
        self.status = status
        self.output = output


class Interrupted(StepFailed):
    """A script was begun and its end was not seen."""

    def __init__(self) -> None:
        super().__init__(INTERRUPTED)


class RebootWanted(StepFailed):
    """A script asked for a reboot, after which it goes on."""

    def __init__(self, rc: int, output: str = "") -> None:
        super().__init__("it goes on after a reboot", rc=rc, status=REBOOTING, output=output)


class InvalidPlatform(Exception):
    """This kind of node has nothing that the step could act on."""


class LeftAlone(Exception):
    """What opsctl once made is not taken away; the text says why."""


class Itself(Protocol):
    """The agent that a step is run by, where it is a node's of a fleet: what a step may ask of it."""

    def collected(self, found: Sequence[Inventory]) -> None:
        """Keeps inventory, and has it sent. Raises OSError."""

    def refreshed(self, names: Sequence[str]) -> List[str]:
        """Has associations run now (all where none is named), and says what becomes of each."""

    def upgrade_command(self) -> List[str]:
        """What brings the agent to the version that its server offers; empty where it always has that."""


@dataclass(frozen=True)
class Given:
    """What a step may know besides its inputs.

    `content` gives the bytes of a repository file by its path, `files` their digests and sizes; `environment` is what
    scripts are told; `step` is the step's name; `recalled` is what the journal says of this run of it; `execution` is
    the run's name, once it is to begin; `render` renders a template over a context, both texts.
    """

    name: str
    labels: Mapping[str, str]
    vars: Mapping[str, Any]
    facts: Mapping[str, Any]
    content: Callable[[str], bytes]
    files: Mapping[str, FileRef] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    step: str = ""
    recalled: Recalled = None
    execution: str = ""
    context: str = ""
    """`context_text` of the four that a template reads, made once."""
    render: Callable[[str, str], str] = rendered
    changed: FrozenSet[str] = frozenset()
    """Those steps named by `restartOn` and `reloadOn` for which this one is to be restarted or reloaded."""
    stopped: Callable[[], str] = str
    """Says why what takes long is to be given up; empty while it is not."""
    downloads: str = ""
    """The run's own directory for what it downloads, which may not be there yet; empty where there is none."""
    itself: Optional[Itself] = None


def context_text(name: str, labels: Mapping[str, str], vars_: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """What templates read, as one text: the same text always renders the same."""
    context = {"name": name, "labels": dict(labels), "vars": dict(vars_), "facts": dict(facts)}
    return json.dumps(context, sort_keys=True, ensure_ascii=False)


class Change(NamedTuple):
    """One claim that differs: short descriptions for people, a bounded diff, and `detail` for `apply` alone."""

    claim: Claim
    before: str
    after: str
    diff: str = ""
    detail: Any = None


class Applied(NamedTuple):
    """What was done, where a process did it: its output, and its exit code."""

    output: str = ""
    rc: int = 0


class Planned(NamedTuple):
    """One step of a batch. `ends` says that nothing after it is done where it fails."""

    desired: Any
    changes: List[Change]
    given: Given
    ends: bool


class Step(Protocol):
    """One action.

    Each method may raise `StepFailed`, and those that get a host OSError; `observe` also `InvalidPlatform`.
    """

    def observe(self, host: Host, desired: Any, given: Given) -> Any:
        """What is there now, as a frozen value. Only reads."""

    def changes(self, desired: Any, observed: Any, given: Given) -> List[Change]:
        """What has to change, one item per claim at most. Pure."""

    def apply(self, host: Host, desired: Any, changes: List[Change], given: Given) -> Applied:
        """Makes the changes."""


class BatchStep(Step, Protocol):
    """A step that is cheaper done with its neighbours of the same action."""

    def apply_all(self, host: Host, batch: Sequence[Planned], begin: Callable[[], None]) -> List[Optional[StepFailed]]:
        """Makes the changes of all in order; one result for each that was tried.

        `begin` is called once, before the first change that anybody could see.
        """


class ScriptedStep(Step, Protocol):
    """A step whose changes are made by a script, which may outlive the agent that started it."""

    def stage(self, host: Host, desired: Any, given: Given) -> None:
        """Puts the script in place for `apply`. What fails here has not begun."""

    def outcome(self, desired: Any, ran: Ran) -> Applied:
        """What came of the script. Pure. Raises `StepFailed`."""

    def underway(self, desired: Any, given: Given) -> List[Change]:
        """What a script that was begun is to change. Pure."""


class RestorableStep(Step, Protocol):
    """A step that can put back what was there before it."""

    def state(self, observed: Any, claim: Claim) -> State:
        """What `observed` says of the claim. Pure."""

    def current(self, host: Host, claim: Claim, left: State) -> State:
        """What the claim is now, to be compared with `left`, what opsctl left there."""

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        """Makes the claim `prior` again; None takes it away. May raise `LeftAlone`."""


def why(error: OSError) -> str:
    """An operating system's error as people read it."""
    said = error.strerror or str(error) or type(error).__name__
    return "%s: %s" % (error.filename, said) if error.filename else said


def defect(error: Exception) -> str:
    """An error that nobody foresaw, as people read it."""
    return "a defect in opsctl: %s: %s" % (type(error).__name__, error)
