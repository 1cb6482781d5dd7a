"""A new container in place of an old one: made beside it first, and the old one put back where the new one fails."""

from __future__ import annotations

import contextlib
from typing import Iterator, List, Mapping, NoReturn

from agent.contract.inputs.services import ContainerInputs
from agent.host.port import Host, replace
from agent.steps.engine import Engine
from agent.steps.step import StepFailed

_FILE = "/run/opsctl-container-%s.%s"
_NEW, _OLD = ".opsctl-new", ".opsctl-old"


def make(host: Host, engine: Engine, desired: ContainerInputs, labels: Mapping[str, str]) -> None:
    """The new container, not started, beside the one of its name. Raises `StepFailed`."""
    engine.remove(desired.name + _NEW)  # what a broken attempt left
    if not engine.image(desired.image):
        engine.pull(desired.image)
    options = [word for port in desired.ports for word in ("--publish", port)]
    options += [word for volume in desired.volumes for word in ("--volume", volume)]
    options += ["--network", desired.network] if desired.network else []
    options += ["--user", desired.user] if desired.user else []
    with _files(host, desired, labels) as files:
        named = ["--name", desired.name + _NEW, "--restart", desired.restart]
        engine.create([*named, *files, *options, "--", desired.image, *desired.command])


@contextlib.contextmanager
def _files(host: Host, desired: ContainerInputs, labels: Mapping[str, str]) -> Iterator[List[str]]:
    """The options that name two files, with environment and labels, while they are there."""
    options: List[str] = []
    made: List[str] = []
    try:
        for option, kind, pairs in (("--env-file", "env", desired.environment), ("--label-file", "labels", labels)):
            path = _FILE % (desired.name, kind)
            made.append(path)
            content = "".join("%s=%s\n" % pair for pair in sorted(pairs.items()))
            replace(host, path, content.encode("utf-8"), 0o600)
            options += [option, path]
        yield options
    finally:
        for path in made:
            with contextlib.suppress(FileNotFoundError):
                host.unlink(path)


def exchange(engine: Engine, name: str, *, there: bool) -> None:
    """Puts the new container in place of the old one, and the old one back where the new one does not start."""
    if there:
        engine.remove(name + _OLD)
        engine.stop(name)
        engine.rename(name, name + _OLD)
    try:
        engine.rename(name + _NEW, name)
        engine.start(name)
    except StepFailed as failure:
        _put_back(engine, name, failure, there=there)
    engine.remove(name + _OLD)


def _put_back(engine: Engine, name: str, failure: StepFailed, *, there: bool) -> NoReturn:
    engine.remove(name)
    if there:
        engine.rename(name + _OLD, name)
        engine.start(name)
    kept = "; the former container runs again" if there else ""
    raise StepFailed(failure.reason + kept, rc=failure.rc, status=failure.status) from failure
