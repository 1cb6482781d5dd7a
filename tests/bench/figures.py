"""Every figure: its name, its target, its scenario, and what measures it. Each is measured in a process of its own."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.scenario import Size

Samples = dict[str, list[float]]
RESTING = "OPSCTL_BENCH_RESTING"
"""Names the file that a measure which overlaps others makes once it only waits."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What is published of one name. `target` None: published without one."""

    unit: str
    target: float | None
    scenario: str


_FLEET = (
    "seeded fleet of 100,000 nodes, 1,000 associations, 1,000 distinct label sets, about 20 associations per node; "
    "targets of tag, nested group, list and *; 1 % of pairs stale, 0.5 % failed, 5 % of nodes offline, 200 labels "
    "changed, 3 removals, 5 conflicts; from a loaded catalog (associations compiled, nodes described: `plan.load.100k` "
    "is that part) and World in memory to the complete JSON plan with nodes named, conflict check and gate included"
)
_DOCUMENTS = (
    "1,000 documents of about 4 KB in memory: 600 runbooks of 5 steps, 400 Commands of 2, a quarter of both JSON"
)
_SECRETS = "1,000 SOPS files of YAML in memory, 10 encrypted values each, three recipients of age, one key at hand"
_PARAMETERS = "10,000 parameters in 100 tree files; 1,000 associations whose documents have 100 references each; "
_NODE = (
    "the machine's own /usr/bin/python3 -I -S, the installed agent unpacked, on the disk of this checkout, fresh "
    "processes turn by turn, medians; wall or CPU time, whichever ratio is larger; "
)
_ALL = "200 files of 1 KiB, 20 directories, 20 links, 10 packages, 5 lines, every byte read and hashed"
_REAL = "a real Debian 12 node (systemd, Python 3.11), the installed agent at rest, interval of 30 minutes; "
_IDLE = _REAL + "the example repository's web role and its server; the first ten minutes after it was compliant; "
FIGURES: dict[str, Figure] = {
    "plan.full.100k": Figure("s", 0.5, _FLEET + "; no cache from an earlier plan"),
    "plan.load.100k": Figure(
        "s",
        None,
        "what loading adds to parsed resources of the same fleet, once: compiling 1,000 associations, "
        "describing 100,000 nodes",
    ),
    "plan.full.100k.rss": Figure("MB", 1000, "peak of the whole process that measured plan.full.100k"),
    "plan.again.document": Figure("s", 0.05, "the same fleet, planned before; a document of 50 associations changed"),
    "plan.again.label": Figure("s", 0.05, "the same fleet, planned before; one label changed on 1,000 nodes"),
    "plan.again.group": Figure("s", 0.05, "the same fleet, planned before; one nested group changed"),
    "plan.growth": Figure("ratio", 3, "plan.full at 100,000 nodes over 10,000, the same number of changes"),
    "plan.full.1m": Figure("s", None, "as plan.full.100k with 1,000,000 nodes"),
    "world.load.100k": Figure("s", 5, "World of 100,000 nodes x 20 associations from SQLite"),
    "absorb.report": Figure("s", 0.0002, "one report of 5 claims into World of the fleet of plan.full.100k"),
    "documents.load.1k": Figure("s", 2, _DOCUMENTS + "; read and validated in a process that has read none"),
    "documents.load.1of1k": Figure("s", 0.1, _DOCUMENTS + "; one of them changed since they were read"),
    "parameters.resolve.100k": Figure("s", 1, _PARAMETERS + "all references resolved"),
    "parameters.again.100k": Figure(
        "s", None, _PARAMETERS + "the load of a commit that changes one value, which 10 associations refer to"
    ),
    "parameters.get.p99": Figure(
        "s", 0.01, _PARAMETERS + "a String asked of a daemon over its socket, the 99th of each hundred answers"
    ),
    "parameters.decrypt.p99": Figure(
        "s", 0.01, _PARAMETERS + "as parameters.get.p99, a SecureString opened and written down"
    ),
    "sops.open.1k": Figure("s", 5, _SECRETS + "; opened and verified by one process that has opened none"),
    "sops.unchanged.1k": Figure("s", 0.05, _SECRETS + "; asked for again, none of them changed"),
    "automation.step": Figure(
        "s",
        0.005,
        "per step that ended: an answer taken, all decided that follows, events written as JSON; 200 executions in "
        "turns of 25 steps and a loop of two over ten items, each step's inputs interpolated and outputs selected",
    ),
    "automation.concurrent": Figure(
        "s",
        0.005,
        "per step, wall: 1,000 executions of 10 steps, all under way at once, through a whole controller with a store "
        "on disk; work answered at once by 32 threads; every step recorded before the next begins, none lost",
    ),
    "run.fanout": Figure(
        "s",
        0.6,
        "median of 20: `opsctl run -t '*' --max-concurrency 100% -- true` from its start to its end, 2,000 agents in "
        "one process (TLS, signed hello, job taken, body fetched, signed report), a server with a store on disk",
    ),
    "run.fanout.p99": Figure("s", 1.5, "the same, the slowest of them"),
    "git.sync.1of2000": Figure("s", 0.1, "1 of 2,000 files changed: paths, tree and content, after the fetch"),
    "compliance.commit.10k": Figure("s", 2, "first pages of 10,000 nodes, committed and pushed to a local remote"),
    "compliance.commit.200of10k": Figure("s", 0.15, "200 of 10,000 pages changed, committed and pushed"),
    "compliance.bytes": Figure("KiB", 1, "packed growth per changed node, 40 commits of 200 nodes"),
    "agent.noop.vs.cfengine": Figure("ratio", 0.08, _NODE + "`once --offline` over cf-agent; nothing to do: " + _ALL),
    "agent.noop.vs.bare": Figure("ratio", 3, _NODE + "over a bare loop of the same reads; nothing to do: " + _ALL),
    "agent.noop.resident.vs.bare": Figure(
        "ratio", 3, "a pass of an agent that runs already over a pass of the bare loop in one process; " + _ALL
    ),
    "agent.first.vs.cfengine": Figure(
        "ratio", 0.2, _NODE + "a first run, durable: 20 directories, 200 files of 1 KiB, 20 links"
    ),
    "agent.fixed.vs.cfengine": Figure("ratio", 0.25, _NODE + "nothing to do: 1 directory, 1 file"),
    "agent.mended.vs.cfengine": Figure(
        "ratio", None, _NODE + "10 of 200 files edited by hand and put right, durable; 20 directories, 20 links"
    ),
    "agent.dryrun.vs.noop": Figure(
        "ratio", 1.2, _NODE + "`once --dry-run` over `once --offline`; nothing to do: " + _ALL
    ),
    "agent.start": Figure(
        "ms",
        60,
        _NODE + "a dry run that finds 1 directory and 1 file missing, beyond `python3 -c pass`: program, keys, "
        "journal, set and signature read, steps looked at",
    ),
    "agent.drift.files": Figure(
        "s", 1, _REAL + "200 files of 1 KiB, each edited once, in place or by a rename: until reported, p99"
    ),
    "agent.drift.files.median": Figure("s", None, "the same, median"),
    "agent.drift.healed": Figure("s", 2, "the same, until the file is right again, p99"),
    "agent.drift.services": Figure("s", 2, _REAL + "20 services, each stopped once by systemctl: until reported, p99"),
    "agent.drift.services.healed": Figure("s", None, "the same, until the service runs again, p99"),
    "agent.idle.rss": Figure("MB", 20, _IDLE + "resident at their end"),
    "agent.idle.cpu": Figure("ms", 100, _IDLE + "CPU time of all threads"),
    "agent.idle.written": Figure("bytes", 0, _IDLE + "bytes that went to a disk"),
    "agent.zipapp": Figure("KB", 600, "agent.pyz with Jinja2 in it"),
    "agent.noop.vs.puppet": Figure("ratio", None, _NODE + "over puppet apply; nothing to do: " + _ALL),
    "agent.noop.vs.salt": Figure("ratio", None, _NODE + "over salt-call --local; nothing to do: " + _ALL),
    "agent.noop.vs.ansible": Figure("ratio", None, _NODE + "over ansible-playbook with loops; nothing to do: " + _ALL),
}


