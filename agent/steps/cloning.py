"""A Git repository's files, by the node's git. Its hooks are not run, and nobody is asked for a password."""

from __future__ import annotations

import contextlib
import posixpath
import shlex
from typing import Callable, Dict, Iterator, List

from agent.contract.inputs.content import GitSource
from agent.host.port import Host
from agent.steps import downloads
from agent.steps.execution import ended_well
from agent.steps.step import StepFailed
from agent.steps.working_tree import PLAIN, NoGit

TIME = 1800.0
_CLONE, _KEY = ".opsctl-clone", ".opsctl-key"
SSH = "ssh -o BatchMode=yes"
_ASKED = '!f() { printf \'username=%s\\npassword=%s\\n\' "$OPSCTL_GIT_USERNAME" "$OPSCTL_GIT_PASSWORD"; }; f'


def clone(host: Host, source: GitSource, directory: str, stopped: Callable[[], str]) -> None:
    """All of the repository at the wanted revision, into the directory beside whatever is there."""
    if source.repository.startswith("-"):
        raise StepFailed("`repository` is an option, and no URL")
    directory = downloads.make(host, directory)
    beside = posixpath.join(directory, _CLONE)
    downloads.remove(host, beside)
    host.mkdir(beside, downloads.DIRECTORY_MODE)
    try:
        with _credentials(host, source, directory) as given:
            _git(host, beside, given, stopped, ["clone", "--quiet", *_branch(source), "--", source.repository, "."])
        kind, _, name = source.get_options.partition(":")
        if kind == "commitID":
            _git(host, beside, {}, stopped, ["checkout", "--quiet", "--detach", name])
        merged = host.run(["cp", "-af", _CLONE + "/.", "."], cwd=directory, timeout=TIME)
        ended_well(merged, "cp", TIME)
    finally:
        downloads.remove(host, beside)


def _branch(source: GitSource) -> List[str]:
    kind, _, name = source.get_options.partition(":")
    return ["--branch", name] if kind == "branch" else []


def _git(host: Host, cwd: str, environment: Dict[str, str], stopped: Callable[[], str], words: List[str]) -> None:
    settings = [
        *PLAIN,
        *(["credential.helper=", "credential.helper=" + _ASKED] if "OPSCTL_GIT_PASSWORD" in environment else []),
    ]
    argv = ["git", *(word for setting in settings for word in ("-c", setting)), *words]
    plain = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": SSH, "LC_ALL": "C"}
    try:
        ran = host.run(argv, env={**plain, **environment}, cwd=cwd, timeout=TIME, stopped=stopped)
    except FileNotFoundError:
        raise NoGit from None
    ended_well(ran, "git " + words[0], TIME)


@contextlib.contextmanager
def _credentials(host: Host, source: GitSource, directory: str) -> Iterator[Dict[str, str]]:
    """What git is told besides, in its environment; a key lies in a file for as long."""
    if source.password:
        yield {"OPSCTL_GIT_USERNAME": source.username, "OPSCTL_GIT_PASSWORD": source.password}
        return
    options = ["-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"] if source.skip_host_key_checking else []
    if not source.private_SSHKey:
        yield {"GIT_SSH_COMMAND": " ".join([SSH, *options])}
        return
    key = posixpath.join(directory, _KEY)
    host.stage(key, (source.private_SSHKey.rstrip("\n") + "\n").encode(), 0o600)
    host.publish(key)
    try:
        options.append("-o IdentitiesOnly=yes -i " + shlex.quote(key))
        yield {"GIT_SSH_COMMAND": " ".join([SSH, *options])}
    finally:
        downloads.remove(host, key)
