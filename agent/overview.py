"""What `status` says: who this node is, how the link is, what is held and what came of it. Reads files only."""

from __future__ import annotations

import os
from typing import Any, Dict, List

import agent
from agent import assignments, identity, lock, status

LEAST_ROOM, LEAST_INODES = 256 * 1024, 16
"""Bytes and inodes below which the agent is in trouble."""


def overview(state: str) -> Dict[str, Any]:
    """Everything known of a state directory, as JSON. Raises `identity.NotEnrolled`, `identity.StateDamaged`."""
    found = identity.load(state)
    held = assignments.shown(state)
    results = status.read(state, "results.json")
    listed = {} if held is None or held.retire else held.assignments
    return {
        "node": found.node_name,
        "nodeId": found.node_id,
        "fleetId": found.fleet_id,
        "servers": found.servers,
        "agentVersion": agent.__version__,
        "process": lock.holder(state),
        "link": status.read(state, "link.json"),
        "incarnation": None if held is None else held.incarnation,
        "serial": None if held is None else held.serial,
        "interval": None if held is None else held.interval,
        "retired": bool(held and held.retire),
        "state": {"path": state, "trouble": _trouble(state)},
        "assignments": {
            uid: dict(results.get(uid, {}), generation=item.generation, told=results.get(uid, {}).get("generation"))
            for uid, item in sorted(listed.items())
        },
    }


def as_text(found: Dict[str, Any]) -> str:
    """The same for people."""
    link = found["link"]
    process = "running as process %d" % found["process"] if found["process"] else "not running"
    lines = [
        "node     %s (%s) of fleet %s" % (found["node"], found["nodeId"], found["fleetId"]),
        "agent    %s, %s" % (found["agentVersion"], process),
        "server   %s" % _link(link, found["servers"]),
        "holds    %s" % _held(found),
    ]
    if found["state"]["trouble"]:
        lines.append("state    %s: %s" % (found["state"]["path"], found["state"]["trouble"]))
    width = max([len(uid) for uid in found["assignments"]], default=0)
    for uid, item in found["assignments"].items():
        lines += _assignment(uid.ljust(width), item)
    return "\n".join(lines)


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


def _assignment(name: str, item: Dict[str, Any]) -> List[str]:
    if item["told"] != item["generation"]:
        return ["  %s  generation %d  not looked at yet" % (name, item["generation"])]
    outcomes = ", ".join("%d %s" % (count, outcome) for outcome, count in sorted(item.get("outcomes", {}).items()))
    first = "  %s  generation %d  %s  %s  %s" % (name, item["generation"], item["status"], item["at"], outcomes)
    wrong = ["      %s  %s  %s" % (each["claim"], each["outcome"], each["reason"]) for each in item["problems"]]
    reason = ["      %s" % item["reason"]] if item.get("reason") and not wrong else []
    return [first.rstrip(), *reason, *[line.rstrip() for line in wrong]]
