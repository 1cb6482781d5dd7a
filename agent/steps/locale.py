"""ops:locale. The default locale of the node, and the locales that glibc has for it.

Where the node has /etc/locale.gen (Debian and its kin, Arch) its lines decide what `locale-gen` makes; elsewhere
packages bring locales. The defaults are written only after all of them are there: programs complain about a locale that
is not.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Optional

from agent.contract.claims import Claim
from agent.contract.inputs.files import FileInputs
from agent.contract.inputs.machine import LocaleInputs
from agent.contract.paths import DEBIAN_LOCALE, LOCALE_CONF, LOCALE_GEN
from agent.contract.record import dataclass
from agent.host.port import Host
from agent.steps.derived import FILE, Files, apply_files, file_changes, observe_files, one_line, root_file
from agent.steps.execution import ended_well
from agent.steps.step import Applied, Change, Given, InvalidPlatform, LeftAlone, State, StepFailed
from agent.steps.text import appended, bare, joined, lines_of

_SUPPORTED = "/usr/share/i18n/SUPPORTED"
_BUILT_IN = ("C", "POSIX", "C.utf8")
_LOOK_TIME = 30.0
_TIME = 1800.0


@dataclass(frozen=True)
class Observed:
    """The files; which of them has the defaults; what glibc has, as it spells it (None in a sandbox).

    `charsets` are the locales that this node could make, with their character sets; empty where it does not say.
    """

    files: Files
    defaults: str
    locales: Optional[FrozenSet[str]]
    charsets: Dict[str, str]


class LocaleStep:
    """The locale that programs start with, and others that are to be had."""

    def observe(self, host: Host, desired: LocaleInputs, given: Given) -> Observed:
        defaults = _defaults(host)
        wanted = [_content(desired, defaults), root_file(LOCALE_GEN)]
        locales = None if host.sandbox else _locales(host)
        return Observed(observe_files(host, wanted, given), defaults, locales, _charsets(host))

    def changes(self, desired: LocaleInputs, observed: Observed, given: Given) -> List[Change]:
        found = []
        lines = _lines(desired, observed)
        if lines is not None:
            found = file_changes([lines], observed.files, given)
        if observed.locales is not None:
            missing = [name for name in _wanted(desired) if _spelt(name) not in observed.locales]
            found += [Change(Claim("locale", name), "absent", "generated") for name in missing]
        return found + file_changes([_content(desired, observed.defaults)], observed.files, given)

    def apply(self, host: Host, desired: LocaleInputs, changes: List[Change], given: Given) -> Applied:
        apply_files(host, [FileInputs(LOCALE_GEN)], changes, given)
        if any(change.claim.kind == "locale" for change in changes):
            _generate(host)
        apply_files(host, [_content(desired, _defaults(host))], changes, given)
        return Applied()

    def state(self, observed: Observed, claim: Claim) -> State:
        if claim.kind == "locale":
            return {"generated": True} if _spelt(claim.name) in (observed.locales or ()) else None
        return FILE.state(observed.files[claim.name], claim) if claim.name in observed.files else None

    def current(self, host: Host, claim: Claim, left: State) -> State:
        if claim.kind == "locale":
            return {"generated": True} if not host.sandbox and _spelt(claim.name) in _locales(host) else None
        return FILE.current(host, claim, left)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        if claim.kind == "locale":
            raise LeftAlone("a locale that was made stays, for others may use it")
        FILE.restore(host, claim, prior, left)


def _wanted(desired: LocaleInputs) -> List[str]:
    return list(dict.fromkeys([desired.name, *desired.generate, *desired.variables.values()]))


def _content(desired: LocaleInputs, path: str) -> FileInputs:
    variables = {"LANG": desired.name, **desired.variables}
    lines = ["%s=%s\n" % (name, one_line(name, value)) for name, value in sorted(variables.items())]
    return root_file(path, "".join(lines))


def _lines(desired: LocaleInputs, observed: Observed) -> Optional[FileInputs]:
    """/etc/locale.gen with a line for each wanted locale, its remarks kept; None where the node has no such file."""
    snapshot = observed.files[LOCALE_GEN].snapshot
    if snapshot is None or snapshot.data is None:
        return None
    lines = lines_of(snapshot.data)
    for name in _wanted(desired):
        if _spelt(name) in _BUILT_IN or any(line.split()[:1] == [name] for line in lines):
            continue
        wanted = "%s %s" % (name, _charset(name, observed.charsets))
        offered = next((at for at, line in enumerate(lines) if bare(line).lstrip("# ").split() == wanted.split()), None)
        if offered is None:
            lines = appended(lines, [wanted])
        else:
            lines[offered] = lines[offered].lstrip("# ")
    try:
        return FileInputs(LOCALE_GEN, content=joined(lines).decode("utf-8"))
    except UnicodeDecodeError:
        raise StepFailed("%s is no UTF-8 text" % LOCALE_GEN) from None


def _charset(name: str, charsets: Dict[str, str]) -> str:
    if charsets and name not in charsets:
        raise StepFailed("this node knows no locale %s; %s lists those that it can make" % (name, _SUPPORTED))
    return charsets.get(name) or name.partition("@")[0].partition(".")[2] or "UTF-8"


def _charsets(host: Host) -> Dict[str, str]:
    try:
        text = host.read(_SUPPORTED).decode("utf-8", "replace")
    except FileNotFoundError:
        return {}
    return {words[0]: words[1] for words in (line.split() for line in text.splitlines()) if len(words) == 2}


def _defaults(host: Host) -> str:
    """Where this node's programs read their defaults."""
    entry = host.lstat(DEBIAN_LOCALE)
    if entry is not None:
        return LOCALE_CONF if entry.kind == "link" else DEBIAN_LOCALE
    debian = host.lstat("/etc/debian_version") is not None and host.lstat(LOCALE_CONF) is None
    return DEBIAN_LOCALE if debian else LOCALE_CONF


def _spelt(name: str) -> str:
    """As `locale -a` spells it: de_DE.UTF-8 is de_DE.utf8."""
    rest, at, modifier = name.partition("@")
    language, dot, charset = rest.partition(".")
    return language + dot + "".join(filter(str.isalnum, charset)).lower() + at + modifier


def _locales(host: Host) -> FrozenSet[str]:
    try:
        ran = host.run(["locale", "-a"], timeout=_LOOK_TIME, keep=1024 * 1024)
    except FileNotFoundError:
        raise InvalidPlatform("locales need glibc's `locale`, which this node does not have") from None
    ended_well(ran, "locale -a", _LOOK_TIME)
    return frozenset(map(_spelt, ran.stdout.decode("utf-8", "replace").split())) | {"C", "POSIX"}


def _generate(host: Host) -> None:
    try:
        ran = host.run(["locale-gen"], timeout=_TIME)
    except FileNotFoundError:
        raise StepFailed(
            "this node makes no locales itself; declare the package that brings it (locales, glibc-langpack-...) before"
        ) from None
    ended_well(ran, "locale-gen", _TIME)
