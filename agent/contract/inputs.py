"""What each action takes: one frozen dataclass per action, with the version of its contract.

A default never changes within a contract version, for a field equal to its default is not in the digest. `source`
names a file of the config repository; the body that a node gets says which bytes that is (`Body.files`).
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Type

from agent.contract.codec import Wire, described
from agent.contract.record import dataclass

_STATE = "`present` (default) or `absent`."
_PRESENCE = "^(present|absent)$"
_WORD = "^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
_SETTING = "^[a-z0-9_-]+([.][A-Za-z0-9_:@-]+(/[A-Za-z0-9_:@-]+)*)+$"
_ZONE = "^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$"
_PLAIN = "^[A-Za-z0-9_-]+$"
_LOCALE = "^[A-Za-z][A-Za-z0-9_.@-]*$"
_REVISION = "^[A-Za-z0-9_][A-Za-z0-9_.+/-]*$"
MOUNT_SECRETS = ("password", "passwd", "pass")
"""Options of a mount whose value is a secret, and so cannot stand in a file that everybody may read."""
_HOST = "^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$"


@dataclass(frozen=True)
class FileInputs(Wire):
    """A regular file with exactly this content."""

    path: str = described("Absolute path.")
    content: Optional[str] = described("The whole content as text.", None)
    source: Optional[str] = described("A file of the config repository that holds the content.", None)
    template: bool = described("Render the content with Jinja2 over `labels`, `vars` and `facts`.", False)
    mode: Optional[str] = described("Permissions as octal text; unmanaged where absent.", None, octal=True)
    owner: Optional[str] = described("Owning user; unmanaged where absent.", None)
    group: Optional[str] = described("Owning group; unmanaged where absent.", None)
    state: str = described(_STATE, "present", pattern=_PRESENCE)
    validate: Optional[str] = described(
        "Command that must end 0 before new content lands; %s is its path. No shell; not run in a sandbox.", None
    )
    backup: bool = described("Keep the former content beside the file, as .NAME.opsctl-old.", False)


@dataclass(frozen=True)
class DownloadInputs(Wire):
    """A file from the web, known by its digest."""

    path: str = described("Absolute path.")
    url: str = described("Where it is fetched from, over https or http. Required unless absent.", "")
    sha256: str = described("SHA-256 of the content, as 64 hexadecimal digits. Required unless absent.", "")
    max_bytes: int = described("A longer answer is not taken.", 1 << 30)
    mode: Optional[str] = described("Permissions as octal text; unmanaged where absent.", None, octal=True)
    owner: Optional[str] = described("Owning user; unmanaged where absent.", None)
    group: Optional[str] = described("Owning group; unmanaged where absent.", None)
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class ArchiveInputs(Wire):
    """A directory with what a tar or zip archive holds."""

    path: str = described("Absolute path of the directory.")
    source: Optional[str] = described("A file of the config repository that is the archive.", None)
    url: str = described("Or where the archive is fetched from, over https or http.", "")
    sha256: str = described("SHA-256 of the archive at `url`, as 64 hexadecimal digits.", "")
    strip_components: int = described("How many leading parts of each name are left out.", 0)
    max_bytes: int = described("Neither a larger archive is taken nor one that holds more.", 1 << 30)
    owner: Optional[str] = described("Owning user of all of it; unmanaged where absent.", None)
    group: Optional[str] = described("Owning group of all of it; unmanaged where absent.", None)
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class DirectoryInputs(Wire):
    """A directory. Absent removes it only when it is empty."""

    path: str = described("Absolute path.")
    mode: Optional[str] = described("Permissions as octal text; unmanaged where absent.", None, octal=True)
    owner: Optional[str] = described("Owning user; unmanaged where absent.", None)
    group: Optional[str] = described("Owning group; unmanaged where absent.", None)
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class LinkInputs(Wire):
    """A symbolic link."""

    path: str = described("Absolute path of the link.")
    target: Optional[str] = described("What the link says; required unless absent.", None)
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class LineInputs(Wire):
    """One line of a file that others own too."""

    path: str = described("Absolute path of the file.")
    line: str = described("The line, without its line end.")
    match: Optional[str] = described("Regular expression; the last line that it matches is the one replaced.", None)
    create: bool = described("Create the file where it is missing.", False)
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class BlockInputs(Wire):
    """Lines between two marks in a text file that others own too."""

    path: str = described("Absolute path of the file.")
    name: str = described("Tells this block from others in the file; stands in its marks.", pattern=_WORD)
    content: str = described("The lines between the marks.", "")
    comment: str = described("What a comment of this file begins with.", "#")
    create: bool = described("Create the file where it is missing.", False)
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class HostsInputs(Wire):
    """One name in /etc/hosts with its address."""

    name: str = described("The name that the line is about, its first.", pattern=_HOST)
    address: str = described("IPv4 or IPv6 address; a name may have one of each.")
    aliases: List[str] = described("Other names of the address, after the first.", [])
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class GitInputs(Wire):
    """A checkout of a Git repository at a revision."""

    path: str = described("Absolute path of the checkout.")
    remote: str = described("URL or path of the repository; without a password.", pattern="^[^-].*$")
    revision: str = described("A branch, a tag, or the whole name of a commit.", "HEAD", pattern=_REVISION)
    owner: Optional[str] = described("Whom it belongs to, and whom git runs as; root where absent.", None)
    force: bool = described("Whether what was changed there may go.", False)


@dataclass(frozen=True)
class PackageInputs(Wire):
    """Packages of the platform's own package system."""

    name: List[str] = described("Package names.", one_or_many=True)
    version: Optional[str] = described("Exact version; for a single name only.", None)
    state: str = described("`present` (default), `latest` or `absent`.", "present", pattern="^(present|latest|absent)$")


