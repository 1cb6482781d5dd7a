"""A pass of the agent on a converged server, beside peers and a bare loop: fresh processes, turn by turn."""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.agent import program
from tests.bench.peers import PEERS, CFEngine, Commands, NotHere, complain
from tests.bench.wanted import Wanted, enrolled, wanted, write_wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.bench.figures import Samples
    from tests.bench.peers import Peer

PYTHON = "/usr/bin/python3"
FLAGS = ("-I", "-S")
"""As the installed unit runs it."""
ROUNDS = 15
PASSES = 40
BUILD = program.ROOT / "build"
BARE, RESIDENT = (Path(__file__).with_name(name) for name in ("bare.py", "resident.py"))
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one process and all that it waited for."""

    wall: float
    cpu: float


def measured(command: list[str], expect: int | None = 0) -> Cost:
    """One process from start to end; any other exit code than `expect` is an error."""
    null = os.open(os.devnull, os.O_RDWR)
    started = time.perf_counter()
    process = os.posix_spawnp(
        command[0], command, _ENVIRONMENT, file_actions=[(os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1, 2)]
    )
    _, status, used = os.wait4(process, 0)
    wall = time.perf_counter() - started
    os.close(null)
    code = os.waitstatus_to_exitcode(status)
    if expect is not None and code != expect:
        raise RuntimeError(f"{' '.join(command)} ended {code}")
    return Cost(wall, used.ru_utime + used.ru_stime)


def turn_by_turn(commands: Mapping[str, Callable[[], Cost]], rounds: int = ROUNDS) -> dict[str, list[Cost]]:
    """All of them in turn, again and again: what else the machine does meets all alike."""
    taken: dict[str, list[Cost]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, run in commands.items():
            cost = run()
            if turn:  # the first warms the caches
                taken[name].append(cost)
    return taken


def ratio(ours: list[Cost], theirs: list[Cost]) -> float:
    """Median over median, of wall time or of CPU time, whichever is the larger."""
    return max(
        statistics.median(cost.wall for cost in ours) / statistics.median(cost.wall for cost in theirs),
        statistics.median(cost.cpu for cost in ours) / statistics.median(cost.cpu for cost in theirs),
    )


class Scene:
    """One wanted server on this machine's disk, the installed agent, and room for peers."""

    def __init__(self, home: Path, want: Wanted) -> None:
        self.home, self.want = home, want
        self.state = home / "state"
        self._peers = 0

    def ours(self, *arguments: str, expect: int = 0) -> Cost:
        """One pass in a fresh process, as the unit runs it."""
        return measured([*agent(self.home.parent), "once", "--state", str(self.state), *arguments], expect)

    def begin(self) -> None:
        """Nothing is there yet, and the agent has just been given what should be."""
        self.want.begin()
        enrolled(self.state, self.want)

    def converge(self) -> None:
        """By the agent, once and then again, so that what is left to do is nothing."""
        self.begin()
        self.ours("--offline")
        if not self.want.complete():
            raise RuntimeError("the agent did not bring about what is wanted")
        self.ours("--offline")

    def described(self, peer: Peer) -> Commands:
        self._peers += 1
        directory = self.home / f"{peer.name}-{self._peers}"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        return peer.describe(self.want, directory / "described")

    def bare(self) -> list[str]:
        """The command of the bare loop."""
        self.home.mkdir(parents=True, exist_ok=True)
        path = self.home / "wanted.marshal"
        write_wanted(path, self.want)
        return [PYTHON, *FLAGS, str(BARE), str(path)]


def agent(home: Path) -> list[str]:
    """The command line of the agent installed beneath `home`, as its unit has it."""
    return [PYTHON, *FLAGS, str(home / "root/opt/opsctl/current")]


@contextlib.contextmanager
def workshop() -> Iterator[Path]:
    """A directory on this machine's disk with the agent installed in it."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-agent-", dir=BUILD) as made:
        home = Path(made)
        install = ["install", "--no-start", "--root", str(home / "root")]
        subprocess.run([PYTHON, "-I", str(program.archive()), *install], check=True, stdout=subprocess.DEVNULL)
        yield home


def bench_agent() -> Samples:
    """Everything against the machine's own interpreter, the bare loop and CFEngine."""
    with workshop() as home:
        samples = {**_noop(home), **_first(home), **_fixed(home), **_mended(home), **_start(home), **_resident(home)}
    return {**samples, "agent.zipapp": [program.archive().stat().st_size / 1024]}


def bench_peers() -> Samples:
    """A pass with nothing to do beside the slower peers."""
    found: Samples = {}
    with workshop() as home:
        scene = Scene(home / "peers", wanted(home / "peers/place"))
        for peer in PEERS:
            try:
                peer.install(BUILD / "peers")
            except NotHere as error:
                complain(peer, error)
                continue
            scene.converge()
            command = scene.described(peer).apply
            measured(command)
            taken = turn_by_turn(
                {"ours": lambda: scene.ours("--offline"), "theirs": partial(measured, command)}, peer.runs
            )
            found[f"agent.noop.vs.{peer.name}"] = [ratio(taken["ours"], taken["theirs"])]
    return found


