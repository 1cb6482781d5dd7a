"""What runs on a node: services and their units, timers, cron jobs, containers."""

from __future__ import annotations

from typing import Dict, List, Optional

from agent.contract.codec import Wire, described
from agent.contract.inputs import fields
from agent.contract.record import dataclass


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
    drop_in: Optional[str] = described(
        "Name of a drop-in for the unit, instead of its own file.", None, pattern=fields.WORD
    )
    content: Optional[str] = fields.content()
    source: Optional[str] = fields.source()
    template: bool = fields.template()
    state: str = fields.state()


@dataclass(frozen=True)
class TimerInputs(Wire):
    """A command at instants of the calendar: a oneshot service of systemd and the timer that starts it."""

    name: str = described("Name of both units, without suffix.", pattern=fields.WORD)
    on_calendar: List[str] = described(
        "When, as systemd's OnCalendar has it: daily, Mon *-*-* 04:30. Required unless absent.", [], one_or_many=True
    )
    command: str = described("As ExecStart has it, without a shell: the program's absolute path comes first.", "")
    user: Optional[str] = described("Whom it runs as; root where absent.", None)
    description: str = described("What the units are called; the name where empty.", "")
    persistent: bool = described("Whether an instant that the node was off at is made up for.", True)
    randomized_delay_seconds: int = described("A random delay of up to this, so that not all nodes start at once.", 0)
    state: str = fields.state()


@dataclass(frozen=True)
class CronInputs(Wire):
    """A cron job, as a file of its own in /etc/cron.d."""

    name: str = described("Name of the file; cron reads only names of letters, digits, - and _.", pattern=fields.PLAIN)
    schedule: str = described("Five fields or a word as @daily; required unless absent.", "")
    command: str = described("What cron gives to the shell; a % is written \\%. Required unless absent.", "")
    user: str = described("Whom it runs as.", "root")
    environment: Dict[str, str] = described("Variables for it, as PATH and MAILTO.", {})
    state: str = fields.state()


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
    state: str = fields.state()


@dataclass(frozen=True)
class ConfigureDockerInputs(Wire):
    """SSM's `aws:configureDocker`: docker by the packages of the node's distribution."""

    action: str = described("`Install` or `Uninstall`.", pattern="^(Install|Uninstall)$")


@dataclass(frozen=True)
class RunDockerActionInputs(Wire):
    """SSM's `aws:runDockerAction`: one command of docker, run once."""

    action: str = described(
        "What docker is to do: Create, Start, Run, Stop, Rm, Exec, Inspect, Logs, Ps, Stats, Pull, Images or Rmi.",
        pattern="^(Create|Start|Run|Stop|Rm|Exec|Inspect|Logs|Ps|Stats|Pull|Images|Rmi)$",
    )
    container: str = described("Name or id of a container.", "")
    image: str = described("Name of an image.", "")
    cmd: str = described("What runs in the container, its words as a shell splits them.", "")
    memory: str = described("Memory that the container may have, as 512m.", "")
    cpu_shares: str = described("Its share of processors, relative to others.", "")
    volume: List[str] = described("Directories and volumes to mount.", [], one_or_many=True)
    env: str = described("A variable for it, as NAME=VALUE; the value is in no command line.", "")
    user: str = described("Whom it runs as inside.", "")
    publish: str = described("A port to publish, as 8080:80.", "")