def _full() -> Samples:
    from tests.bench.plan_bench import bench_full, bench_load

    taken = bench_full(Size())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"plan.full.100k": [taken], "plan.full.100k.rss": [peak], "plan.load.100k": [bench_load(Size())]}


def _growth() -> Samples:
    from tests.bench.plan_bench import bench_full

    changes = {"stale": 2_000, "failed": 1_000, "relabelled": 200}
    small = bench_full(Size(nodes=10_000, offline=500, **changes))
    large = bench_full(Size(nodes=100_000, offline=5_000, **changes))
    return {"plan.growth": [large / small]}


def _million() -> Samples:
    from tests.bench.plan_bench import bench_full

    size = Size(nodes=1_000_000, stale=200_000, failed=100_000, offline=50_000, relabelled=2_000)
    return {"plan.full.1m": [bench_full(size)]}


def _again() -> Samples:
    from tests.bench.plan_bench import Again

    again = Again(Size())
    return {
        "plan.again.document": again.document(),
        "plan.again.label": again.label(),
        "plan.again.group": again.group(),
    }


def _absorb() -> Samples:
    from tests.bench.plan_bench import bench_absorb

    return {"absorb.report": bench_absorb(Size())}


def _automation() -> Samples:
    from tests.bench.automation_bench import bench_step
    from tests.bench.executions_bench import bench_concurrent

    return {"automation.step": bench_step(), "automation.concurrent": bench_concurrent()}