@dataclass(frozen=True)
class RepositoryInputs(Wire):
    """A source of packages, with its key."""

    name: str = described("Name of the source and of its file.", pattern=_PLAIN)
    type: str = described("Whose source it is: `apt`, `dnf` or `zypper`.", pattern="^(apt|dnf|zypper)$")
    uris: List[str] = described("Where the packages are. Required unless absent.", [], one_or_many=True)
    suites: List[str] = described("apt: suites, as bookworm; or a directory, as ./.", [], one_or_many=True)
    components: List[str] = described("apt: components, as main.", [], one_or_many=True)
    architectures: List[str] = described("apt: architectures; the node's own where empty.", [], one_or_many=True)
    key: Optional[str] = described("The public key that signs it, as armoured text.", None)
    source: Optional[str] = described("Or a file of the config repository that is this key.", None)
    key_url: str = described("Or where the key is fetched from, over https or http.", "")
    key_sha256: str = described("SHA-256 of the key at `keyUrl`, as 64 hexadecimal digits.", "")
    key_path: str = described("Or a file on the node that is this key.", "")
    trusted: bool = described("Take packages that nobody signed.", False)
    options: Dict[str, str] = described("Other fields, as the package system names them.", {})
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class ServiceInputs(Wire):
    """A service of the init system."""

    name: str = described("Unit name; `.service` may be left out.")
    state: Optional[str] = described(
        "`started` or `stopped`; unmanaged where absent.", None, pattern="^(started|stopped)$"
    )
    enabled: Optional[bool] = described("Whether it starts at boot; unmanaged where absent.", None)
    restart_on: List[str] = described("Earlier steps of the document; restarted where one changed.", [])
    reload_on: List[str] = described("Earlier steps of the document; reloaded where one changed.", [])


@dataclass(frozen=True)
class UnitInputs(Wire):
    """A unit file of systemd, or a drop-in for one, in /etc/systemd/system."""

    name: str = described("Unit name; `.service` may be left out.")
    drop_in: Optional[str] = described("Name of a drop-in for the unit, instead of its own file.", None, pattern=_WORD)
    content: Optional[str] = described("The whole content as text.", None)
    source: Optional[str] = described("A file of the config repository that holds the content.", None)
    template: bool = described("Render the content with Jinja2 over `labels`, `vars` and `facts`.", False)
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class TimerInputs(Wire):
    """A command at instants of the calendar: a oneshot service of systemd and the timer that starts it."""

    name: str = described("Name of both units, without suffix.", pattern=_WORD)
    on_calendar: List[str] = described(
        "When, as systemd's OnCalendar has it: daily, Mon *-*-* 04:30. Required unless absent.", [], one_or_many=True
    )
    command: str = described("As ExecStart has it, without a shell: the program's absolute path comes first.", "")
    user: Optional[str] = described("Whom it runs as; root where absent.", None)
    description: str = described("What the units are called; the name where empty.", "")
    persistent: bool = described("Whether an instant that the node was off at is made up for.", True)
    randomized_delay_seconds: int = described("A random delay of up to this, so that not all nodes start at once.", 0)
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class CronInputs(Wire):
    """A cron job, as a file of its own in /etc/cron.d."""

    name: str = described("Name of the file; cron reads only names of letters, digits, - and _.", pattern=_PLAIN)
    schedule: str = described("Five fields or a word as @daily; required unless absent.", "")
    command: str = described("What cron gives to the shell; a % is written \\%. Required unless absent.", "")
    user: str = described("Whom it runs as.", "root")
    environment: Dict[str, str] = described("Variables for it, as PATH and MAILTO.", {})
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class SudoersInputs(Wire):
    """A file of /etc/sudoers.d, accepted by visudo before it lands."""

    name: str = described("Name of the file; sudo passes over names with a dot.", pattern=_PLAIN)
    rules: List[str] = described("Lines of the file; required unless absent.", [])
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class SysctlInputs(Wire):
    """A setting of the kernel, now and at boot. Absent takes it from the boot; the present value stays."""

    name: str = described("As net.ipv4.ip_forward; a dot within a part is written /.", pattern=_SETTING)
    value: str = described("The value; blanks count once. Required unless absent.", "")
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class KernelModuleInputs(Wire):
    """A module of the kernel, now and at boot: loaded, not loaded, or kept out."""

    name: str = described("Name of the module; - and _ in it mean the same.", pattern=_PLAIN)
    options: str = described("Its options, as modprobe.d has them; they hold from the next time it is loaded.", "")
    state: str = described(
        "`present` (default), `absent`, or `blacklisted`: nothing may load it.",
        "present",
        pattern="^(present|absent|blacklisted)$",
    )


