"""What `status` says: who this node is, how the link is, what is held and what came of it. Reads files only."""

from __future__ import annotations

import os
import shutil
import time
from typing import Any, Dict, List, Optional

import agent
from agent import coming
from agent.clock import SystemClock
from agent.contract.canonical import milliseconds
from agent.state import assignments, holds, identity, jobs, lock, status

LEAST_ROOM, LEAST_INODES = 256 * 1024, 16
"""Bytes and inodes below which the agent is in trouble."""
_LEAST_COLUMN = 16


def overview(state: str) -> Dict[str, Any]:
    """Everything known of a state directory, as JSON. Raises `identity.NotEnrolled`, `identity.StateDamaged`."""
    found = identity.load(state)
    held = assignments.shown(state)
    results = status.read(state, "results.json")
    known = coming.journalled(state)
    listed: Dict[str, Any] = {}
    if held is not None and not held.retire:
        for uid, item in sorted(held.assignments.items()):
            then, told = coming.next_of(state, found.node_id, held, uid, known), results.get(uid, {})
            listed[uid] = dict(
                told, generation=item.generation, told=told.get("generation"), nextLook=then.look, nextRun=then.run
            )
    return {
        "node": found.node_name,
        "nodeId": found.node_id,
        "fleetId": found.fleet_id,
        "servers": found.servers,
        "agentVersion": agent.__version__,
        "process": lock.holder(state),
        "link": status.read(state, "link.json"),
        "watched": status.read(state, "watch.json"),
        "incarnation": None if held is None else held.incarnation,
        "serial": None if held is None else held.serial,
        "interval": None if held is None else held.interval,
        "retired": bool(held and held.retire),
        "state": {"path": state, "trouble": _trouble(state)},
        "frozen": holds.shown(state, SystemClock().now()),
        "pendingReports": known.pending,
        "assignments": listed,
        "jobs": jobs.shown(state),
    }


def as_text(found: Dict[str, Any], columns: int = 0) -> str:
    """The same for people, as wide as the terminal."""
    columns = max(60, columns or shutil.get_terminal_size((100, 24)).columns)
    link = found["link"]
    process = "running as process %d" % found["process"] if found["process"] else "not running"
    lines = [
        "node     %s (%s) of fleet %s" % (found["node"], found["nodeId"], found["fleetId"]),
        "agent    %s, %s" % (found["agentVersion"], process),
        "server   %s" % _link(link, found["servers"]),
        "holds    %s" % _held(found),
        *_watched(found["watched"]),
    ]
    if found["frozen"]:
        lines.append("         %s" % found["frozen"])
    if found["pendingReports"]:
        lines.append("reports  %d to be sent when the server is there" % found["pendingReports"])
    if found["jobs"]:
        said = ("%s (%s)" % (job_id, job["state"].lower()) for job_id, job in found["jobs"].items())
        lines.append("jobs     %s" % "\n         ".join(said))
    if found["state"]["trouble"]:
        lines.append("state    %s: %s" % (found["state"]["path"], found["state"]["trouble"]))
    if found["assignments"]:
        lines += ["", *_table(found, columns)]
    return "\n".join(lines)


def _watched(found: Dict[str, Any]) -> List[str]:
    """What is seen at once, and what of that only at the interval, where something is."""
    if not found.get("paths") and not found.get("units"):
        return []
    lines = ["watches  %d paths and %d units; the rest is seen at the interval" % (found["paths"], found["units"])]
    return lines + ["         not now: %s" % limit for limit in found["atInterval"]]


def _trouble(state: str) -> str:
    """Why the agent cannot write there, as far as can be told from outside; empty where it can."""
    room = os.statvfs(state)
    if room.f_flag & os.ST_RDONLY:
        what = "it is read-only"
    elif room.f_bavail * room.f_frsize < LEAST_ROOM:
        what = "it is full (%d KiB left)" % (room.f_bavail * room.f_frsize // 1024)
    elif room.f_files and room.f_favail < LEAST_INODES:
        what = "it has no inodes left (%d)" % room.f_favail
    else:
        return ""
    return what + "; nothing new is started, and reports wait in memory until there is room"


def _link(link: Dict[str, Any], servers: List[str]) -> str:
    if not link:
        return "%s, never tried" % ", ".join(servers)
    words = {"connected": "connected to %s since %s", "waiting": "%s is away since %s, tried again and again"}
    form = words.get(link.get("state", ""), link.get("state", "") + ": %s, since %s")
    lines = [form % (link.get("server"), link.get("since"))]
    if link.get("why"):
        lines.append("         %s" % link["why"])
    return "\n".join(lines)


def _held(found: Dict[str, Any]) -> str:
    if found["retired"]:
        return "nothing: this node is retired"
    if found["serial"] is None:
        return "nothing yet"
    count = len(found["assignments"])
    return "%d association%s, set %d.%d, looked at every %d s" % (
        count,
        "" if count == 1 else "s",
        found["incarnation"],
        found["serial"],
        found["interval"],
    )


def _table(found: Dict[str, Any], columns: int) -> List[str]:
    """One line for each association, and one for each thing that is wrong with it."""
    now, items = int(time.time() * 1000), found["assignments"]
    head = ["ASSOCIATION", "GEN", "STATUS", "TOLD", "LOOK", "RUN"]
    rows = [_row(uid, item, now, running=bool(found["process"])) for uid, item in items.items()]
    if not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    for at in (0, 2):  # names give way first, then what is said of them
        excess = sum(widths) + 2 * (len(widths) - 1) - columns
        widths[at] -= max(0, min(excess, widths[at] - _LEAST_COLUMN))
    lines = [_line(head, widths)]
    for row, item in zip(rows, items.values()):
        lines.append(_line(row, widths))
        lines += [_cut("  %s" % wrong, columns) for wrong in _wrong(item)]
    return lines


def _row(uid: str, item: Dict[str, Any], now: int, *, running: bool) -> List[str]:
    looked = item["told"] == item["generation"]
    counts = item.get("outcomes", {}) if looked else {}
    said = ", ".join("%d %s" % (count, outcome) for outcome, count in sorted(counts.items()))
    status_ = (
        "%s (%s)" % (item["status"], said) if looked and said else item["status"] if looked else "not looked at yet"
    )
    look = _away(item["nextLook"], now) if running else "-"
    return [uid, str(item["generation"]), status_, _away(item.get("at"), now), look, _away(item["nextRun"], now)]


def _away(at: Optional[str], now: int) -> str:
    """How far an instant is from now, in the largest unit that says something."""
    if at is None:
        return ""
    seconds = (milliseconds(at) - now) / 1000
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if abs(seconds) >= size or size == 1:
            said = "%d %s" % (abs(seconds) // size, unit)
            break
    return "in " + said if seconds > 0 else said + " ago"


def _line(cells: List[str], widths: List[int]) -> str:
    return "  ".join(_cut(cell, width).ljust(width) for cell, width in zip(cells, widths)).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _wrong(item: Dict[str, Any]) -> List[str]:
    if item["told"] != item["generation"]:
        return []
    wrong = [
        " ".join(filter(None, (each["claim"], each["outcome"] + ":", each["reason"]))) for each in item["problems"]
    ]
    return wrong or ([item["reason"]] if item.get("reason") else [])
