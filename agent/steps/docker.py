"""aws:configureDocker and aws:runDockerAction: an engine of containers installed, and one thing asked of it, as SSM
has them.

They are done by a script, so that what the engine says is heard as it says it, and that an engine that takes long can
be ended.
"""

from __future__ import annotations

import shlex
from typing import Dict, List, Tuple

from agent.contract.inputs.services import ConfigureDockerInputs, RunDockerActionInputs
from agent.host.port import Host
from agent.steps.program import found
from agent.steps.run import ScriptRun
from agent.steps.step import Given, StepFailed

_REFERENCES = ("container", "image", "user")
_NEEDED: Dict[str, Tuple[str, ...]] = {
    "Create": ("image",),
    "Exec": ("container", "cmd"),
    "Logs": ("container",),
    "Pull": ("image",),
    "Rm": ("container",),
    "Rmi": ("image",),
    "Run": ("image",),
    "Start": ("container",),
    "Stop": ("container",),
}
_FLAGS = {"Ps": ["--all"], "Run": ["--detach"], "Stats": ["--no-stream"]}

_INSTALL = """\
set -e
if command -v docker >/dev/null; then
  echo "docker is installed already: $(docker --version)"
elif command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update
  apt-get -q -y install docker.io
elif command -v dnf >/dev/null; then
  for name in docker docker-ce moby-engine podman-docker; do dnf -y install $name && break; done
elif command -v yum >/dev/null; then
  yum -y install docker
elif command -v zypper >/dev/null; then
  zypper --non-interactive install docker
else
  echo "Unsupported: needs apt-get, dnf, yum or zypper to install docker with" >&2
  exit 1
fi
command -v docker >/dev/null || { echo "no package gave this node a docker" >&2; exit 1; }
if [ -d /run/systemd/system ] && systemctl cat docker.service >/dev/null 2>&1; then
  systemctl enable --now docker.service
elif [ -x /etc/init.d/docker ]; then
  /etc/init.d/docker start
fi"""
_UNINSTALL = """\
set -e
if command -v dpkg-query >/dev/null; then
  is_there() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
  remove() { DEBIAN_FRONTEND=noninteractive apt-get -q -y remove "$@"; }
elif command -v rpm >/dev/null; then
  is_there() { rpm -q "$1" >/dev/null; }
  remove() { if command -v zypper >/dev/null; then zypper --non-interactive remove "$@"
    elif command -v dnf >/dev/null; then dnf -y remove "$@"; else yum -y remove "$@"; fi; }
else
  echo "Unsupported: needs dpkg or rpm to uninstall docker with" >&2
  exit 1
fi
set --
for name in docker docker.io docker-ce docker-engine moby-engine podman-docker; do
  if is_there $name; then set -- "$@" $name; fi
done
if [ $# = 0 ]; then echo "docker is not installed"; else remove "$@"; fi"""


class ConfigureDockerStep(ScriptRun):
    """Docker by the packages of the node's distribution, and its service started; or these packages removed."""

    def lines(self, host: Host, desired: ConfigureDockerInputs, given: Given) -> List[str]:
        del host, given
        return (_INSTALL if desired.action == "Install" else _UNINSTALL).split("\n")

    def shown(self, desired: ConfigureDockerInputs) -> List[str]:
        return ["docker: %s" % desired.action.lower()]


class RunDockerActionStep(ScriptRun):
    """One command of docker, or of podman where the node has no docker."""

    def lines(self, host: Host, desired: RunDockerActionInputs, given: Given) -> List[str]:
        del given
        program = found(host, "docker or podman", ("docker", "podman"))
        name, equals, value = desired.env.partition("=")
        told = ["export %s=%s" % (name, shlex.quote(value))] if equals and _takes_options(desired) else []
        return [*told, "exec " + " ".join(map(shlex.quote, [program, *_words(desired)]))]

    def shown(self, desired: RunDockerActionInputs) -> List[str]:
        return [" ".join(map(shlex.quote, ["docker", *_words(desired)]))]


def _words(desired: RunDockerActionInputs) -> List[str]:
    """What docker is told. The value of `env` is not among it: docker reads that where nobody else does."""
    _check(desired)
    words = [desired.action.lower(), *_FLAGS.get(desired.action, [])]
    if _takes_options(desired):
        return [*words, *_options(desired), desired.image, *_split(desired.cmd)]
    if desired.action == "Exec":
        user = ["--user", desired.user] if desired.user else []
        return [*words, *user, desired.container, *_split(desired.cmd)]
    if desired.action in ("Pull", "Rmi"):
        return [*words, desired.image]
    if desired.action == "Inspect":
        return [*words, *filter(None, (desired.container, desired.image))]
    if desired.action in ("Images", "Ps"):
        return words
    return [*words, *filter(None, (desired.container,))]


def _takes_options(desired: RunDockerActionInputs) -> bool:
    return desired.action in ("Create", "Run")


def _options(desired: RunDockerActionInputs) -> List[str]:
    named = (
        ("--name", desired.container),
        ("--memory", desired.memory),
        ("--cpu-shares", desired.cpu_shares),
        ("--publish", desired.publish),
        ("--env", desired.env.partition("=")[0]),
        ("--user", desired.user),
    )
    words = [word for volume in desired.volume if volume for word in ("--volume", volume)]
    return words + [word for option, value in named if value for word in (option, value)]


def _check(desired: RunDockerActionInputs) -> None:
    for name in _NEEDED.get(desired.action, ()):
        if not getattr(desired, name).strip():
            raise StepFailed("%s needs `%s`" % (desired.action, name))
    if desired.action == "Inspect" and not (desired.container or desired.image):
        raise StepFailed("Inspect needs `container` or `image`")
    for name in _REFERENCES:
        if getattr(desired, name).startswith("-"):
            raise StepFailed("`%s` is %s, which docker would take for an option" % (name, getattr(desired, name)))
    name = desired.env.partition("=")[0]
    if desired.env and not name.replace("_", "a").isalnum():
        raise StepFailed("`env` is not NAME=VALUE")


def _split(cmd: str) -> List[str]:
    try:
        return shlex.split(cmd)
    except ValueError as error:
        raise StepFailed("`cmd` cannot be split into words: %s" % error) from error