@dataclass(frozen=True)
class MountInputs(Wire):
    """A file system that is mounted now and, by its line in /etc/fstab, at boot."""

    path: str = described("Absolute path that it is mounted on.")
    device: str = described(
        "As fstab has it: a device, UUID=..., a directory with `bind`, tmpfs. Not needed to be absent.", ""
    )
    type: str = described("Type of the file system; `none` with `bind`.", "auto", pattern="^[a-z0-9._-]+$")
    options: List[str] = described("Its options, as fstab has them: ro, size=64m, bind.", [], one_or_many=True)
    passno: int = described("Order in which it is checked at boot; 0 is never.", 0)
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class FirewallInputs(Wire):
    """A table of nftables, now and at boot; other tables are left alone."""

    name: str = described("Name of the table.", pattern="^[A-Za-z][A-Za-z0-9_-]*$")
    family: str = described("Its family.", "inet", pattern="^(inet|ip|ip6|arp|bridge|netdev)$")
    content: Optional[str] = described("What stands between its braces: chains, sets, rules.", None)
    source: Optional[str] = described("A file of the config repository that holds that.", None)
    template: bool = described("Render it with Jinja2 over `labels`, `vars` and `facts`.", False)
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class HostnameInputs(Wire):
    """The node's own name, now and at boot."""

    name: str = described("The name, of at most 64 characters.", pattern=_HOST)


@dataclass(frozen=True)
class TimezoneInputs(Wire):
    """The time zone of the node."""

    name: str = described("As Europe/Berlin or UTC: a file below /usr/share/zoneinfo.", pattern=_ZONE)


@dataclass(frozen=True)
class LocaleInputs(Wire):
    """The node's default locale, and others that are to be had."""

    name: str = described("The default, LANG, as de_DE.UTF-8.", pattern=_LOCALE)
    generate: List[str] = described("Others that are to be there.", [])
    variables: Dict[str, str] = described("Other defaults: LC_TIME and its like.", {})


@dataclass(frozen=True)
class CertificateInputs(Wire):
    """A certificate that stays valid for so many days, in a file or at a TLS server."""

    path: Optional[str] = described("PEM file, with its chain: what ends first counts.", None)
    endpoint: Optional[str] = described("A TLS server instead, as host:port.", None)
    server_name: Optional[str] = described("The name that the server is asked for; the host where absent.", None)
    days: int = described("Days that it must stay valid for.", 30)
    renew: List[str] = described("Lines of a script that renews it.", [], one_or_many=True)
    timeout_seconds: int = described("Limit of that script.", 600)
    self_signed: List[str] = described(
        "Names and addresses; one that signs itself is made for them.", [], one_or_many=True
    )
    key_path: Optional[str] = described("Where the key of that is written.", None)
    valid_days: int = described("How long that is valid.", 365)


