"""Running the lines of a script, and saying how it went, for the steps that do."""

from __future__ import annotations

from typing import List, Optional, Sequence

from agent.host.port import OUTPUT_KEPT, EndNotSeen, Host, Ran
from agent.steps.step import Given, Interrupted, InvalidPlatform, StepFailed, why

SUCCESS_AND_EXIT, FAIL_AND_EXIT, REBOOT = 168, 169, 194
"""Exit codes by which SSM lets a script end its document, well or badly, or ask for a reboot."""
NOT_STARTED = 127
_OUTPUT_LIMIT = 24000
_ERROR_LIMIT = 8000
_PLATFORMS = ("Linux", "MacOS")


def ends_document(rc: int) -> bool:
    """Whether this exit code leaves out the steps that follow."""
    return rc in (SUCCESS_AND_EXIT, FAIL_AND_EXIT)


def stage_lines(host: Host, lines: List[str], given: Given) -> None:
    """Puts the script in place. What fails here has not begun and may be tried again."""
    _check_platform(host)
    host.stage_script(given.execution, _text(lines))


def run_lines(
    host: Host, lines: List[str], directory: Optional[str], timeout: int, given: Given, *, keep: int = OUTPUT_KEPT
) -> Ran:
    """Raises `StepFailed` where it cannot be started or is out of time, `Interrupted` where its end was not seen."""
    _check_platform(host)
    environment = dict(given.environment)
    try:
        ran = host.run_script(
            _text(lines),
            execution=given.execution,
            env=environment,
            cwd=directory or "/",
            timeout=timeout,
            keep=keep,
        )
    except EndNotSeen as error:
        raise Interrupted from error
    except FileNotFoundError as error:
        missing = error.filename or directory
        raise StepFailed("it could not be started: %s does not exist" % missing, rc=NOT_STARTED) from error
    except OSError as error:
        raise StepFailed("it could not be started: %s" % why(error), rc=NOT_STARTED) from error
    return in_time(ran, timeout)


def downloaded(host: Host, given: Given) -> Optional[str]:
    """Where SSM runs a script that says nothing else: among what its run has downloaded; None where that is nothing."""
    there = host.lstat(given.downloads) if given.downloads else None
    return given.downloads if there is not None and there.kind == "directory" else None


def in_time(ran: Ran, timeout: int) -> Ran:
    """The same, where it ended by itself. Raises `StepFailed`."""
    if ran.timed_out:
        reason = "it was ended after %d seconds" % timeout
        raise StepFailed(reason, rc=ran.rc, status="TimedOut", output=transcript(ran))
    if ran.cancelled:
        raise StepFailed("it was cancelled", rc=ran.rc, status="Cancelled", output=transcript(ran))
    return ran


def _text(lines: List[str]) -> str:
    return "\n".join(lines) + "\n"


def _check_platform(host: Host) -> None:
    if host.platform not in _PLATFORMS:
        raise InvalidPlatform("a shell script needs %s; this is %s" % (" or ".join(_PLATFORMS), host.platform))


def transcript(ran: Ran) -> str:
    """Both outputs as one text, the way SSM shows them."""
    text = _cut(ran.stdout.decode("utf-8", "replace"), _OUTPUT_LIMIT)
    if ran.stderr:
        text += "\n----------ERROR-------\n" if text else "----------ERROR-------\n"
        text += _cut(ran.stderr.decode("utf-8", "replace"), _ERROR_LIMIT)
    return text


def ended_well(ran: Ran, what: str, seconds: float, wanted: Sequence[int] = (0,)) -> Ran:
    """The same, where the command ended within its time, with a wanted exit code. Raises `StepFailed`."""
    if ran.cancelled:
        raise StepFailed("%s was cancelled" % what, rc=ran.rc, status="Cancelled")
    if ran.timed_out:
        raise StepFailed("%s did not end in %d seconds" % (what, seconds), rc=ran.rc, status="TimedOut")
    if ran.rc not in wanted:
        raise StepFailed("%s: %s" % (what, ending(ran)), rc=ran.rc)
    return ran


def ending(ran: Ran) -> str:
    """How a process ended, with its last words."""
    ended = "exit %d" % ran.rc if ran.rc >= 0 else "killed by signal %d" % -ran.rc
    words = (ran.stderr or ran.stdout).decode("utf-8", "replace").strip().splitlines()
    return "%s: %s" % (ended, words[-1][:300]) if words else ended


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return "%s\n... %d characters left out ...\n%s" % (text[:half], len(text) - 2 * half, text[-half:])
