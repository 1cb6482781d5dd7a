"""Convergence on the oldest Python that the agent promises, in a process of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import agent
from agent.contract.codec import to_wire
from agent.contract.wire import Body
from tests.agent.converging import body, step
from tests.agent.oldest import oldest_python
from tests.agent.steps import on_node


def converge(held: Body, root: Path, state: Path, **more: Any) -> dict[str, Any]:
    done = subprocess.run(
        [oldest_python(), on_node.__file__, "--root", str(root), str(state)],
        input=json.dumps({"body": to_wire(held), **more}),
        env={"PYTHONPATH": str(Path(agent.__file__).parent.parent), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


_DIRECTORIES = (
    "/etc",
    "/etc/cron.d",
    "/etc/modprobe.d",
    "/etc/modules-load.d",
    "/etc/nftables.d",
    "/etc/sudoers.d",
    "/etc/sysctl.d",
    "/etc/systemd",
    "/etc/systemd/system",
    "/etc/systemd/system/sysinit.target.wants",
)
_NOT_HERE = ("sysctl:", "unit:", "module:", "mount:", "table:", "locale:", "path:/etc/locale.gen", "path:/etc/default/")
"""What of a step a sandbox does not have."""


def test_every_step_that_a_sandbox_has(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    held = body(
        step("ops:directory", {"path": "/srv", "mode": "0750"}, name="srv"),
        step("ops:file", {"path": "/srv/a", "content": "a\n"}, name="a"),
        step("ops:file", {"path": "/srv/b", "content": "b\n", "mode": "0600"}, name="b"),
        step("ops:link", {"path": "/srv/l", "target": "a"}, name="l"),
        step("ops:line", {"path": "/srv/c", "line": "x", "create": True}, name="c"),
        step("ops:block", {"path": "/srv/c", "name": "b", "content": "y"}, name="k"),
        *(step("ops:directory", {"path": path}, name=path) for path in _DIRECTORIES),
        step("ops:hosts", {"name": "db", "address": "10.0.0.5"}, name="h"),
        step("ops:hostname", {"name": "web-1"}, name="n"),
        step("ops:sysctl", {"name": "vm.swappiness", "value": "10"}, name="y"),
        step("ops:unit", {"name": "app", "dropIn": "a", "content": "[Service]\n"}, name="d"),
        step("ops:timer", {"name": "tick", "onCalendar": ["daily"], "command": "/bin/true"}, name="t"),
        step("ops:cron", {"name": "job", "schedule": "@daily", "command": "true"}, name="j"),
        step("ops:sudoers", {"name": "app", "rules": ["app ALL=ALL"]}, name="o"),
        step("ops:kernelModule", {"name": "dccp", "options": "a=1"}, name="km"),
        step("ops:mount", {"path": "/srv/m", "device": "tmpfs", "type": "tmpfs"}, name="m"),
        step("ops:firewall", {"name": "web", "content": "chain a {}"}, name="f"),
        step("ops:locale", {"name": "C.UTF-8"}, name="lo"),
        step("ops:certificate", {"path": "/srv/a"}, name="ce"),
        step("ops:git", {"path": "/srv/g", "remote": "/srv/h"}, name="gi"),
        step("ops:container", {"name": "c", "image": "c"}, name="co"),
        step("ops:user", {"name": "alice"}, name="u"),
        step("ops:group", {"name": "alice"}, name="g"),
        step("ops:script", {"test": ["test -e made"], "apply": ["touch made"]}, name="s"),
        step("aws:runShellScript", {"runCommand": ["echo ran >> ran"]}, name="r"),
        prune=True,
    )
    first = converge(held, tmp_path / "root", tmp_path / "state")
    assert first["status"] == "Success", first
    assert {claim["outcome"] for claim in first["claims"] if not claim["claim"].startswith(_NOT_HERE)} == {
        "Changed",
        "Skipped",
    }
    again = converge(held, tmp_path / "root", tmp_path / "state", cause="Interval")
    assert {claim["outcome"] for claim in again["claims"]} == {"Unchanged", "Skipped"}
    assert (tmp_path / "root/ran").read_text() == "ran\n"
    pruned = converge(body(prune=True), tmp_path / "root", tmp_path / "state", generation=2)
    assert {claim["outcome"] for claim in pruned["claims"]} == {"Changed"}
    assert sorted(path.name for path in (tmp_path / "root").iterdir()) == ["made", "ran"]