def _run() -> Samples:
    from tests.bench.run_bench import bench_run

    taken = sorted(bench_run())
    return {"run.fanout": taken, "run.fanout.p99": taken[-1:]}


def _store() -> Samples:
    from tests.bench.store_bench import bench_world_load

    return {"world.load.100k": bench_world_load()}


def _sops() -> Samples:
    from tests.bench import sops_bench

    return sops_bench.bench()


def _parameters() -> Samples:
    from tests.bench import parameters_bench

    return parameters_bench.bench()


def _documents() -> Samples:
    from tests.bench import documents_bench

    return documents_bench.bench()


def _git() -> Samples:
    from tests.bench import git_bench

    return {
        "git.sync.1of2000": git_bench.bench_sync_1_of_2000(),
        "compliance.commit.10k": git_bench.bench_commit_10k(),
        "compliance.commit.200of10k": git_bench.bench_commit_200_of_10k(),
        "compliance.bytes": [value / 1024 for value in git_bench.bench_bytes_per_changed_node()],
    }


def _agent() -> Samples:
    from tests.bench.agent_bench import bench_agent

    return bench_agent()


def _peers() -> Samples:
    from tests.bench.agent_bench import bench_peers

    return bench_peers()


def _drift() -> Samples:
    from tests.bench import drift_bench

    return drift_bench.bench()


def _idle() -> Samples:
    from tests.bench import idle_bench

    return idle_bench.bench()


@dataclass(frozen=True, slots=True)
class Measure:
    """What measures a group of figures, and in how many processes: what one plan warmed would flatter the next."""

    samples: Callable[[], Samples]
    processes: int = 1
    seconds: int = 600
    overlaps: bool = False
    """Whether it starts first and goes on beside the others: a measurement of what does nothing takes no time."""
    on_demand: bool = False
    """Whether it is measured only where it is named: it takes long."""


MEASURES = {
    "full": Measure(_full, 5),
    "again": Measure(_again),
    "growth": Measure(_growth, 3),
    "absorb": Measure(_absorb),
    "automation": Measure(_automation),
    "run": Measure(_run),
    "store": Measure(_store),
    "documents": Measure(_documents, 3),
    "sops": Measure(_sops),
    "parameters": Measure(_parameters),
    "git": Measure(_git),
    "million": Measure(_million),
    "agent": Measure(_agent),
    "drift": Measure(_drift),
    "idle": Measure(_idle, seconds=3600, overlaps=True),
    "peers": Measure(_peers, seconds=3600, on_demand=True),
}
"""By group: groups share what is costly to build, and nothing else."""
