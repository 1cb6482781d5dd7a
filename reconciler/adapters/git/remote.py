"""Where the fleet's repository lives: its address without credentials, what it holds, how a branch is pushed to it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from reconciler.adapters.git.command import Git, GitFailed, Outcome, last_words, redacted
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADS = "refs/heads/"
_NETWORK_DEADLINE = 120.0  # seconds
_AUTHENTICATED = ("https", "ssh", "file")
_UNAUTHENTICATED = ("http", "git")
_SCP_LIKE = re.compile(r"[^/:]+:")
_HELPER_TRANSPORT = re.compile(r"\w+::")  # `ext::COMMAND` and the like run programs
_USERNAME = "OPSCTL_GIT_USERNAME"
_PASSWORD = "OPSCTL_GIT_PASSWORD"  # noqa: S105  # a variable's name
_HELPER = f'!f() {{ test "$1" = get && printf "username=%s\\npassword=%s\\n" "${_USERNAME}" "${_PASSWORD}"; }}; f'


class Moved(Exception):
    """The remote's branch is not where the push expected it; `tip` is where it is."""

    def __init__(self, tip: str | None) -> None:
        self.tip = tip
        super().__init__(tip)


@dataclass(frozen=True, slots=True)
class Advertised:
    """What a remote says it holds: commit or tag ids by full ref name, and the branch that its HEAD names, if any."""

    refs: Mapping[str, str]
    default: str | None

    def branches(self) -> dict[str, str]:
        return {name.removeprefix(HEADS): oid for name, oid in self.refs.items() if name.startswith(HEADS)}


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote's address. Credentials are held apart, so that neither argv, nor a file, nor a message carries them."""

    address: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Remote:
        """A URL, an scp-like `host:path` or a local path; `Refused` for a transport that proves no identity."""
        if not text or text.startswith("-") or not text.isprintable() or _HELPER_TRANSPORT.match(text):
            raise Refused(
                f"{redacted(text)!r} is no address of a repository", remedy="give an https or ssh URL, or a path"
            )
        if "://" not in text:
            if _SCP_LIKE.match(text):
                return cls(text)
            return cls(str(Path(text).expanduser().absolute()))
        parts = urlsplit(text)
        _require_authenticated(parts.scheme, parts.hostname or "", text)
        if parts.scheme == "ssh" and parts.password:
            raise Refused(f"{redacted(text)} holds a password, which ssh does not take", remedy="use a key")
        if parts.scheme not in ("http", "https") or not parts.username:
            return cls(text)
        bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        return cls(bare, unquote(parts.username), unquote(parts.password or ""))

    def __str__(self) -> str:
        return redacted(self.address)

    def call(self, git: Git, *arguments: str, largest_file: int | None = None) -> bytes:
        """Run a command that talks to this remote; `Unavailable` with git's last words where it fails."""
        outcome = self._attempt(git, *arguments, largest_file=largest_file)
        if outcome.status != 0:
            raise self._unavailable(last_words(outcome.stderr))
        return outcome.stdout

    def advertised(self, git: Git, *patterns: str) -> Advertised:
        """The remote's refs that match `patterns`, such as `refs/heads/*`."""
        listing = self.call(git, "ls-remote", "--symref", self.address, "HEAD", *patterns)
        default = None
        refs = {}
        for line in listing.decode(errors="surrogateescape").split("\n")[:-1]:
            value, _, name = line.partition("\t")
            if value.startswith("ref: "):
                default = value.removeprefix(f"ref: {HEADS}")
            elif name != "HEAD" and not name.endswith("^{}"):
                refs[name] = value
        return Advertised(refs, default if HEADS + (default or "") in refs else None)

    def tip(self, git: Git, branch: str) -> str | None:
        """The commit that a branch is at, None where it does not exist."""
        return self.advertised(git, f"{HEADS}{branch}").refs.get(f"{HEADS}{branch}")

    def push(self, git: Git, oid: str, branch: str, *, expected: str | None) -> None:
        """Move `branch` from `expected` (None: it does not exist) to `oid`.

        Raises `Moved` when it is elsewhere, `Refused` when the remote declines, `Unavailable` when it fails. A push
        whose answer was lost is recognised by where the branch is, and counts as done.
        """
        outcome = self._attempt(
            git,
            "push",
            "--porcelain",
            "--no-verify",
            f"--force-with-lease={HEADS}{branch}:{expected or ''}",
            self.address,
            f"{oid}:{HEADS}{branch}",
        )
        if outcome.status == 0:
            return
        tip = self.tip(git, branch)
        if tip == oid:
            return
        if tip != expected:
            raise Moved(tip)
        said = self._redact(_said_by_remote(outcome))
        if "declined" in said:  # by a hook or a rule for the branch; a full disk, say, is another matter
            raise Refused(
                f"{self} declined the push to {branch!r}: {said}",
                remedy=f"let opsctl's account write the branch {branch!r}",
            )
        raise self._unavailable(said or last_words(outcome.stderr))

    def _attempt(self, git: Git, *arguments: str, largest_file: int | None = None) -> Outcome:
        try:
            return git.attempt(
                *arguments,
                deadline=_NETWORK_DEADLINE,
                settings=self._settings(),
                environment=self._secrets(),
                largest_file=largest_file,
            )
        except GitFailed as failure:
            raise self._unavailable(failure.why) from None

    def _settings(self) -> dict[str, str]:
        if not self.username:
            return {}
        parts = urlsplit(self.address)
        return {f"credential.{parts.scheme}://{parts.netloc}.helper": _HELPER}

    def _secrets(self) -> dict[str, str]:
        if not self.username:
            return {}
        return {_USERNAME: self.username, _PASSWORD: self.password}

    def _redact(self, text: str) -> str:
        for secret in (self.password, "" if self.password else self.username):
            if secret:
                text = text.replace(secret, "***")
        return redacted(text)

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(f"Git remote {self}", self._redact(why))


def _require_authenticated(scheme: str, host: str, text: str) -> None:
    if scheme in _AUTHENTICATED or (scheme in _UNAUTHENTICATED and _is_loopback(host)):
        return
    if scheme in _UNAUTHENTICATED:
        raise Refused(
            f"{redacted(text)} is reached over {scheme}, which proves no identity",
            rule="what a fleet runs comes over an authenticated transport",
            remedy="use https or ssh",
        )
    raise Refused(f"{redacted(text)} has the unknown transport {scheme!r}", remedy="use https, ssh or a path")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _said_by_remote(outcome: Outcome) -> str:
    said = [line.removeprefix("remote:").strip() for line in outcome.stderr.splitlines() if line.startswith("remote:")]
    verdict = [line.split("\t")[-1] for line in outcome.stdout.decode(errors="replace").splitlines() if line[:1] == "!"]
    return "; ".join(part for part in (*verdict, *said) if part)
