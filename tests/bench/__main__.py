"""`make bench`: measure everything, print a table, write build/bench.json. `--only GROUP` measures one group.

What takes up to an hour (`peers`) is measured by its name only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench.figures import FIGURES, MEASURES, RESTING, Samples

TOP = Path(__file__).resolve().parents[2]
OUT = TOP / "build" / "bench.json"


def main() -> int:
    """0 once everything was measured, whatever the figures; 1 where something could not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(MEASURES), action="append", help="one group; may be repeated")
    parser.add_argument("--measure", choices=sorted(MEASURES), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        sys.stdout.write(json.dumps(MEASURES[asked.measure].samples()) + "\n")
        return 0
    known = json.loads(OUT.read_text()) if asked.only and OUT.exists() else {}
    failed = False
    for group, samples, problem in _all_measured(
        asked.only or [name for name, measure in MEASURES.items() if not measure.on_demand]
    ):
        if problem:
            failed = True
            sys.stderr.write(f"{group} was not measured: {problem}\n")
        known.update({name: _published(name, values) for name, values in samples.items()})
    known["run"] = _run()
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(known, indent=1) + "\n")
    _show(known)
    return 1 if failed else 0


def _all_measured(groups: list[str]) -> Iterator[tuple[str, Samples, str]]:
    """Group by group; those that overlap the others begin first, are left to come to rest, and are waited for last."""
    with ThreadPoolExecutor() as beside, tempfile.TemporaryDirectory() as directory:
        begun = {}
        for group in groups:
            if MEASURES[group].overlaps:
                resting = Path(directory) / group
                begun[group] = beside.submit(_measured, group, resting)
                while not (resting.exists() or begun[group].done()):
                    time.sleep(0.1)
        for group in groups:
            if group not in begun:
                yield (group, *_measured(group))
        for group, result in begun.items():
            yield (group, *result.result())


def _measured(group: str, resting: Path | None = None) -> tuple[Samples, str]:
    """The samples of all processes of a group, together."""
    sys.stderr.write(f"measuring {group} ...\n")
    together: Samples = {}
    for _ in range(MEASURES[group].processes):
        samples, problem = _in_a_process(group, resting)
        if problem:
            return {}, problem
        for name, values in samples.items():
            together.setdefault(name, []).extend(values)
    return together, ""


def _in_a_process(group: str, resting: Path | None) -> tuple[Samples, str]:
    """In a fresh process, so that one group's memory is not another's; it makes `resting` once it only waits."""
    seconds = MEASURES[group].seconds
    command = [sys.executable, "-m", "tests.bench", "--measure", group]
    env = os.environ if resting is None else {**os.environ, RESTING: str(resting)}
    try:
        done = subprocess.run(command, cwd=TOP, env=env, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {}, f"it took more than {seconds} s"
    if done.returncode != 0:
        return {}, done.stderr.strip()[-2000:]
    samples: Samples = json.loads(done.stdout.splitlines()[-1])
    return samples, ""


def _published(name: str, samples: list[float]) -> dict[str, Any]:
    figure = FIGURES[name]
    kept = samples if len(samples) <= 100 else samples[:: len(samples) // 100]
    return {
        "value": statistics.median(samples),
        "unit": figure.unit,
        "target": figure.target,
        "scenario": figure.scenario,
        "samples": kept,
    }


def _run() -> dict[str, str]:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=TOP, capture_output=True, text=True, check=False)
    where = subprocess.run(
        ["stat", "--file-system", "--format=%T", str(TOP)], capture_output=True, text=True, check=False
    )
    return {
        "commit": commit.stdout.strip(),
        "interpreter": f"{platform.python_implementation()} {platform.python_version()}",
        "fileSystem": where.stdout.strip(),
        "machine": f"{platform.machine()} {platform.system()} {platform.release()}",
    }


def _show(known: dict[str, Any]) -> None:
    rows = [("figure", "median", "target", "unit", "best", "worst")]
    for name in FIGURES:
        if name not in known:
            continue
        found = known[name]
        target = "" if found["target"] is None else f"{found['target']:g}"
        low, high = min(found["samples"]), max(found["samples"])
        rows.append((name, f"{found['value']:.4g}", target, found["unit"], f"{low:.4g}", f"{high:.4g}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


if __name__ == "__main__":
    sys.exit(main())
