"""Real SSM documents, unmodified, on real nodes: each has a node of its own, and comes to what is written down of it.

`cases/corpus.yaml` says for each what it is given, which packages its node has, and what SSM would say of it there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.documents import corpus
from tests.e2e import config
from tests.e2e.on_nodes import SceneOnNodes
from tests.faults import FULL
from tests.fleet import Fleet

ALL: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases" / "corpus.yaml").read_text())
CASES = [case for case in ALL if FULL or not case.get("packages")]
"""Those for which packages have to be fetched and installed take a minute more."""
PACKAGES = sorted({package for case in CASES for package in case.get("packages", ())})
NODES = {case["file"]: f"node-{number}" for number, case in enumerate(CASES)}

pytestmark = [
    pytest.mark.realnode,
    pytest.mark.skipif(not corpus.entries(), reason=corpus.MISSING),
    pytest.mark.usefixtures("node_rootfs"),
]


@pytest.fixture(scope="module")
def said(node_rootfs: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """What became of each document: its progress, as `opsctl document run --format json` prints it."""
    files = config.fleet(automation={"powerOff": True})
    for name in NODES.values():
        files |= config.node(name)
    with Fleet() as fleet:
        for name in NODES.values():
            fleet.up(name, packages=PACKAGES)
        with SceneOnNodes(tmp_path_factory.mktemp("e"), files, fleet) as scene:
            fleet.wait_booted()
            for name in NODES.values():
                scene.join(name)
            with ThreadPoolExecutor(4) as pool:
                yield dict(zip(NODES, pool.map(lambda case: _run(scene, case), CASES), strict=True))


def _run(scene: SceneOnNodes, case: dict[str, Any]) -> dict[str, Any]:
    name = NODES[case["file"]]
    node = scene.fleet.nodes[name]
    if case.get("packages"):
        node.run(["apt-get", "--quiet", "update"])
        node.run(["apt-get", "install", "--yes", "--quiet", *case["packages"]])
    if case.get("before"):
        node.run(case["before"])
    known = str(scene.node(name)["id"])
    given = [f"{key}={value.replace('NODE-ID', known)}" for key, value in case.get("parameters", {}).items()]
    parameters = [word for one in given for word in ("-p", one)]
    document = scene.directory / case["file"][-100:]  # the corpus' own names are longer than those of documents
    shutil.copyfile(corpus.DIRECTORY / case["file"], document)
    if case.get("runbook"):
        return _executed(scene, str(document), parameters, approve=case["runbook"] == "approve")
    run = ("document", "run", str(document), "--targets", name, "--format", "json", *parameters)
    done = scene.daemon.run(*run, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    assert "invocations" in found, done.stdout
    return found


def _executed(scene: SceneOnNodes, document: str, parameters: list[str], *, approve: bool) -> dict[str, Any]:
    """How an execution ended, in the form of a command's."""
    started = scene.daemon.json("automation", "start", document, "--no-wait", *parameters)["execution"]

    def shown() -> dict[str, Any]:
        found: dict[str, Any] = scene.daemon.json("automation", "show", started)
        return found

    if approve:
        scene.wait("it to ask", lambda: shown()["waitsFor"].startswith("approval"))
        scene.opsctl("automation", "approve", started)
    scene.wait("its end", lambda: shown()["finished"], 120)
    found = shown()
    steps = [{"name": step["step"], "status": step["status"], "reason": step["reason"]} for step in found["steps"]]
    return {"invocations": [{"status": found["status"], "steps": steps, "reason": found["reason"]}]}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_it_comes_to_what_it_comes_to_in_ssm(said: dict[str, dict[str, Any]], case: dict[str, Any]) -> None:
    (invocation,) = said[case["file"]]["invocations"]
    steps = {step["name"]: step["status"] for step in invocation["steps"]}
    assert (invocation["status"], steps) == (case["status"], case["steps"]), json.dumps(invocation, indent=1)
    for text in case.get("says", ()):
        assert text in json.dumps(invocation)
