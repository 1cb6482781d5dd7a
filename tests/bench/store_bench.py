"""What the store costs: loading World, giving a release to everyone, keeping a report."""

from __future__ import annotations

import random
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agent.contract.canonical import digest
from reconciler.adapters.store import dialect, open_store, schema
from reconciler.controller.assembly import load_world
from reconciler.core import nodeset
from reconciler.core.records import AssignmentRow, Changes, Given, NodeRow, ReleaseRow, StateRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.adapters.store import SqlStore

_FLEET = "fl-0123456789abcdef0"
_NODES = 100_000
_ASSOCIATIONS = 1_000
_PER_NODE = 20
_AT = 1_700_000_000_000
_BODIES = {digest(data): data for data in (b'{"steps":[]}', b'{"steps":[1]}')}
_OLD, _NEW = _BODIES


def bench_world_load() -> list[float]:
    """Seconds from a file to World: 100,000 nodes x 20 of 1,000 associations, 1 % stale, 0.5 % failed.

    `world.load.100k`, wall and CPU, the larger.
    """
    samples = []
    with _directory() as directory:
        _filled(directory)
        for _ in range(5):
            started, spent = time.perf_counter(), time.process_time()
            store = open_store(_url(directory), _FLEET, _AT)
            world = load_world(store, _FLEET)
            samples.append(max(time.perf_counter() - started, time.process_time() - spent))
            assert sum(nodeset.size(columns.anywhere) for columns in world.columns.values()) == _NODES * _PER_NODE
            assert nodeset.size(world.nodes.everyone) == _NODES
            store.close()
            del world  # a daemon that starts has no other
    return samples


def bench_give_everyone() -> list[float]:
    """Seconds of the transaction that gives one release to 100,000 nodes. `store.give.100k`"""
    with _directory() as directory:
        store, ids = _peopled(directory)
        samples = []
        for generation in range(1, 6):
            release = ReleaseRow("Association/everyone", generation, _NEW, "c" * 40, _AT)
            given = Given(release.uid, generation, _NEW, tuple(ids), _AT)
            started = time.perf_counter()
            store.commit(Changes(bodies=_BODIES, releases=(release,), given=(given,)))
            samples.append(time.perf_counter() - started)
        store.close()
    return samples


def bench_keep_report() -> list[float]:
    """Seconds to make one report and its state durable, each in a transaction of its own. `store.report`"""
    return _reports(1, 200)


def bench_keep_reports_in_batches() -> list[float]:
    """Seconds per report where 100 share a transaction, as they do when many nodes report at once."""
    return [taken / 100 for taken in _reports(100, 20)]


def _reports(batch: int, turns: int) -> list[float]:
    with _directory() as directory:
        store, ids = _peopled(directory, 10_000)
        release = ReleaseRow("Association/a", 1, _NEW, "c" * 40, _AT)
        store.commit(
            Changes(bodies=_BODIES, releases=(release,), given=(Given(release.uid, 1, _NEW, tuple(ids), _AT),))
        )
        samples = []
        for turn in range(turns):
            some = ids[turn * batch : (turn + 1) * batch]
            changes = Changes(
                reported=tuple(_said(id_, release.uid) for id_ in some),
                states=tuple(StateRow(id_, release.uid, "COMPLIANT", "Success", "", _AT, "c" * 40, 1) for id_ in some),
            )
            started = time.perf_counter()
            store.commit(changes)
            samples.append(time.perf_counter() - started)
        store.close()
    return samples


def _peopled(directory: Path, count: int = _NODES) -> tuple[SqlStore, list[str]]:
    """A store with its lease and this many nodes, whose ids are as random as real ones."""
    store = open_store(_url(directory), _FLEET, _AT)
    store.renew_lease("bench", _AT, 3600)
    draw = random.Random(7)
    ids = [f"mi-{draw.getrandbits(68):017x}" for _ in range(count)]
    keys = ("ssh-ed25519 " + "A" * 68, "B" * 44)
    store.commit(
        Changes(nodes=tuple(NodeRow(id_, f"node-{at}", *keys, _labels(at), _AT) for at, id_ in enumerate(ids)))
    )
    return store, ids


def _filled(directory: Path) -> None:
    """Every node with its associations, as giving and reporting would have left them."""
    store, _ = _peopled(directory)
    uids = [f"Association/service-{number:04}" for number in range(_ASSOCIATIONS)]
    store.commit(
        Changes(
            bodies=_BODIES,
            releases=tuple(ReleaseRow(uid, at, body, "a" * 40, _AT) for uid in uids for at, body in enumerate(_BODIES)),
        )
    )
    store.close()
    draw = random.Random(11)
    per_association = _NODES * _PER_NODE // _ASSOCIATIONS
    order = [number for _ in range(_PER_NODE) for number in draw.sample(range(1, _NODES + 1), _NODES)]
    engine = dialect.connect(_url(directory))
    for at, uid in enumerate(uids):
        numbers = sorted(order[at * per_association : (at + 1) * per_association])
        rows = [_row(uid, number, place, per_association) for place, number in enumerate(numbers)]
        with dialect.writing(engine) as connection:
            connection.execute(schema.assignments.insert(), rows)
    engine.dispose()


def _row(uid: str, number: int, place: int, of: int) -> dict[str, object]:
    """The first hundredth is stale, the last two-hundredth failed."""
    failed = place >= of - of // 200
    return {
        "fleet_id": _FLEET,
        "uid": uid,
        "node_number": number,
        "generation": 0 if place < of // 100 else 1,
        "given_at": _AT,
        "held": True,
        "status": "Failed" if failed else "Success",
        "compliance": "NON_COMPLIANT" if failed else "COMPLIANT",
        "drifted": failed,
        "seq": 1,
    }


def _said(node_id: str, uid: str) -> AssignmentRow:
    return AssignmentRow(node_id, uid, 1, "", 0, True, "Success", "COMPLIANT", False, 1)


def _labels(number: int) -> dict[str, str]:
    """One of 1,000 label sets."""
    return {"Env": f"env-{number % 4}", "Site": f"site-{number % 10}", "Role": f"role-{number % 25}"}


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="opsctl-bench-") as name:
        yield Path(name)


def _url(directory: Path) -> str:
    return f"sqlite:///{directory / 'store.db'}"
