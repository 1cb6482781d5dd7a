"""`make bench`: measure everything, print a table, write build/bench.json. `--only GROUP` measures one group."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench.figures import FIGURES, MEASURES, Samples

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
    for group, samples, problem in _all_measured(asked.only or list(MEASURES)):
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
    """Group by group; those that overlap the others begin first and are waited for last."""
    with ThreadPoolExecutor() as beside:
        overlapping = [group for group in groups if MEASURES[group].overlaps]
        begun = [(group, beside.submit(_measured, group)) for group in overlapping]
        for group in groups:
            if group not in overlapping:
                yield (group, *_measured(group))
        for group, result in begun:
            yield (group, *result.result())


def _measured(group: str) -> tuple[Samples, str]:
    """The samples of all processes of a group, together."""
    sys.stderr.write(f"measuring {group} ...\n")
    together: Samples = {}
    for _ in range(MEASURES[group].processes):
        samples, problem = _in_a_process(group)
        if problem:
            return {}, problem
        for name, values in samples.items():
            together.setdefault(name, []).extend(values)
    return together, ""


def _in_a_process(group: str) -> tuple[Samples, str]:
    """In a fresh process, so that one group's memory is not another's."""
    seconds = MEASURES[group].seconds
    command = [sys.executable, "-m", "tests.bench", "--measure", group]
    try:
        done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False, timeout=seconds)
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