@dataclass(frozen=True)
class ContainerInputs(Wire):
    """A container that runs, by podman or docker."""

    name: str = described("Name of the container.", pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    image: str = described("Its image, as registry.example.com/shop:2.4. Required unless absent.", "")
    command: List[str] = described("What it runs, word by word; the image's own where empty.", [])
    environment: Dict[str, str] = described("Variables for it; their values are shown nowhere.", {})
    ports: List[str] = described("Ports to publish, as 127.0.0.1:8080:80.", [])
    volumes: List[str] = described("Directories and volumes to mount, as /srv/shop:/data:ro.", [])
    network: Optional[str] = described("The network it is in; the engine's default where absent.", None)
    user: Optional[str] = described("Whom it runs as inside; the image's choice where absent.", None)
    restart: str = described(
        "When the engine starts it again: no, on-failure, on-failure:3, always, unless-stopped.",
        "unless-stopped",
        pattern="^(no|always|unless-stopped|on-failure(:[1-9][0-9]*)?)$",
    )
    engine: Optional[str] = described(
        "`podman` or `docker`; the first that is there where absent.", None, pattern="^(podman|docker)$"
    )
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class UserInputs(Wire):
    """A local user account."""

    name: str = described("Login name.")
    uid: Optional[int] = described("Numeric id; the system's choice where absent.", None)
    group: Optional[str] = described("Primary group; must exist.", None)
    groups: List[str] = described("Supplementary groups the user must be in; others are left alone.", [])
    home: Optional[str] = described("Home directory.", None)
    shell: Optional[str] = described("Login shell.", None)
    comment: Optional[str] = described("GECOS text.", None)
    system: bool = described("A system account (decides the range of ids when it is created).", False)
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class GroupInputs(Wire):
    """A local group."""

    name: str = described("Group name.")
    gid: Optional[int] = described("Numeric id; the system's choice where absent.", None)
    system: bool = described("A system group (decides the range of ids when it is created).", False)
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class AuthorizedKeyInputs(Wire):
    """One key in a user's authorized_keys; others are left alone."""

    user: str = described("Login name; the file is in this user's home directory.")
    key: str = described("The public key, as its .pub file has it.")
    options: Optional[str] = described("Options before the key, as sshd reads them: restrict,from=...", None)
    state: str = described(_STATE, "present", pattern=_PRESENCE)


@dataclass(frozen=True)
class ScriptInputs(Wire):
    """A pair of shell scripts: `test` exits 0 when nothing is to do, `apply` brings it about."""

    test: List[str] = described("Lines of the check; must change nothing.", one_or_many=True)
    apply: List[str] = described("Lines run when the check does not exit 0.", one_or_many=True)
    working_directory: Optional[str] = described("Directory that both run in.", None)
    timeout_seconds: int = described("Limit for each of the two.", 3600)


@dataclass(frozen=True)
class RunShellScriptInputs(Wire):
    """SSM's `aws:runShellScript`: a script that is run, not a state that is held."""

    run_command: List[str] = described("Lines of the script.", one_or_many=True)
    working_directory: Optional[str] = described("Directory that it runs in.", None)
    timeout_seconds: int = described("Limit of the run.", 3600, quoted=True)


class Action(NamedTuple):
    """An action's input type, contract version, and whether it holds a state (declarative) or is run."""

    inputs: Type[Wire]
    version: int
    declarative: bool


ACTIONS: Dict[str, Action] = {
    "ops:file": Action(FileInputs, 1, True),
    "ops:download": Action(DownloadInputs, 1, True),
    "ops:archive": Action(ArchiveInputs, 1, True),
    "ops:directory": Action(DirectoryInputs, 1, True),
    "ops:link": Action(LinkInputs, 1, True),
    "ops:line": Action(LineInputs, 1, True),
    "ops:block": Action(BlockInputs, 1, True),
    "ops:hosts": Action(HostsInputs, 1, True),
    "ops:git": Action(GitInputs, 1, True),
    "ops:package": Action(PackageInputs, 1, True),
    "ops:repository": Action(RepositoryInputs, 1, True),
    "ops:service": Action(ServiceInputs, 1, True),
    "ops:unit": Action(UnitInputs, 1, True),
    "ops:timer": Action(TimerInputs, 1, True),
    "ops:cron": Action(CronInputs, 1, True),
    "ops:sudoers": Action(SudoersInputs, 1, True),
    "ops:sysctl": Action(SysctlInputs, 1, True),
    "ops:kernelModule": Action(KernelModuleInputs, 1, True),
    "ops:mount": Action(MountInputs, 1, True),
    "ops:firewall": Action(FirewallInputs, 1, True),
    "ops:hostname": Action(HostnameInputs, 1, True),
    "ops:timezone": Action(TimezoneInputs, 1, True),
    "ops:locale": Action(LocaleInputs, 1, True),
    "ops:certificate": Action(CertificateInputs, 1, True),
    "ops:container": Action(ContainerInputs, 1, True),
    "ops:user": Action(UserInputs, 1, True),
    "ops:group": Action(GroupInputs, 1, True),
    "ops:authorizedKey": Action(AuthorizedKeyInputs, 1, True),
    "ops:script": Action(ScriptInputs, 1, True),
    "aws:runShellScript": Action(RunShellScriptInputs, 1, False),
}
