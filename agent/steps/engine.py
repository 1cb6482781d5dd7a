"""podman or docker, asked and told about containers; the two take the same words for all that is done here."""

from __future__ import annotations

import json
from typing import Any, Dict, Optional, Sequence, Tuple

from agent.contract.record import NamedTuple
from agent.host.port import Host, Ran
from agent.steps.execution import ended_well
from agent.steps.step import InvalidPlatform, StepFailed

ENGINES = ("podman", "docker")
DIGEST, DECLARED = "opsctl.digest", "opsctl.declared"
"""Labels of a container that opsctl made: the digest of what was declared, and what of it may be shown."""
_OUTPUT_AT_MOST = 4 * 1024 * 1024
_LOOK_TIME, _TIME, _PULL_TIME = 60.0, 300.0, 1800.0


class Container(NamedTuple):
    """One container. `image` is the id of its image; `digest` is empty where opsctl did not make it."""

    id: str
    image: str
    status: str
    running: bool
    restart: str
    digest: str
    declared: Tuple[str, ...]


class Engine:
    """One of the two. Every method raises `StepFailed`, `find` also `InvalidPlatform`."""

    def __init__(self, host: Host, program: str) -> None:
        self.program = program
        self._host = host

    @classmethod
    def find(cls, host: Host, program: Optional[str], name: str) -> Tuple["Engine", Optional[Container]]:
        """The engine asked for, or the first that is there; and its container of that name, if it has one."""
        for candidate in (program,) if program else ENGINES:
            engine = cls(host, candidate)
            try:
                return engine, engine._container(name)
            except FileNotFoundError:
                continue
        raise InvalidPlatform("containers need %s, which this node does not have" % (program or " or ".join(ENGINES)))

    def image(self, name: str) -> str:
        """The id of the image that the node has by this name, empty where it has none."""
        ran = self._host.run([self.program, "image", "inspect", "--format", "{{.Id}}", "--", name], timeout=_LOOK_TIME)
        return "" if ran.rc else _plain(ran.stdout.decode("utf-8", "replace").strip())

    def pull(self, image: str) -> None:
        self._run("pull", "--quiet", "--", image, timeout=_PULL_TIME)

    def create(self, words: Sequence[str]) -> None:
        self._run("create", *words)

    def start(self, name: str) -> None:
        self._run("start", name)

    def rename(self, name: str, other: str) -> None:
        self._run("rename", name, other)

    def stop(self, name: str) -> None:
        """Asks it to end, and kills it after the engine's own patience."""
        self._run("stop", name)

    def remove(self, name: str) -> None:
        """Kills and removes it; no container is no failure."""
        ran = self._host.run([self.program, "rm", "--force", name], timeout=_TIME)
        if not _no_such(ran):
            ended_well(ran, "%s rm" % self.program, _TIME)

    def _container(self, name: str) -> Optional[Container]:
        argv = [self.program, "inspect", "--type", "container", name]
        ran = self._host.run(argv, timeout=_LOOK_TIME, keep=_OUTPUT_AT_MOST)
        if _no_such(ran):
            return None
        ended_well(ran, "%s inspect" % self.program, _LOOK_TIME)
        try:
            return _read(json.loads(ran.stdout)[0])
        except (ValueError, LookupError, TypeError, AttributeError):
            raise StepFailed("what %s says of %s cannot be read" % (self.program, name)) from None

    def _run(self, *words: str, timeout: float = _TIME) -> None:
        ran = self._host.run([self.program, *words], timeout=timeout)
        ended_well(ran, "%s %s" % (self.program, words[0]), timeout)


def _no_such(ran: Ran) -> bool:
    return bool(ran.rc) and b"no such" in ran.stderr.lower()


def _read(said: Dict[str, Any]) -> Container:
    labels, state, policy = said["Config"].get("Labels") or {}, said["State"], said["HostConfig"]["RestartPolicy"]
    restart = policy.get("Name") or "no"
    if policy.get("MaximumRetryCount"):
        restart += ":%d" % policy["MaximumRetryCount"]
    return Container(
        id=said["Id"],
        image=_plain(said["Image"]),
        status=state["Status"],
        running=bool(state["Running"]) and not state.get("Restarting"),
        restart=restart,
        digest=labels.get(DIGEST, ""),
        declared=tuple(json.loads(labels.get(DECLARED, "[]"))),
    )


def _plain(image: str) -> str:
    return image[len("sha256:") :] if image.startswith("sha256:") else image
