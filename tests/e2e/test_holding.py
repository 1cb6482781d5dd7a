"""What an association does on a node over its life: modes, drift, pruning, leaving, retirement."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import config
from tests.e2e.conftest import Set
from tests.e2e.scene import Scene


@pytest.fixture(scope="module")
def scene(set_scene: Set) -> Scene:
    files = {
        **config.fleet(maxRemovals=100),
        **config.node("web-1", {"Role": "web"}),
        **config.node("web-2", {"Role": "web"}),
        **config.association("base", ["*"]),
        **config.document("base", config.file("/etc/base", "base")),
    }
    scene = set_scene(files)
    scene.join("web-1", "web-2")
    return scene


def thing(name: str, *contents: tuple[str, str], **spec: Any) -> dict[str, str]:
    """An association on web-1 with a file for each (path, content)."""
    steps = [config.file(path, content) for path, content in contents]
    return {**config.association(name, ["web-1"], **spec), **config.document(name, *steps)}


class TestModes:
    def test_audit_only_tells_and_touches_nothing(self, scene: Scene) -> None:
        web = scene["web-1"]
        web.write("/etc/audited", "as it was\n")
        scene.push("Audit", thing("audit", ("/etc/audited", "as it should be\n"), mode="AuditOnly"))
        told = scene.wait_for_report("web-1", "audit", compliance="NON_COMPLIANT")
        (finding,) = told["findings"]
        assert (finding["claim"], finding["outcome"]) == ("path:/etc/audited", "Drifted")
        assert "-as it was\n+as it should be" in finding["diff"]
        assert web.read("/etc/audited") == "as it was\n"
        assert scene.status()["drifted"] == 1
        web.write("/etc/audited", "as it should be\n")
        scene.wait_for_report("web-1", "audit", compliance="COMPLIANT")

    def test_apply_and_monitor_applies_once_and_then_tells(self, scene: Scene) -> None:
        web = scene["web-1"]
        scene.push("Monitor", thing("monitor", ("/etc/monitored", "first"), mode="ApplyAndMonitor"))
        scene.wait_for_file("web-1", "/etc/monitored", "first")
        web.write("/etc/monitored", "by hand")
        scene.wait_for_report("web-1", "monitor", compliance="NON_COMPLIANT")
        assert web.read("/etc/monitored") == "by hand"
        web.stop()
        web.start()
        scene.wait("it to be back", lambda: scene.online("web-1"))
        assert web.read("/etc/monitored") == "by hand"
        scene.push("A new generation", config.document("monitor", config.file("/etc/monitored", "second")))
        scene.wait_for_file("web-1", "/etc/monitored", "second")

    def test_apply_and_auto_correct_repairs(self, scene: Scene) -> None:
        web = scene["web-1"]
        scene.push("Correct", thing("correct", ("/etc/corrected", "right")))
        scene.wait_for_file("web-1", "/etc/corrected", "right")
        (web.root / "etc/corrected").unlink()
        scene.wait_for_file("web-1", "/etc/corrected", "right")
        (web.root / "etc/corrected").chmod(0o666)
        web.write("/etc/corrected", "wrong")
        scene.wait_for_file("web-1", "/etc/corrected", "right")


class TestLeaving:
    def test_prune_takes_away_what_left_the_document(self, scene: Scene) -> None:
        web = scene["web-1"]
        web.write("/etc/before", "somebody's own\n")
        files = [("/etc/kept", "k"), ("/etc/made", "m"), ("/etc/touched", "t"), ("/etc/before", "ours\n")]
        spec = {"prune": True, "mode": "ApplyAndMonitor"}  # or what was touched would be healed before it is pruned
        scene.push("Four files", thing("pruned", *files, **spec))
        scene.wait_for_file("web-1", "/etc/before", "ours\n")
        scene.wait_for_report("web-1", "pruned", status="Success")
        web.write("/etc/touched", "by somebody, since")
        scene.push("One file", thing("pruned", files[0], **spec))
        scene.wait("what was made to go", lambda: not (web.root / "etc/made").exists())
        scene.wait_for_file("web-1", "/etc/before", "somebody's own\n")  # put back
        assert web.read("/etc/kept") == "k"
        assert web.read("/etc/touched") == "by somebody, since"
        told = scene.wait_for_report("web-1", "pruned", status="Success", generation=2)
        (left,) = [finding for finding in told["findings"] if finding["claim"] == "path:/etc/touched"]
        assert left["outcome"] == "Skipped"

    def test_without_prune_it_stays(self, scene: Scene) -> None:
        scene.push("Two files", thing("kept", ("/etc/stays", "s"), ("/etc/also", "a")))
        scene.wait_for_file("web-1", "/etc/also", "a")
        scene.push("One file", config.document("kept", config.file("/etc/stays", "s")))
        scene.wait_for_report("web-1", "kept", generation=2, status="Success")
        assert scene["web-1"].read("/etc/also") == "a"

    @pytest.mark.parametrize(("on_remove", "left"), [("Prune", ""), ("Retain", "here")])
    def test_an_association_that_leaves_git(self, scene: Scene, on_remove: str, left: str) -> None:
        name, path = f"leaving-{on_remove.lower()}", f"/etc/leaving-{on_remove.lower()}"
        scene.push("Come", thing(name, (path, "here"), onRemove=on_remove))
        scene.wait_for_file("web-1", path, "here")
        scene.push("Go", {f"associations/{name}.yaml": None, f"documents/{name}.yaml": None})
        scene.apply(allow_removals=1)
        scene.wait(
            "the last report",
            lambda: [row for row in scene.audit("removed") if row["object"] == f"Association/{name}"],
        )
        assert scene["web-1"].read(path) == left
        assert not scene.assignment("web-1", name)

    def test_a_node_that_leaves_the_targets(self, scene: Scene) -> None:
        web = scene["web-1"]
        files = {
            **config.association("roles", ["tag:Role=web"], onRemove="Prune"),
            **config.document("roles", config.file("/etc/role", "web")),
        }
        scene.push("For the web", files)
        scene.wait_for_file("web-1", "/etc/role", "web")
        scene.wait_for_file("web-2", "/etc/role", "web")
        scene.push("Another role", config.node("web-1", {"Role": "other"}))
        scene.wait("it to be taken away", lambda: not (web.root / "etc/role").exists())
        assert scene["web-2"].read("/etc/role") == "web"
        scene.push("Back again", config.node("web-1", {"Role": "web"}))
        scene.wait_for_file("web-1", "/etc/role", "web")

    def test_generations_never_begin_anew(self, scene: Scene) -> None:
        scene.push("Once", thing("again", ("/etc/again", "1")))
        scene.push("Twice", config.document("again", config.file("/etc/again", "2")))
        scene.wait_for_report("web-1", "again", generation=2, status="Success")
        scene.push("Gone", {"associations/again.yaml": None})
        scene.apply(allow_removals=1)
        scene.wait("it to go", lambda: not scene.assignment("web-1", "again"))
        scene.push("Back as it was first", thing("again", ("/etc/again", "1")))
        scene.wait_for_report("web-1", "again", generation=3, status="Success")


class TestRetirement:
    def test_a_retired_node_is_emptied_and_its_key_is_worth_nothing(self, scene: Scene) -> None:
        scene.push("Something of its own", config.association("base", ["*"], onRemove="Prune"))
        old = scene.enrol("web-9")
        old.start()
        scene.wait_for_file("web-9", "/etc/base", "base")
        scene.wait_for_report("web-9", "base", status="Success")
        assert "web-9" in scene.opsctl("node", "retire", "web-9", "--auto-approve")
        scene.wait("its files to go", lambda: not (old.root / "etc/base").exists())
        scene.wait("it to know", lambda: "this node is retired" in old.agent("status").stdout)
        assert "web-9" not in scene.daemon.nodes()
        old.stop()
        held = old.directory / "state" / "held" / "set.json"
        assert '"assignments":{}' in _payload(held)
        scene.enrol("web-9", at="web-9-again").start()
        scene.wait_for_file("web-9", "/etc/base", "base")
        scene.wait_for_report("web-9", "base", status="Success")

    def test_one_that_is_offline_is_told_when_it_is_back(self, scene: Scene) -> None:
        gone = scene.enrol("web-8")
        gone.start()
        scene.wait_for_report("web-8", "base", status="Success")
        gone.stop()
        scene.opsctl("node", "retire", "web-8", "--auto-approve")
        assert gone.read("/etc/base") == "base"
        gone.start()
        scene.wait("its files to go", lambda: not (gone.root / "etc/base").exists())


def _payload(path: Path) -> str:
    return base64.b64decode(json.loads(path.read_text())["signed"]["payload"]).decode()
