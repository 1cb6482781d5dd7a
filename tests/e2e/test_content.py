"""Content brought to nodes for what runs there, and documents run within documents: what people see of it."""

from __future__ import annotations

import functools
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import config
from tests.e2e.conftest import Set
from tests.e2e.scene import Scene
from tests.e2e.test_commands import command, ran

INNER = config.document("inner", config.script("echo inner {{ who }}"), config.script("exit 3"), who="nobody")
LEAVES = config.document("leaves", config.script("echo left", "exit 168"), config.script("echo never"))


def within(path: str, kind: str = "SSMDocument", **parameters: str) -> dict[str, Any]:
    inputs = {"documentType": kind, "documentPath": path, "documentParameters": parameters}
    return {"action": "aws:runDocument", "inputs": inputs}


def brought(kind: str, destination: str = "", **source: Any) -> dict[str, Any]:
    inputs = {"sourceType": kind, "sourceInfo": source, "destinationPath": destination}
    return {"action": "aws:downloadContent", "inputs": inputs}


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing of what it is asked."""

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the name that the base class has
        del format, arguments


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server with a script that nobody made executable, and the scripts that stand beside it in Git."""
    directory = tmp_path_factory.mktemp("web")
    (directory / "hello.sh").write_text('#!/bin/sh\necho "hello from the web, $1"\n')
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Git repository with a script on a branch of its own."""
    directory = tmp_path_factory.mktemp("git") / "scripts"
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "init", "-q", "-b", "other", str(directory)], check=True)
    (directory / "run.sh").write_text("#!/bin/sh\necho from git\n")
    (directory / "run.sh").chmod(0o755)
    subprocess.run(["git", "-C", str(directory), "add", "."], check=True)
    subprocess.run(["git", "-C", str(directory), *author, "commit", "-qm", "one"], check=True)
    return directory


@pytest.fixture(scope="module")
def scene(set_scene: Set, web: str, scripts: Path) -> Scene:
    files = {
        **config.fleet(),
        **config.node("web-1"),
        **INNER,
        **LEAVES,
        **config.document(
            "bring",
            brought("HTTP", url=f"{web}/hello.sh", allowInsecureDownload=True),
            brought("Git", "tools", repository=str(scripts), getOptions="branch:other"),
            brought("SSMDocument", name="leaves"),
            config.script(
                "PATH=$PATH:$PWD hello.sh you", "./hello.sh me", "../downloads/tools/run.sh", "grep -c echo leaves.json"
            )
            | {"name": "use"},
        ),
        **config.document("outer", within("inner", who="you"), within("leaves"), config.script("echo after")),
        **config.document(
            "found",
            brought("SSMDocument", "d/", name="{{ which }}"),
            within("d/{{ which }}.json", "LocalPath"),
            which="x",
        ),
        **config.document(
            "held", brought("SSMDocument", name="leaves"), config.script("cp leaves.json {{ to }}"), to="/x"
        ),
    }
    scene = set_scene(files)
    scene.join("web-1")
    return scene


def steps(progress: dict[str, Any]) -> dict[str, str]:
    (one,) = progress["invocations"]
    return {step["name"]: step["status"] for step in one["steps"]}


def outputs(scene: Scene, known: str) -> set[str]:
    return {output["step"] for one in command(scene, known)["invocations"] for output in one["outputs"]}


def test_scripts_run_among_what_their_run_downloaded(scene: Scene) -> None:
    said = scene.opsctl("document", "run", "bring", "--targets", "web-1")
    assert "web-1: hello from the web, you\nweb-1: hello from the web, me\nweb-1: from git\n" in said
    assert "Success: 1 of 1 done" in said
    assert list(scene["web-1"].root.glob("var/lib/opsctl/orchestration/*/downloads/hello.sh"))


def test_each_step_of_a_document_within_is_told_of(scene: Scene) -> None:
    progress = ran(scene, "outer", "web-1")
    assert steps(progress) == {
        "step1": "Failed",
        "step1:step1": "Success",
        "step1:step2": "Failed",
        "step2": "Success",
        "step2:step1": "Success",
        "step2:step2": "Skipped",
        "step3": "Success",
    }
    (one,) = progress["invocations"]
    assert (one["status"], one["standardOutput"]) == ("Failed", "inner you\nleft\nafter\n")
    assert one["steps"][0]["reason"] == "step1:step2: exit 3"
    said = {"step1:step1", "step2:step1", "step3"}
    scene.wait("all that was said", lambda: outputs(scene, progress["command"]) == said)


def test_a_document_of_the_node_is_compiled_for_the_job_that_found_it(scene: Scene) -> None:
    progress = ran(scene, "found", "web-1", {"which": "inner"})
    assert steps(progress) == {
        "step1": "Success",
        "step2": "Failed",
        "step2:step1": "Success",
        "step2:step2": "Failed",
    }
    assert progress["invocations"][0]["standardOutput"].endswith("inner nobody\n")
    (row, *_) = scene.audit("compile")
    assert (row["object"], row["outcome"], "downloads/d/inner.json" in row["detail"]) == ("found", "compiled", True)


def test_what_is_wrong_with_a_document_of_the_node_is_told(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text('schemaVersion: "2.2"\nmainSteps:\n- {name: a, action: "aws:runShelScript"}\n')
    path = scene["web-1"].root / "bad.yaml"
    path.write_text((tmp_path / "bad.yaml").read_text())
    (tmp_path / "run.yaml").write_text(next(iter(config.document("run", within("/bad.yaml", "LocalPath")).values())))
    said = scene.opsctl("document", "run", str(tmp_path / "run.yaml"), "--targets", "web-1", code=1)
    assert "there is no action `aws:runShelScript`" in said
    said = scene.opsctl("document", "run", str(tmp_path / "run.yaml"), "--targets", "web-1", "--check")
    assert "would run the document /bad.yaml of this node" in said


def test_an_association_brings_content_once_for_each_generation(scene: Scene) -> None:
    to = scene.directory / "held.json"
    scene.push("hold it", config.association("held", ["*"], parameters={"to": [str(to)]}))
    scene.wait("the first generation", to.exists)
    assert "echo left" in to.read_text()
    changed = json.loads(LEAVES["documents/leaves.yaml"])
    changed["mainSteps"][0]["inputs"]["runCommand"] = ["echo changed"]
    scene.push("change what it brings", {"documents/leaves.yaml": json.dumps(changed)})
    scene.wait("the second generation", lambda: "echo changed" in to.read_text())
    runs = "var/lib/opsctl/orchestration/held-*/*"
    scene.wait("the first one's to be gone", lambda: len(list(scene["web-1"].root.glob(runs))) == 1)
