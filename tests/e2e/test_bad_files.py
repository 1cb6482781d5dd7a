"""Files that are wrong, one way each: the place is named, what was in force stays, and what is right goes on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.e2e import config
from tests.e2e.conftest import Set
from tests.e2e.scene import Scene

ASSOCIATION = """\
apiVersion: ops/v1
kind: Association
metadata:
  name: kept
spec:
  document: kept
  targets:
    - "*"
  maxConcurrency: 100%
  maxErrors: 100%
"""
DOCUMENT = """\
schemaVersion: "2.2"
mainSteps:
  - name: it
    action: ops:file
    inputs:
      path: /etc/kept
      content: kept
"""
GROUP = """\
apiVersion: ops/v1
kind: Group
metadata:
  name: {}
spec:
  targets:
    - group:{}
"""
versions = itertools.count(1)


@pytest.fixture(scope="module")
def module_scene(set_scene: Set) -> Scene:
    files = {
        **config.fleet(maxRemovals=100),
        **config.node("web-1", {"Role": "web"}, port=8080),
        **config.node("db-1", {"Role": "db"}),
        **config.association("good", ["*"]),
        **good("first"),
        "associations/kept.yaml": ASSOCIATION,
        "documents/kept.yaml": DOCUMENT,
    }
    scene = set_scene(files)
    scene.join("web-1", "db-1")
    return scene


@pytest.fixture
def scene(module_scene: Scene) -> Iterator[Scene]:
    """With everything as it was; whatever a test pushes is reverted after it."""
    module_scene.wait_for_file("web-1", "/etc/kept", "kept")
    module_scene.wait_for_file("db-1", "/etc/kept", "kept")
    before = module_scene.repository.git("rev-parse", "HEAD")
    yield module_scene
    module_scene.repository.git("revert", "--no-edit", f"{before}..HEAD")
    module_scene.repository.git("push", "--quiet", "origin", "HEAD:main")
    module_scene.daemon.ask("/sync", {})


def good(content: str) -> dict[str, str]:
    return config.document("good", config.file("/etc/good", content))


def push_with_something_good(scene: Scene, bad: dict[str, str]) -> None:
    """One commit with both; the good half arrives."""
    content = f"version {next(versions)}"
    scene.push("Something good, something bad", {**bad, **good(content)})
    scene.wait_for_file("web-1", "/etc/good", content)
    scene.wait_for_file("db-1", "/etc/good", content)


WRONG = {
    "malformed YAML": (
        {"documents/kept.yaml": DOCUMENT.replace("    action", "   action")},
        "documents/kept.yaml:4:4: error: this is not an item of the list begun above",
    ),
    "a tab": (
        {"associations/kept.yaml": "apiVersion: ops/v1\n\tkind: Association\n"},
        "associations/kept.yaml:2:1: error: a tab is used to indent",
    ),
    "an unknown kind": (
        {"associations/kept.yaml": ASSOCIATION.replace("Association", "Asociation")},
        "associations/kept.yaml:2:7: error: there is no kind `Asociation`; expected `Association`; did you mean "
        "'Association'?",
    ),
    "an unknown field": (
        {"associations/kept.yaml": ASSOCIATION + '  pruen: "true"\n'},
        "associations/kept.yaml:11:3: error: unknown field `spec.pruen`",
    ),
    "an unknown action": (
        {"documents/kept.yaml": DOCUMENT.replace("ops:file", "ops:fil")},
        "documents/kept.yaml:4:13: error: there is no action `ops:fil`",
    ),
    "an unknown input": (
        {"documents/kept.yaml": DOCUMENT + "      onwer: root\n"},
        "documents/kept.yaml:8:7: error: unknown field `mainSteps[0].inputs.onwer`",
    ),
    "a duplicate key": (
        {"associations/kept.yaml": ASSOCIATION + "  document: good\n"},
        "associations/kept.yaml:11:3: error: `document` is given twice; expected each key once; see also "
        "associations/kept.yaml:6:3",
    ),
    "cyclic groups": (
        {
            "groups/one.yaml": GROUP.format("one", "two"),
            "groups/two.yaml": GROUP.format("two", "one"),
            "associations/kept.yaml": ASSOCIATION.replace('"*"', "group:one"),
        },
        "groups/one.yaml:1:1: error: groups go round in a circle: one -> two -> one",
    ),
    "a missing document": (
        {"associations/kept.yaml": ASSOCIATION.replace("document: kept", "document: ketp")},
        "associations/kept.yaml:6:13: error: there is no document `ketp`",
    ),
    "a missing source file": (
        {"documents/kept.yaml": DOCUMENT.replace("content: kept", "source: files/kept")},
        "documents/kept.yaml:7:15: error: there is no file `files/kept`",
    ),
    "a path with `..`": (
        {"documents/kept.yaml": DOCUMENT.replace("/etc/kept", "/etc/../root/kept")},
        "documents/kept.yaml:6:13: error: `mainSteps[0].inputs.path` is `/etc/../root/kept`: it has a `..` part",
    ),
    "a source with `..`": (
        {"documents/kept.yaml": DOCUMENT.replace("content: kept", "source: ../kept")},
        "documents/kept.yaml:7:15: error: `mainSteps[0].inputs.source` is `../kept`: it has a `..` part",
    ),
    "a template that does not parse": (
        {"documents/kept.yaml": DOCUMENT.replace("content: kept", "template: true\n      content: '{{ oops'")},
        "documents/kept.yaml:8:16: error: the template ",
    ),
}


@pytest.mark.parametrize(("bad", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named_and_holds_nothing_but_itself(scene: Scene, bad: dict[str, str], said: str) -> None:
    before = scene.assignment("web-1", "kept")
    push_with_something_good(scene, bad)
    findings = [finding for condition in scene.status()["conditions"] for finding in condition["findings"]]
    assert any(finding.startswith(said) for finding in findings), findings
    standing = [condition for condition in scene.status()["conditions"] if condition["uid"] == "Association/kept"]
    assert "stays at" in standing[0]["message"]
    after = scene.assignment("web-1", "kept")
    assert (after["generation"], after["status"]) == (before["generation"], "Success")
    scene["web-1"].write("/etc/kept", "by hand")
    scene.wait_for_file("web-1", "/etc/kept", "kept")  # what stays is still healed


def test_people_read_it_in_the_status_and_before_they_push(scene: Scene) -> None:
    bad, said = WRONG["an unknown field"]
    push_with_something_good(scene, bad)
    shown = scene.opsctl("status")
    assert "Association/kept: Invalid: stays at" in shown
    assert said in shown
    assert said in scene.opsctl("validate", str(scene.repository.clone), code=2)


def test_invalid_settings_of_the_fleet_hold_everything_and_stop_nothing(scene: Scene) -> None:
    push_with_something_good(scene, {})
    before = scene["web-1"].read("/etc/good")
    broken = config.fleet(sync="sometimes")
    scene.push("Something good under broken settings", {**broken, **good("under broken settings")})
    assert "HoldsEverything" in [condition["reason"] for condition in scene.status()["conditions"]]
    assert "fleet.yaml:" in scene.opsctl("status")
    scene["web-1"].write("/etc/good", "by hand")
    scene.wait_for_file("web-1", "/etc/good", before)
    scene.push("Settings as they were", config.fleet(maxRemovals=100))
    scene.wait_for_file("web-1", "/etc/good", "under broken settings")


def test_a_target_that_matches_nothing_is_a_warning(scene: Scene) -> None:
    push_with_something_good(scene, {"associations/kept.yaml": ASSOCIATION.replace('"*"', "tag:Role=wbe")})
    warning = "associations/kept.yaml:8:7: warning: `tag:Role=wbe` matches none of the declared nodes"
    assert warning in scene.opsctl("validate", str(scene.repository.clone))
    plan = scene.daemon.ask("/plan")
    assert any("Association/kept matches no node (tag:Role=wbe)" in warning for warning in plan["warnings"])
    assert scene.status()["conditions"] == []


def test_a_template_error_fails_on_the_node_that_meets_it(scene: Scene) -> None:
    templated = DOCUMENT.replace(
        "content: kept", "template: true\n      content: |\n        # how to reach {{ name }}\n        {{ vars.port }}"
    )
    push_with_something_good(scene, {"documents/kept.yaml": templated})
    scene.wait_for_file("web-1", "/etc/kept", "# how to reach web-1\n8080\n")
    failed = scene.wait_for_report("db-1", "kept", status="Failed")
    assert failed["reason"].startswith("it: template content, line 2: ")
    assert "'port'" in failed["reason"]
    assert failed["compliance"] == "NON_COMPLIANT"
    assert scene["db-1"].read("/etc/kept") == "kept"
    assert scene.wait_for_report("web-1", "kept", status="Success")
    assert "template content, line 2" in scene.opsctl("node", "show", "db-1")


def test_two_that_claim_one_file_are_both_named_and_neither_is_given(scene: Scene) -> None:
    before = {name: scene.assignment("web-1", name)["generation"] for name in ("good", "kept")}
    rival = DOCUMENT.replace("/etc/kept", "/etc/good")
    files = {**config.association("third", ["*"]), **config.document("third", config.file("/etc/third", "third"))}
    scene.push("Two for one file", {"documents/kept.yaml": rival, **good("other"), **files})
    scene.wait_for_file("web-1", "/etc/third", "third")
    scene.wait_for_file("db-1", "/etc/third", "third")
    (conflict,) = scene.daemon.ask("/plan")["conflicts"]
    assert conflict["owned"] == "path:/etc/good"
    assert conflict["one"]["uid"] == "Association/good"
    assert conflict["one"]["place"].startswith("documents/good.yaml:")
    assert conflict["other"] == {"uid": "Association/kept", "place": "documents/kept.yaml:3:5"}
    assert sorted(conflict["nodes"]) == ["db-1", "web-1"]
    said = "conflict: path:/etc/good is claimed by Association/good, and by Association/kept at documents/kept.yaml:3:5"
    assert any(said in problem for problem in scene.status()["conflicts"])
    assert "documents/kept.yaml:3:5" in scene.opsctl("status")
    after = {name: scene.assignment("web-1", name)["generation"] for name in ("good", "kept")}
    assert after == before
    assert scene["web-1"].read("/etc/kept") == "kept"


def test_what_cannot_be_written_fails_there_and_nowhere_else(scene: Scene) -> None:
    scene["db-1"].write("/etc/occupied/thing", "a directory stands where the file should be")
    bad = {"documents/kept.yaml": DOCUMENT.replace("/etc/kept", "/etc/occupied")}
    push_with_something_good(scene, bad)
    failed = scene.wait_for_report("db-1", "kept", status="Failed")
    assert "/etc/occupied" in failed["reason"]
    assert scene.wait_for_report("web-1", "kept", status="Success")
