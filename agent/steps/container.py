"""ops:container. A container that runs as declared, by podman or docker, whichever the node has.

What is declared is noted on the container as a digest, for of most of it an engine cannot be asked in the words that it
was told; whether it runs, its restart policy and its image are seen. One that differs is replaced: the new one is made
first, under another name, and the old one is put back where the new one does not start. Values of the environment reach
the engine in a file that root alone may read, never in a command line.
"""

from __future__ import annotations

import json
from typing import List, Optional, Tuple

from agent.contract.canonical import digest_of
from agent.contract.claims import Claim
from agent.contract.codec import to_wire
from agent.contract.inputs.services import ContainerInputs
from agent.contract.record import dataclass
from agent.host.port import Host
from agent.steps import rollover
from agent.steps.derived import one_line
from agent.steps.diff import content_diff
from agent.steps.engine import DECLARED, DIGEST, Container, Engine
from agent.steps.step import Applied, Change, Given, LeftAlone, State, StepFailed

_NOT_COMPARED = ("state", "engine")


@dataclass(frozen=True)
class Observed:
    """The container, and the id of the image that the node has by the declared name; empty where it has none."""

    container: Optional[Container]
    image: str = ""


class ContainerStep:
    """A container that is there and runs, or is not there."""

    def observe(self, host: Host, desired: ContainerInputs, given: Given) -> Observed:
        del given
        engine, container = Engine.find(host, desired.engine, desired.name)
        return Observed(container, engine.image(desired.image) if desired.image else "")

    def changes(self, desired: ContainerInputs, observed: Observed, given: Given) -> List[Change]:
        del given
        claim, container = Claim("container", desired.name), observed.container
        if desired.state == "absent":
            return [Change(claim, container.status, "absent")] if container else []
        _check(desired)
        after = "%s, running" % desired.image
        declared = _lines(_declared(desired))
        if container is None:
            return [Change(claim, "absent", after, content_diff(str(claim), None, declared), "replace")]
        if not container.digest:
            raise StepFailed("there is a container %s that opsctl did not make; remove or rename it" % desired.name)
        before = _differs(desired, container, observed.image)
        if before is not None:
            diff = content_diff(str(claim), _lines(container.declared), declared)
            return [Change(claim, before, after, diff, "replace")]
        return [] if container.running else [Change(claim, container.status, after, "", "start")]

    def apply(self, host: Host, desired: ContainerInputs, changes: List[Change], given: Given) -> Applied:
        del given
        engine, container = Engine.find(host, desired.engine, desired.name)
        for change in changes:
            if desired.state == "absent":
                engine.stop(desired.name)
                engine.remove(desired.name)
            elif change.detail == "start":
                engine.start(desired.name)
            else:
                labels = {DIGEST: _digest(desired), DECLARED: json.dumps(_declared(desired))}
                rollover.make(host, engine, desired, labels)
                rollover.exchange(engine, desired.name, there=container is not None)
        return Applied()

    def state(self, observed: Observed, claim: Claim) -> State:
        del claim
        return observed.container and {"id": observed.container.id, "digest": observed.container.digest}

    def current(self, host: Host, claim: Claim, left: State) -> State:
        del left
        return self.state(Observed(Engine.find(host, None, claim.name)[1]), claim)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        del left
        if prior is not None:
            raise LeftAlone("a container was there before; it is not put back")
        engine, _ = Engine.find(host, None, claim.name)
        engine.stop(claim.name)
        engine.remove(claim.name)


def _check(desired: ContainerInputs) -> None:
    if not desired.image or desired.image.startswith("-"):
        raise StepFailed("`image` says not what is to run")
    for name, value in desired.environment.items():
        one_line(name, value)


def _digest(desired: ContainerInputs) -> str:
    return digest_of({name: value for name, value in to_wire(desired).items() if name not in _NOT_COMPARED})


def _declared(desired: ContainerInputs) -> Tuple[str, ...]:
    """What is declared, without the values of its environment, which may be secret."""
    lines = ["image " + desired.image, *("command " + word for word in desired.command)]
    lines += ["environment " + name for name in sorted(desired.environment)]
    lines += ["port " + port for port in desired.ports] + ["volume " + volume for volume in desired.volumes]
    named = (("network", desired.network), ("user", desired.user), ("restart", desired.restart))
    return (*lines, *("%s %s" % (what, value) for what, value in named if value))


def _lines(declared: Tuple[str, ...]) -> bytes:
    return "".join(line + "\n" for line in declared).encode("utf-8", "surrogateescape")


def _differs(desired: ContainerInputs, container: Container, image: str) -> Optional[str]:
    """What is wrong with the container, so that it takes another one; None where nothing is."""
    if container.declared != _declared(desired):
        return "as declared before"
    if container.digest != _digest(desired):
        return "with other values in its environment"
    if image and image != container.image:
        return "of an older image %s" % desired.image
    if container.restart != desired.restart:
        return "restart %s" % container.restart
    return None
