"""`python -m tests.matrix`: the faults on every Debian release and under every Python, a table, `build/faults.json`.

A cell is one run of pytest: all faults on nodes of a release, under its own Python; the agent's on nodes, under a
Python that this machine lends; the agent's that need no node, under each Python of this machine; and the server's that
need none. A cell that fails stops no other. Arguments that are not the matrix's own go to pytest.
"""
# ruff: noqa: T201 -- printing is what a command line does

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tests import faults, oldest
from tests.agent.oldest import VERSIONS, python
from tests.fleet import DEFAULT_SUITE, SUITES, FleetError, possible, pythons, rootfs

TOP = Path(__file__).resolve().parents[1]
BUILD = TOP / "build"
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
AGENT = "tests/agent"
HERE = "this machine"
ON_NODES, WITHOUT_NODES = "fault and realnode", "fault and not realnode"


@dataclass(frozen=True, slots=True)
class Cell:
    """One run. `refusal` says why it cannot be, in a line; empty where it can."""

    where: str
    python: str
    apart: bool = False
    """Under another Python than the project's."""
    selected: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    refusal: str = ""

    @property
    def name(self) -> str:
        return f"{self.where}, Python {self.python}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a cell; `skips` counts tests by the reason they gave."""

    where: str
    python: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: int = 0
    failures: tuple[str, ...] = ()
    skips: dict[str, int] = field(default_factory=dict)


def cells(*, every: bool) -> Iterator[Cell]:
    """With `every`, each release meets each Python; else only this machine's release does."""
    for suite in SUITES:
        yield from _on_nodes(suite, every or suite == DEFAULT_SUITE)
    for version in VERSIONS:
        yield _under(version)
    yield Cell(f"{HERE}, the server", THIS, selected=("-m", WITHOUT_NODES, "tests", f"--ignore={AGENT}"))


def _on_nodes(suite: str, lent: bool) -> Iterator[Cell]:
    where, refusal = f"{suite} nodes", possible()
    try:
        root = None if refusal else rootfs.ensure(suite)
    except FleetError as problem:
        root, refusal = None, str(problem)
    if root is None:
        yield Cell(where, "of the release", refusal=refusal)
        return
    own = (root.root / "usr/bin/python3").readlink().name.removeprefix("python")
    chosen = {"OPSCTL_SUITE": suite}
    yield Cell(where, own, selected=("-m", ON_NODES, "tests"), environment=chosen)
    for version in VERSIONS if lent else ():
        if version == own:
            continue
        program = python(version)
        home = Path(program).resolve().parents[1] if program else None
        refusal = pythons.refusal(home, root) if home else f"there is no Python {version} on this machine"
        lent_one = {**chosen, "OPSCTL_NODE_PYTHON": str(home)}
        yield Cell(where, version, selected=("-m", ON_NODES, AGENT), environment=lent_one, refusal=refusal)


def _under(version: str) -> Cell:
    selected = ("-m", WITHOUT_NODES, AGENT)
    if version == THIS:
        return Cell(HERE, version, selected=selected)
    if python(version) is None:
        return Cell(HERE, version, refusal=f"there is no Python {version} on this machine")
    return Cell(HERE, version, apart=True, selected=(*oldest.OPTIONS, *selected))


def run(cell: Cell, number: int, seed: int, more: list[str]) -> Outcome:
    """Run a cell, its output as it comes."""
    if cell.refusal:
        return Outcome(cell.where, cell.python, skips={cell.refusal: 1})
    results = BUILD / f"faults-{number}.xml"
    results.unlink(missing_ok=True)
    try:
        program = str(oldest.prepared(cell.python)) if cell.apart else sys.executable
    except subprocess.CalledProcessError as problem:
        return Outcome(cell.where, cell.python, failed=1, failures=(f"its libraries cannot be installed: {problem}",))
    command = [program, "-B", "-m", "pytest", *cell.selected, f"--junitxml={results}", *more]
    environment = {**os.environ, **cell.environment, "OPSCTL_SEED": str(seed)}
    start = time.monotonic()
    code = subprocess.run(command, cwd=TOP, env=environment, check=False).returncode
    seconds = round(time.monotonic() - start)
    if not results.exists():
        return Outcome(cell.where, cell.python, 0, 1, 0, seconds, (f"pytest ended with {code}",))
    outcome = _outcome(cell, results, seconds)
    results.unlink()
    return outcome


def _outcome(cell: Cell, results: Path, seconds: int) -> Outcome:
    failures: list[str] = []
    skips: Counter[str] = Counter()
    tests = ElementTree.parse(results).getroot().findall(".//testcase")
    for test in tests:
        skip = test.find("skipped")
        if test.find("failure") is not None or test.find("error") is not None:
            failures.append(f"{test.get('classname')}::{test.get('name')}")
        elif skip is not None:
            skips[skip.get("message", "")] += 1
    if not tests:
        failures.append("no test was found")
    skipped = skips.total()
    passed = len(tests) - len([name for name in failures if "::" in name]) - skipped
    return Outcome(cell.where, cell.python, passed, len(failures), skipped, seconds, tuple(failures), dict(skips))


def table(outcomes: list[Outcome]) -> str:
    """A row for each cell, with the reasons of what was skipped and the names of what failed beneath."""
    width = max(len(outcome.where) for outcome in outcomes)
    lines = [f"{'where':{width}}  {'python':14}  passed  failed  skipped  seconds"]
    for one in outcomes:
        counts = f"{one.passed:6}  {one.failed:6}  {one.skipped:7}  {one.seconds:7}"
        lines.append(f"{one.where:{width}}  {one.python:14}  {counts}")
        lines += [f"    failed: {name}" for name in one.failures]
        lines += [f"    skipped: {reason}" for reason in one.skips]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """0 where every cell that could be run passed."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("--cell", action="append", default=[], help="only cells whose name has this in it")
    parser.add_argument("--every", action="store_true", help="every Python on every release")
    parser.add_argument("--list", action="store_true", help="say which cells there are, and stop")
    chosen, more = parser.parse_known_args(arguments)
    BUILD.mkdir(exist_ok=True)
    wanted = [cell for cell in cells(every=chosen.every) if all(part in cell.name for part in chosen.cell)]
    if chosen.list or not wanted:
        print("\n".join(f"{cell.name}  {cell.refusal}".rstrip() for cell in wanted) or "no such cell")
        return 0 if wanted else 2
    seed, start, outcomes = faults.seed(), time.monotonic(), []
    for number, cell in enumerate(wanted, 1):
        print(f"== {number} of {len(wanted)}: {cell.name} (OPSCTL_SEED={seed})", flush=True)
        outcomes.append(run(cell, number, seed, more))
        _write(outcomes, seed, start)
    print(f"\n{table(outcomes)}\n{'full counts' if faults.FULL else 'once'}, seed {seed}, ", end="")
    print(f"{time.monotonic() - start:.0f} seconds in all; see {BUILD / 'faults.json'}")
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def _write(outcomes: list[Outcome], seed: int, start: float) -> None:
    """After each cell: a run that is cut off leaves what it found."""
    found = {
        "seed": seed,
        "full": faults.FULL,
        "seconds": round(time.monotonic() - start),
        "cells": [asdict(outcome) for outcome in outcomes],
    }
    (BUILD / "faults.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
