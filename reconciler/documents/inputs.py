"""Inputs: a step's tree as the type its action takes, with everything that is wrong about the values themselves."""

from __future__ import annotations

import functools
import ipaddress
import re
import shlex
from typing import TYPE_CHECKING, Any

from agent.contract import publickey
from agent.contract.claims import unsafe_path
from agent.contract.codec import camel
from agent.contract.inputs import ACTIONS, machine
from reconciler.core.problem import Finding, Place
from reconciler.core.typed import check
from reconciler.core.typed.words import path_text
from reconciler.documents import fetched
from reconciler.documents.flaw import Flaw, unsafe_source
from reconciler.documents.patterns import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.contract.inputs import accounts, files, network, packages, scripts, services
    from reconciler.core.manifest import Loc, Places, Tree


def load(action: str, tree: Tree, places: Places, loc: Loc) -> tuple[Any, tuple[Finding, ...]]:
    """The inputs of a runnable action, None where there are findings."""
    typed, findings = check(ACTIONS[action].inputs, tree, places, loc)
    if typed is None:
        return None, findings
    found = tuple(
        Finding(f"{_path(flaw, loc)} {flaw.message}", _place(flaw, places, loc), flaw.expected)
        for flaw in _flaws(action, typed)
    )
    return (None, found) if found else (typed, ())


@functools.cache
def names(action: str) -> tuple[str, ...]:
    """The inputs that a runnable action takes, as written in files."""
    return tuple(camel(name) for name in ACTIONS[action].inputs.__dataclass_fields__)  # type: ignore[attr-defined]


def _path(flaw: Flaw, loc: Loc) -> str:
    return path_text((*loc, flaw.field) if flaw.field else loc)


def _place(flaw: Flaw, places: Places, loc: Loc) -> Place:
    return places.of((*loc, flaw.field)) if flaw.field else places.of(loc, key=True)


def _flaws(action: str, typed: Any) -> Iterator[Flaw]:
    for attribute in _PATHS:
        path, field = getattr(typed, attribute, None), camel(attribute)
        if path is not None and (why := unsafe_path(path)):
            yield Flaw(field, f"is `{path}`: {why}", "an absolute path")
    yield from _OF_ACTION[action](typed)


_PATHS = ("path", "working_directory", "home")


def _file(typed: files.FileInputs) -> Iterator[Flaw]:
    yield from _content(typed)
    if typed.validate is not None and (why := _no_validation(typed.validate)):
        yield Flaw("validate", f"is `{typed.validate}`: {why}", "a command over the new file, as `nginx -t -c %s`")


def _content(typed: files.FileInputs | services.UnitInputs | network.FirewallInputs) -> Iterator[Flaw]:
    given = [name for name in ("content", "source") if getattr(typed, name) is not None]
    if typed.state == "absent":
        for name in given:
            yield Flaw(name, "is given for a file that is to be absent")
    elif len(given) != 1:
        what = "give both `content` and `source`" if given else "give no content"
        yield Flaw("", what, "one of `content` and `source`")
    if typed.source is not None and (why := unsafe_source(typed.source)):
        yield Flaw("source", f"is `{typed.source}`: it {why}", "a path from the root of the repository")