def _noop(home: Path) -> Samples:
    scene = Scene(home / "noop", wanted(home / "noop/place"))
    cfengine, bare = _cfengine(scene), scene.bare()
    scene.converge()
    runs = {
        "noop": lambda: scene.ours("--offline"),
        "dry": lambda: scene.ours("--dry-run"),
        "bare": lambda: measured(bare),
    }
    if cfengine:
        measured(cfengine.apply)
        runs["cfengine"] = lambda: measured(cfengine.apply)
    taken = turn_by_turn(runs)
    samples = {
        "agent.noop.vs.bare": [ratio(taken["noop"], taken["bare"])],
        "agent.dryrun.vs.noop": [ratio(taken["dry"], taken["noop"])],
    }
    if cfengine:
        samples["agent.noop.vs.cfengine"] = [ratio(taken["noop"], taken["cfengine"])]
    return samples


def _first(home: Path) -> Samples:
    """A first run: directories, files and links, durable."""
    scene = Scene(home / "first", wanted(home / "first/place", lines=0, packages=False))
    cfengine = _cfengine(scene)
    if not cfengine:
        return {}

    def ours() -> Cost:
        scene.begin()
        return scene.ours("--offline")

    def theirs() -> Cost:
        scene.want.begin()
        return measured(cfengine.apply)

    taken = turn_by_turn({"ours": ours, "theirs": theirs}, 9)
    return {"agent.first.vs.cfengine": [ratio(taken["ours"], taken["theirs"])]}


def _fixed(home: Path) -> Samples:
    scene = Scene(
        home / "fixed", wanted(home / "fixed/place", files=1, directories=1, links=0, lines=0, packages=False)
    )
    cfengine = _cfengine(scene)
    scene.converge()
    if not cfengine:
        return {}
    measured(cfengine.apply)
    taken = turn_by_turn({"ours": lambda: scene.ours("--offline"), "theirs": lambda: measured(cfengine.apply)})
    return {"agent.fixed.vs.cfengine": [ratio(taken["ours"], taken["theirs"])]}


def _mended(home: Path) -> Samples:
    """Ten of the files edited by hand, put right again."""
    scene = Scene(home / "mended", wanted(home / "mended/place", lines=0, packages=False))
    cfengine = _cfengine(scene)
    scene.converge()
    if not cfengine:
        return {}

    def edited(run: Callable[[], Cost]) -> Cost:
        for path in list(scene.want.files)[::20]:
            path.write_text("by hand\n")
        cost = run()
        if not scene.want.complete():
            raise RuntimeError("not all was put right")
        return cost

    runs = {
        "ours": lambda: edited(lambda: scene.ours("--offline")),
        "theirs": lambda: edited(lambda: measured(cfengine.apply)),
    }
    taken = turn_by_turn(runs, 9)
    return {"agent.mended.vs.cfengine": [ratio(taken["ours"], taken["theirs"])]}


def _start(home: Path) -> Samples:
    """A dry run where one directory and one file are missing: the whole way to the first look, and a little more."""
    scene = Scene(
        home / "start", wanted(home / "start/place", files=1, directories=1, links=0, lines=0, packages=False)
    )
    scene.begin()
    nothing = [PYTHON, *FLAGS, "-c", "pass"]
    taken = turn_by_turn({"ours": lambda: scene.ours("--dry-run", expect=1), "pass": lambda: measured(nothing)})
    wall = {name: statistics.median(cost.wall for cost in costs) for name, costs in taken.items()}
    return {"agent.start": [(wall["ours"] - wall["pass"]) * 1000]}


def _resident(home: Path) -> Samples:
    """Passes within one process, each over everything, against the bare loop within one process."""
    scene = Scene(home / "resident", wanted(home / "resident/place"))
    bare = scene.bare()
    scene.converge()
    ours = [PYTHON, *FLAGS, str(RESIDENT), agent(home)[-1], str(scene.state), str(PASSES)]
    taken: dict[str, list[Cost]] = {"ours": [], "bare": []}
    for _ in range(5):
        for name, command in (("ours", ours), ("bare", [*bare, "--resident", str(PASSES)])):
            said = subprocess.run(command, check=True, capture_output=True, text=True, env=_ENVIRONMENT)
            wall, cpu = said.stdout.split()
            taken[name].append(Cost(float(wall), float(cpu)))
    return {"agent.noop.resident.vs.bare": [ratio(taken["ours"], taken["bare"])]}


def _cfengine(scene: Scene) -> Commands | None:
    """None where this machine cannot have it; the figures that need it are left out then."""
    peer = CFEngine()
    try:
        peer.install(BUILD / "peers")
    except NotHere as error:
        complain(peer, error)
        return None
    return scene.described(peer)
