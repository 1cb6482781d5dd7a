"""The one place that starts git: its argv, its environment, its deadline and its failures.

GitPython is the door to the program. What the caller's shell or a surrounding hook left in GIT_* variables never
reaches it, a prompt is never shown, and a process that outlives its deadline is ended with all its children.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.core.problem import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOCAL_DEADLINE = 120.0  # seconds; for commands that touch no network
_GRACE = 5.0  # seconds between asking a late process to end (git removes its lock files then) and killing it

# Of the caller's GIT_* variables only these say something about the machine and not about some other repository.
_KEPT = frozenset({"GIT_EXEC_PATH", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"})

_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=15",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    # git allocates and frees zlib's 256 KiB per object; glibc need not hand that to the kernel and back each time
    # (fast-import of 10,000 files: 1.04 s before, 0.53 s with this).
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
}
_NO_USER_CONFIGURATION = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1"}

_SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "credential.interactive": "false",
    "gc.auto": "0",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "maintenance.auto": "false",
    "protocol.ext.allow": "never",
    "submodule.recurse": "false",
}

_USERINFO = re.compile(r"(?<=://)[^/@\s'\"]+@")
_BOILERPLATE = re.compile(r"^(hint:|warning:|Please make sure|and the repository exists|\s*$)")


def redacted(text: str) -> str:
    """`text` with whatever stands between `://` and `@` in its URLs replaced."""
    return _USERINFO.sub("***@", text)


def last_words(stderr: str) -> str:
    """What git said last: its final two lines that say something, in one; empty where there are none."""
    lines = [line.strip() for line in stderr.splitlines() if not _BOILERPLATE.match(line)]
    return "; ".join(lines[-2:])


class GitFailed(Unavailable):
    """git ended with a status other than 0, or was stopped at its deadline: nothing to be had until that changes.

    Where the caller knows better what a failure means, it catches this and raises that.
    """

    def __init__(self, what: str, status: int, stderr: str) -> None:
        self.status = status
        self.stderr = redacted(stderr)
        super().__init__(what, last_words(self.stderr) or f"ended with status {status}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended. `stderr` is text; `stdout` is the bytes as they came."""

    status: int
    stdout: bytes
    stderr: str


@functools.cache
def _gitpython() -> Any:
    try:
        import git
    except ImportError as error:
        raise Unavailable("the program git", "it is not installed or not in PATH") from error
    return git


class Git:
    """The git program at work on one repository.

    `personal` keeps the user's own configuration (their ignore file, their trusted directories): right for a working
    directory of theirs, wrong for a repository that the daemon keeps.
    """

    def __init__(
        self, directory: Path, *, bare: bool, personal: bool = False, settings: Mapping[str, str] | None = None
    ) -> None:
        self.directory = directory
        self._where = [f"--git-dir={directory}"] if bare else ["-C", str(directory)]
        self._environment = _ENVIRONMENT | ({} if personal else _NO_USER_CONFIGURATION)
        self._settings = _SETTINGS | dict(settings or {})

    def run(self, *arguments: str, stdin: bytes | None = None, settings: Mapping[str, str] | None = None) -> bytes:
        """Standard output of a local command; `GitFailed` unless it ends with status 0 within its deadline."""
        outcome = self.attempt(*arguments, stdin=stdin, settings=settings)
        if outcome.status != 0:
            raise GitFailed(self._what(arguments), outcome.status, outcome.stderr)
        return outcome.stdout

    def attempt(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        deadline: float = LOCAL_DEADLINE,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        largest_file: int | None = None,
    ) -> Outcome:
        """How a command ended, for those whose status is an answer; `GitFailed` only after `deadline` seconds.

        `settings` are configuration for this call, `largest_file` bounds in bytes any file that git writes. Secrets
        may travel in `environment`, never in `arguments`.
        """
        process = self._spawn(arguments, stdin is not None, settings or {}, environment or {}, largest_file)
        with process:
            try:
                stdout, stderr = process.communicate(stdin, timeout=deadline)
            except subprocess.TimeoutExpired:
                _end_group(process)
                raise GitFailed(self._what(arguments), -1, f"no answer within {deadline:g} s") from None
            except BaseException:
                _end_group(process)
                raise
        return Outcome(process.returncode, stdout, stderr.decode(errors="replace"))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A long-lived process with pipes on all three streams; its owner ends it."""
        return self._spawn(arguments, True, {}, {}, None)

    def _what(self, arguments: tuple[str, ...]) -> str:
        return f"git {arguments[0]} in {self.directory}"

    def _spawn(
        self,
        arguments: tuple[str, ...],
        with_stdin: bool,
        settings: Mapping[str, str],
        environment: Mapping[str, str],
        largest_file: int | None,
    ) -> subprocess.Popen[bytes]:
        git = _gitpython()
        variables = self._environment | _as_variables(self._settings | dict(settings)) | dict(environment)
        argv = [*_cleared(variables), *_limited(largest_file), "git", *self._where, *arguments]
        try:
            handle = git.Git().execute(
                argv,
                as_process=True,
                istream=subprocess.PIPE if with_stdin else None,
                env=variables,
                start_new_session=True,
            )
        except (git.GitCommandNotFound, OSError) as error:
            raise Unavailable("the program git", "it is not installed or not in PATH") from error
        process: subprocess.Popen[bytes] = handle.proc
        handle.proc = None  # from here on its end is ours to see to, not the garbage collector's
        return process


def _as_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Configuration as the environment carries it: seen by git's children, absent from argv."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def _cleared(variables: Mapping[str, str]) -> list[str]:
    foreign = sorted(name for name in os.environ if name.startswith("GIT_") and name not in variables.keys() | _KEPT)
    return ["env", *(word for name in foreign for word in ("-u", name))] if foreign else []


def _limited(largest_file: int | None) -> list[str]:
    if largest_file is None:
        return []
    return ["sh", "-c", f'ulimit -f {max(1, largest_file // 512)}; exec "$@"', "sh"]


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children (ssh, git-remote-https, index-pack), then collect it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_GRACE)
            return
