"""x:NAME. A step of the repository's own: a program answers `get`, `test` and `set`, each time with JSON.

It is given the desired state on standard input. `get` and `test` print the actual one; `test` says in `_inDesiredState`
whether that will do, and without a `test` each desired property has to be equal to the actual one. What `set` prints is
its output, no more: the second look says what it came to.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
from typing import Any, Dict, List, Optional, Tuple

from agent.contract.canonical import canonical, digest, digest_of
from agent.contract.claims import claims_of
from agent.contract.inputs import CUSTOM
from agent.contract.inputs.custom import CustomInputs
from agent.contract.record import dataclass
from agent.host.port import Host, Packed, Ran
from agent.steps.diff import bounded
from agent.steps.execution import ending, in_time, run_lines, stage_lines, transcript
from agent.steps.step import Applied, Change, Given, Interrupted, InvalidPlatform, StepFailed

VERDICT, EXIST = "_inDesiredState", "_exist"
"""Properties that mean the same for every resource of DSC's."""
ANSWER_KEPT = 256 * 1024
"""Bytes that `get` and `test` may print."""
_END_OF_INPUT = "END OF DESIRED STATE"
"""No line of canonical JSON is this one."""


@dataclass(frozen=True)
class Observed:
    """What the program said there is, and whether that will do."""

    actual: Dict[str, Any]
    compliant: bool


class CustomStep:
    """A state that a program of the repository's can see and make."""

    def observe(self, host: Host, desired: CustomInputs, given: Given) -> Observed:
        if host.platform not in desired.platforms:
            raise InvalidPlatform("it is for %s; this is %s" % (" or ".join(desired.platforms), host.platform))
        if not desired.test:
            actual, _ = _answer(host, "get", desired, given)
            return Observed(actual, not _differing(desired.desired, actual))
        actual, compliant = _answer(host, "test", desired, given)
        if compliant is None:
            raise StepFailed("test: it did not print whether `%s`, true or false" % VERDICT)
        if not (compliant or actual) and desired.get:
            actual, _ = _answer(host, "get", desired, given)
        return Observed(actual, compliant)

    def changes(self, desired: CustomInputs, observed: Observed, given: Given) -> List[Change]:
        del given
        if observed.compliant:
            return []
        wanted, actual = _wanted(desired.desired, observed.actual), observed.actual
        names = _differing(desired.desired, actual)
        before = {name: actual[name] for name in names if name in actual}
        after = {name: wanted[name] for name in names}
        lacking = [name for name in names if name not in actual]
        found = [_told(before)] * bool(before) + ["without %s" % ", ".join(lacking)] * bool(lacking)
        nothing = "not in the desired state" if actual else "absent"
        told = "; ".join(found if actual else []) or nothing, _told(after) or "in the desired state"
        return [_change(desired, *told, diff=bounded(_diff(before, after)))]

    def stage(self, host: Host, desired: CustomInputs, given: Given) -> None:
        if not desired.set_:
            raise StepFailed("it has no `set`: what it looks at is to be put right by other means")
        stage_lines(host, _lines(host, "set", desired, given), given)

    def apply(self, host: Host, desired: CustomInputs, changes: List[Change], given: Given) -> Applied:
        del changes
        return self.outcome(desired, _ran(host, "set", desired, given))

    def outcome(self, desired: CustomInputs, ran: Ran) -> Applied:
        in_time(ran, desired.timeout_seconds)
        return Applied(transcript(_ended_well("set", ran, desired)))

    def underway(self, desired: CustomInputs, given: Given) -> List[Change]:
        del given
        return [_change(desired, "its set was under way", _told(desired.desired))]


def _change(desired: CustomInputs, before: str, after: str, diff: str = "") -> Change:
    (claim,) = claims_of(CUSTOM + desired.name, desired)
    return Change(claim, before, after, diff)


# Asking the program


def _answer(host: Host, operation: str, desired: CustomInputs, given: Given) -> Tuple[Dict[str, Any], Optional[bool]]:
    """The actual state that an operation prints, and its verdict where it has one. Raises `StepFailed`."""
    ran = _ran(host, operation, desired, dataclasses.replace(given, execution=""))
    _ended_well(operation, ran, desired)
    if ran.spilled:
        raise StepFailed("%s: it printed more than %d bytes" % (operation, ANSWER_KEPT))
    actual = _first_json(operation, ran.stdout)
    verdict = actual.pop(VERDICT, None)
    return actual, verdict if isinstance(verdict, bool) else None


