"""`make demo`. KEEP=1 leaves everything running and says what to try; ASSUME_YES=1 answers questions."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from tests import fleet
from tests.demo import end
from tests.demo.ground import DIRECTORY, OPSCTL, PACKAGES, DemoError, choose, prepare
from tests.demo.story import NODES, Story
from tests.demo.voice import say
from tests.stage import Machine, RealMachine, Sandbox, StageError


def main() -> int:
    """Tell the story; 0 when every node ended compliant."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    real, why = choose()
    if not real:
        say(f"real nodes cannot be used here ({why}); directories stand for machines instead")
    try:
        with ExitStack() as stack:
            story = _play(stack, prepare(real=real), real=real)
            if os.environ.get("KEEP") == "1":
                stack.pop_all()
                _keep(story)
    except (DemoError, StageError, fleet.FleetError, AssertionError) as error:
        say(f"the demo failed: {error}")
        return 1
    elapsed = time.monotonic() - started
    kind = "real" if real else "sandbox"
    sys.stdout.write(f"demo: {kind}, {len(NODES)} nodes, compliant {story.compliant}/{len(NODES)}, {elapsed:.0f} s\n")
    return 0 if story.compliant == len(NODES) else 1


def _play(stack: ExitStack, agent: Path, *, real: bool) -> Story:
    end.end()
    DIRECTORY.mkdir()
    stack.callback(shutil.rmtree, DIRECTORY, ignore_errors=True)
    nodes = stack.enter_context(fleet.Fleet()) if real else None
    machines = _real(nodes) if nodes else _sandboxes(stack)
    story = Story(DIRECTORY, machines, nodes.host_address if nodes else "127.0.0.1", agent, nodes)
    stack.callback(story.daemon.stop)
    story.tell()
    return story


def _sandboxes(stack: ExitStack) -> list[Machine]:
    sandboxes: list[Machine] = [Sandbox(DIRECTORY / name, name) for name in NODES]
    for sandbox in sandboxes:
        stack.callback(sandbox.stop)
    return sandboxes


def _real(nodes: fleet.Fleet) -> list[Machine]:
    fleet.sweep()
    for name in NODES:
        nodes.up(name, packages=PACKAGES)
    nodes.wait_booted()
    return [RealMachine(node, name) for name, node in nodes.nodes.items()]


def _keep(story: Story) -> None:
    end.note(story)
    say("\nleft running. Try:")
    say(f"  export OPSCTL_SERVER=unix:{story.daemon.socket}")
    say(f"  cd {story.repository.clone} && $EDITOR documents/web.yaml && git commit -am change && git push")
    say(f"  {OPSCTL} plan; {OPSCTL} apply; {OPSCTL} node show web-1")
    say("  end it all with: python3 -m tests.demo.end")


if __name__ == "__main__":
    sys.exit(main())