def _no_validation(command: str) -> str:
    """Why a command cannot say whether a new file is good; empty where it can."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        return str(error)
    return "" if any("%s" in word for word in words[1:]) else "it has no %s, the new file's path"


def _link(typed: files.LinkInputs) -> Iterator[Flaw]:
    if typed.state == "present" and not typed.target:
        yield Flaw("", "give no `target`", "what the link is to point to")


def _line(typed: files.LineInputs) -> Iterator[Flaw]:
    if "\n" in typed.line:
        yield Flaw("line", "has more than one line", "one line, without its end")
    if typed.match is not None:
        try:
            compiled(typed.match)
        except (re.error, RecursionError, OverflowError) as error:
            yield Flaw("match", f"is no regular expression: {error}")


def _block(typed: files.BlockInputs) -> Iterator[Flaw]:
    if not typed.comment.strip() or "\n" in typed.comment:
        yield Flaw("comment", "begins no comment", "what a comment of the file begins with, as `#`")
    for mark in ("BEGIN", "END"):
        if f"{typed.comment} {mark} opsctl {typed.name}" in typed.content.splitlines():
            yield Flaw("content", "holds a mark of its own block")


def _hosts(typed: network.HostsInputs) -> Iterator[Flaw]:
    try:
        ipaddress.ip_address(typed.address)
    except ValueError:
        yield Flaw("address", f"is `{typed.address}`", "an IPv4 or IPv6 address")
    for name in typed.aliases:
        if not _HOST.match(name):
            yield Flaw("aliases", f"has `{name}`, which is no host name")


_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\Z", re.IGNORECASE)
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.:_-]*\Z", re.IGNORECASE)


def _package(typed: packages.PackageInputs) -> Iterator[Flaw]:
    if not typed.name:
        yield Flaw("name", "is empty", "at least one package")
    for name in typed.name:
        if not _PACKAGE.match(name):
            yield Flaw("name", f"has `{name}`, which is no package name")
    if typed.version is not None and (len(typed.name) != 1 or typed.state != "present"):
        yield Flaw("version", "is given, but not for a single package that is to be present")


_UNIT = re.compile(r"[\w@.:\\-]+\Z")


def _service(typed: services.ServiceInputs) -> Iterator[Flaw]:
    if typed.state is None and typed.enabled is None and not typed.restart_on and not typed.reload_on:
        yield Flaw("", "ask for nothing", "`state`, `enabled`, `restartOn` or `reloadOn`")
    if not _UNIT.match(typed.name):
        yield Flaw("name", f"is `{typed.name}`, which is no unit name")


def _unit(typed: services.UnitInputs) -> Iterator[Flaw]:
    if not _UNIT.match(typed.name):
        yield Flaw("name", f"is `{typed.name}`, which is no unit name")
    yield from _content(typed)


def _timer(typed: services.TimerInputs) -> Iterator[Flaw]:
    if typed.state == "present":
        if not typed.on_calendar or not all(instant.strip() for instant in typed.on_calendar):
            yield Flaw("onCalendar" if typed.on_calendar else "", "say not when", "`onCalendar`, as `Mon *-*-* 04:30`")
        if not typed.command.startswith("/"):
            yield Flaw("command", f"is `{typed.command}`", "a command that begins with its program's absolute path")
    lines = {"onCalendar": "".join(typed.on_calendar), "command": typed.command, "description": typed.description}
    for field, text in lines.items():
        if "\n" in text:
            yield Flaw(field, "has more than one line")
    if typed.user is not None and not _LOGIN.match(typed.user):
        yield Flaw("user", f"is `{typed.user}`, which is no login name")
    if typed.randomized_delay_seconds < 0:
        yield Flaw("randomizedDelaySeconds", f"is `{typed.randomized_delay_seconds}`", "at least 0")


def _cron(typed: services.CronInputs) -> Iterator[Flaw]:
    if typed.state == "present":
        if not _CRON.match(typed.schedule.strip()):
            yield Flaw("schedule", f"is `{typed.schedule}`", "five fields as `30 4 * * *`, or a word as `@daily`")
        if not typed.command.strip() or "\n" in typed.command:
            yield Flaw("command", "is not one line", "what cron gives to the shell")
    if not _LOGIN.match(typed.user):
        yield Flaw("user", f"is `{typed.user}`, which is no login name")
    for name, value in typed.environment.items():
        if not re.match(r"[A-Za-z_]\w*\Z", name) or "\n" in value:
            yield Flaw("environment", f"has `{name}`, which is no variable of one line")


_CRON = re.compile(r"(@(reboot|yearly|annually|monthly|weekly|daily|midnight|hourly)|\S+([ \t]+\S+){4})\Z")


def _sudoers(typed: accounts.SudoersInputs) -> Iterator[Flaw]:
    if typed.state == "present" and not "".join(typed.rules).strip():
        yield Flaw("", "give no `rules`", "lines as sudoers has them")


def _sysctl(typed: machine.SysctlInputs) -> Iterator[Flaw]:
    if typed.state == "present" and (not typed.value.strip() or "\n" in typed.value):
        yield Flaw("", "give no `value`", "one line, as sysctl takes it")


def _kernel_module(typed: machine.KernelModuleInputs) -> Iterator[Flaw]:
    if "\n" in typed.options:
        yield Flaw("options", "has more than one line")
    if typed.options and typed.state != "present":
        yield Flaw("options", f"is given for a module that is to be {typed.state}")


def _mount(typed: machine.MountInputs) -> Iterator[Flaw]:
    if typed.state == "present" and not typed.device.strip():
        yield Flaw("", "give no `device`", "what is mounted, as fstab has it")
    for option in typed.options:
        if not option or any(mark in option for mark in ", \t\n"):
            yield Flaw("options", f"has `{option}`, which is no single option")
        if option.partition("=")[0] in machine.MOUNT_SECRETS:
            yield Flaw("options", "hold a password, and everybody may read /etc/fstab", "`credentials=FILE`")
    if not 0 <= typed.passno <= 9:
        yield Flaw("passno", f"is `{typed.passno}`", "a number from 0 to 9")


def _hostname(typed: network.HostnameInputs) -> Iterator[Flaw]:
    if len(typed.name) > 64:
        yield Flaw("name", f"has {len(typed.name)} characters", "at most 64")


def _certificate(typed: network.CertificateInputs) -> Iterator[Flaw]:
    if (typed.path is None) == (typed.endpoint is None):
        what = "give both `path` and `endpoint`" if typed.path else "say not which certificate"
        yield Flaw("", what, "one of `path` and `endpoint`")
    if typed.endpoint is not None and not _ENDPOINT.match(typed.endpoint):
        yield Flaw("endpoint", f"is `{typed.endpoint}`", "host:port")
    if typed.self_signed and (typed.path is None or typed.key_path is None):
        yield Flaw("selfSigned", "is given without both `path` and `keyPath`")
    if typed.self_signed and typed.renew:
        yield Flaw("renew", "is given for a certificate that opsctl makes itself")
    if typed.self_signed and typed.valid_days <= typed.days:
        yield Flaw("validDays", f"is `{typed.valid_days}`", f"more than `days`, {typed.days}")
    for name in typed.self_signed:
        if not _NAMED.match(name):
            yield Flaw("selfSigned", f"has `{name}`, which is no host name or address")
    if typed.key_path is not None and (why := unsafe_path(typed.key_path)):
        yield Flaw("keyPath", f"is `{typed.key_path}`: {why}", "an absolute path")
    if typed.days < 1:
        yield Flaw("days", f"is `{typed.days}`", "at least 1")
    yield from _timeout(typed)


_ENDPOINT = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+):\d{1,5}\Z", re.IGNORECASE)
_NAMED = re.compile(r"([*][.])?[\w.:-]+\Z")


def _container(typed: services.ContainerInputs) -> Iterator[Flaw]:
    if typed.state == "present" and not re.match(r"[A-Za-z0-9]\S*\Z", typed.image):
        yield Flaw(
            "image" if typed.image else "", "say not what is to run", "`image`, as registry.example.com/shop:2.4"
        )
    for name, value in typed.environment.items():
        if not re.match(r"[A-Za-z_]\w*\Z", name) or "\n" in value:
            yield Flaw("environment", f"has `{name}`, which is no variable of one line")
    for port in typed.ports:
        if not _PORT.match(port):
            yield Flaw("ports", f"has `{port}`", "8080:80, or 127.0.0.1:8080:80/tcp")
    for volume in typed.volumes:
        if not re.match(r"[A-Za-z0-9/][^:]*:/[^:]*(:[A-Za-z,]+)?\Z", volume):
            yield Flaw("volumes", f"has `{volume}`", "/srv/shop:/data, or /srv/shop:/data:ro")


_PORT = re.compile(r"((\[[0-9a-f:.]+\]|[\d.]+):)?(\d+(-\d+)?:)?\d+(-\d+)?(/(tcp|udp|sctp))?\Z", re.IGNORECASE)


def _git(typed: files.GitInputs) -> Iterator[Flaw]:
    if re.match(r"https?://[^/]*@", typed.remote):
        yield Flaw("remote", "holds credentials, which everybody may read", "a credential helper, or a key")
    if ".." in typed.revision:
        yield Flaw("revision", f"is `{typed.revision}`", "a branch, a tag, or the whole name of a commit")
    if typed.owner is not None and not _LOGIN.match(typed.owner):
        yield Flaw("owner", f"is `{typed.owner}`, which is no login name")


def _locale(typed: machine.LocaleInputs) -> Iterator[Flaw]:
    for name in [*typed.generate, *typed.variables.values()]:
        if not _LOCALE.match(name):
            yield Flaw("", f"have `{name}`, which is no locale", "a name as de_DE.UTF-8")
    for name in typed.variables:
        if not re.match(r"(LC_[A-Z]+|LANGUAGE)\Z", name):
            yield Flaw("variables", f"has `{name}`", "LC_TIME and its like")


_LOCALE = re.compile(r"[A-Z][\w.@-]*\Z", re.IGNORECASE)
_LOGIN = re.compile(r"[a-z_][a-z0-9_.-]{0,31}\Z", re.IGNORECASE)


def _user(typed: accounts.UserInputs) -> Iterator[Flaw]:
    if not _LOGIN.match(typed.name):
        yield Flaw("name", f"is `{typed.name}`, which is no login name")
    if typed.uid is not None and not 0 <= typed.uid < 2**32 - 1:
        yield Flaw("uid", f"is `{typed.uid}`", "a number from 0 to 4294967294")


def _group(typed: accounts.GroupInputs) -> Iterator[Flaw]:
    if not _LOGIN.match(typed.name):
        yield Flaw("name", f"is `{typed.name}`, which is no group name")
    if typed.gid is not None and not 0 <= typed.gid < 2**32 - 1:
        yield Flaw("gid", f"is `{typed.gid}`", "a number from 0 to 4294967294")


def _authorized_key(typed: accounts.AuthorizedKeyInputs) -> Iterator[Flaw]:
    if not _LOGIN.match(typed.user):
        yield Flaw("user", f"is `{typed.user}`, which is no login name")
    try:
        publickey.parse(typed.key)
    except publickey.NotAKey as error:
        yield Flaw("key", f"is no public key: {error}", "the line of a .pub file")
    if typed.options is not None and "\n" in typed.options:
        yield Flaw("options", "has more than one line")


def _timeout(
    typed: network.CertificateInputs | scripts.ScriptInputs | scripts.RunShellScriptInputs,
) -> Iterator[Flaw]:
    if typed.timeout_seconds < 1:
        yield Flaw("timeoutSeconds", f"is `{typed.timeout_seconds}`", "at least 1")


def _script(typed: scripts.ScriptInputs) -> Iterator[Flaw]:
    yield from _timeout(typed)
    for name in ("test", "apply"):
        if not "".join(getattr(typed, name)).strip():
            yield Flaw(name, "is empty", "lines of a shell script")


def _shell(typed: scripts.RunShellScriptInputs) -> Iterator[Flaw]:
    yield from _timeout(typed)


def _nothing(typed: Any) -> Iterator[Flaw]:  # noqa: ARG001  # one shape for all
    yield from ()


_OF_ACTION: dict[str, Callable[[Any], Iterator[Flaw]]] = {
    "ops:file": _file,
    "ops:download": fetched.download,
    "ops:archive": fetched.archive,
    "ops:directory": _nothing,
    "ops:link": _link,
    "ops:line": _line,
    "ops:block": _block,
    "ops:hosts": _hosts,
    "ops:package": _package,
    "ops:repository": fetched.repository,
    "ops:service": _service,
    "ops:unit": _unit,
    "ops:timer": _timer,
    "ops:cron": _cron,
    "ops:sudoers": _sudoers,
    "ops:sysctl": _sysctl,
    "ops:kernelModule": _kernel_module,
    "ops:mount": _mount,
    "ops:firewall": _content,
    "ops:hostname": _hostname,
    "ops:timezone": _nothing,
    "ops:locale": _locale,
    "ops:certificate": _certificate,
    "ops:git": _git,
    "ops:container": _container,
    "ops:user": _user,
    "ops:group": _group,
    "ops:authorizedKey": _authorized_key,
    "ops:script": _script,
    "aws:runShellScript": _shell,
}