def _first_json(operation: str, printed: bytes) -> Dict[str, Any]:
    """The first value printed; a list of properties that differ may follow, as DSC's resources have it."""
    try:
        value, _ = json.JSONDecoder().raw_decode(printed.decode("utf-8").lstrip())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        said = printed.decode("utf-8", "replace").strip()
        words = ": " + said.splitlines()[0][:100] if said else ", but nothing"
        raise StepFailed("%s: it did not print the actual state as a JSON object%s" % (operation, words))
    return value


def _lines(host: Host, operation: str, desired: CustomInputs, given: Given) -> List[str]:
    """The shell script that runs an operation in its folder, with the desired state on standard input where it asks."""
    program = {"get": desired.get, "test": desired.test, "set": desired.set_}[operation]
    files = _files(desired, given)
    name = "%s-%s" % (desired.name, digest_of(_listing(files)).partition(":")[2][:16])
    folder = host.unpack(name, files)
    words = [shlex.quote(word) for word in ("./" + program[0], *program[1:])]
    begin, command = "cd %s || exit" % shlex.quote(folder), "exec " + " ".join(words)
    if operation in desired.environment:
        return [begin, command]
    return [begin, "%s <<'%s'" % (command, _END_OF_INPUT), canonical(desired.desired).decode(), _END_OF_INPUT]


def _files(desired: CustomInputs, given: Given) -> Dict[str, Packed]:
    """The folder as the body has it. Raises `StepFailed` where bytes of it are not here yet."""
    found = {path: Packed(target=target) for path, target in desired.links.items()}
    for source in given.files:
        if source.startswith(desired.folder):
            path = source[len(desired.folder) :]
            try:
                found[path] = Packed(given.content(source), path in desired.executable)
            except LookupError as error:
                raise StepFailed("%s is not on this node yet: %s" % (source, error)) from error
    return found


def _listing(files: Dict[str, Packed]) -> Dict[str, List[Any]]:
    """What makes one folder another than the next."""
    return {path: [packed.target, packed.executable, digest(packed.data)] for path, packed in files.items()}


def _ran(host: Host, operation: str, desired: CustomInputs, given: Given) -> Ran:
    lines = _lines(host, operation, desired, given)
    if operation in desired.environment:
        told = {name: _text(value) for name, value in desired.desired.items()}
        given = dataclasses.replace(given, environment={**given.environment, **told})
    try:
        return run_lines(host, lines, None, desired.timeout_seconds, given, keep=ANSWER_KEPT)
    except Interrupted:
        raise
    except StepFailed as error:
        reason = "%s: %s" % (operation, error.reason)
        raise StepFailed(reason, rc=error.rc, status=error.status, output=error.output) from error


def _ended_well(operation: str, ran: Ran, desired: CustomInputs) -> Ran:
    if ran.rc == 0:
        return ran
    meaning = desired.exits.get(str(ran.rc))
    said = "%s (%s)" % (ending(ran), meaning) if meaning else ending(ran)
    raise StepFailed("%s: %s" % (operation, said), rc=ran.rc, output=transcript(ran))


# Comparing and telling


def _differing(desired: Dict[str, Any], actual: Dict[str, Any]) -> List[str]:
    """Desired properties that the actual state does not have, or has otherwise; of what is to be absent only that."""
    wanted = _wanted(desired, actual)
    names = [EXIST] if wanted.get(EXIST) is False else sorted(wanted)
    return [name for name in names if name not in actual or not _same(wanted[name], actual[name])]


def _wanted(desired: Dict[str, Any], actual: Dict[str, Any]) -> Dict[str, Any]:
    """The desired state; where the program says whether there is anything, there is to be something unless said."""
    return {EXIST: True, **desired} if EXIST in actual else desired


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _told(state: Dict[str, Any]) -> str:
    return ", ".join("%s: %s" % (name, _text(state[name])) for name in sorted(state))


def _diff(before: Dict[str, Any], after: Dict[str, Any]) -> List[str]:
    lines = []
    for name in sorted({*before, *after}):
        lines += ["- %s: %s" % (name, _text(before[name]))] if name in before else []
        lines += ["+ %s: %s" % (name, _text(after[name]))] if name in after else []
    return lines


def _text(value: Any) -> str:
    """A value as people read it, without halves of surrogate pairs, which have no bytes."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()
