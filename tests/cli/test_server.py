"""The commands that talk to a server: on a real daemon, with an agent on a sandbox."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Ran, Run, run_program
from tests.cli.terminal import in_terminal, plain
from tests.e2e import config
from tests.e2e.scene import OPSCTL, Scene

greetings = itertools.count(1)

ROLES = """\
apiVersion: ops/v1
kind: Role
metadata: {name: reader}
spec:
  grants:
    - verbs: [read, plan, explain]
      nodes: ["*"]
"""
OPERATOR = """\
apiVersion: ops/v1
kind: Operator
metadata: {{name: mary}}
spec:
  keys: ["{key}"]
  roles: [reader]
"""


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An operator's SSH key."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    path = tmp_path_factory.mktemp("ssh") / "id_ed25519"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "mary@laptop", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Iterator[Scene]:
    files = {
        **config.fleet(sync="manual"),
        **config.node("web-1", {"Role": "web"}),
        **config.node("db-1", {"Role": "db"}),
        **config.association("motd", ["*"]),
        **config.document("motd", config.file("/etc/motd", "hello\n")),
        **config.association("audit", ["*"], mode="AuditOnly"),
        **config.document("audit", config.file("/etc/audited", "as Git says\n")),
        "access/roles.yaml": ROLES,
        "access/operators.yaml": OPERATOR.format(key=key.with_suffix(".pub").read_text().strip()),
    }
    with Scene(tmp_path_factory.mktemp("s"), files) as made:
        made.join("web-1")
        made.opsctl("apply", "--auto-approve")
        yield made


@pytest.fixture
def ask(scene: Scene, run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """opsctl in this process, on the scene's socket."""
    monkeypatch.setenv("OPSCTL_SERVER", f"unix:{scene.daemon.socket}")
    return run


def greeting(scene: Scene) -> str:
    """A commit that changes one file, pushed; its new content."""
    text = f"hello, {next(greetings)}\n"
    scene.push("Greet", config.document("motd", config.file("/etc/motd", text)))
    return text


def test_every_document_is_as_its_schema_says(scene: Scene, ask: Run) -> None:
    greeting(scene)
    json = ("--format", "json")
    assert ask("status", *json).document["nodes"] == 1
    names = {row["name"]: row["state"] for row in ask("node", "list", *json).document["nodes"]}
    assert names == {"web-1": "Online", "db-1": "NotEnrolled"}
    assert ask("plan", *json).document["live"] is True
    applied = ask("apply", "--auto-approve", *json).document
    assert (applied["total"], applied["done"], applied["finished"]) == (1, 1, True)
    given = {row["uid"] for row in ask("node", "show", "web-1", *json).document["assignments"]}
    assert given >= {"Association/motd", "Association/audit"}
    (reason,) = ask("explain", "web-1:/etc/motd", *json).document["reasons"]
    assert reason["place"].startswith("documents/motd.yaml:")
    assert ask("explain", "web-1:/nothing", *json).document["reasons"] == []
    assert ask("token", "create", "--node", "db-1", *json).document["token"].startswith("opsctl1.")


def test_documents_of_commands_are_as_their_schemas_say(scene: Scene, ask: Run, tmp_path: Path) -> None:
    json = ("--format", "json")
    file = tmp_path / "mine.yaml"
    steps = (config.script("echo hello", "echo oh >&2"), config.file("/etc/once", "once"))
    file.write_text(config.document("mine", *steps)["documents/mine.yaml"])
    ran = ask("document", "run", str(file), "--targets", "web-1", *json)
    assert (ran.code, ran.document["status"]) == (0, "Success")
    assert ask("run", "show", ran.document["command"], *json).document["invocations"][0]["node"] == "web-1"
    assert ask("run", "list", *json).document["commands"][0]["command"] == ran.document["command"]
    assert ask("run", "cancel", ran.document["command"], *json).code == 1


def test_documents_of_executions_are_as_their_schemas_say(ask: Run, tmp_path: Path) -> None:
    json = ("--format", "json")
    file = tmp_path / "book.yaml"
    file.write_text(
        """
schemaVersion: "0.3"
parameters: {Say: {type: StringList}}
mainSteps:
  - name: each
    action: aws:loop
    inputs:
      Iterators: "{{ Say }}"
      Steps:
        - {name: nap, action: "aws:sleep", inputs: {Duration: PT0S}}
  - {name: rest, action: "aws:pause", inputs: {}}
outputs: [Say]
"""
    )
    ran = ask("automation", "start", str(file), "-p", "Say=a", "-p", "Say=b", "--no-wait", *json)
    assert (ran.code, ran.document["parameters"]) == (0, {"Say": ["a", "b"]})
    known = ran.document["execution"]
    assert [step["value"] for step in ask("automation", "show", known, *json).document["steps"][1:3]] == ["a", "b"]
    assert ask("automation", "list", *json).document["executions"][0]["status"] == "Waiting"
    assert ask("automation", "approve", known).code == 1
    assert "does not wait for StartStep" in ask("automation", "signal", known, "StartStep").err
    assert ask("automation", "resume", known, "--comment", "go", *json).document["outputs"] == {"Say": ["a", "b"]}
    shown = ask("automation", "show", known, "--watch").out
    assert "rest: Success" in shown
    assert "resumed by" in shown
    assert ask("automation", "stop", known).err.count("it is over: Success") == 1
    parent = ask(
        *("automation", "start", str(file), "-p", "Say=a", "--no-wait", *json),
        *("--targets", "ParameterValues=x,y", "--target-parameter-name", "Say"),
    ).document
    assert [child["target"] for child in parent["children"]] == ["x", "y"]
    assert ask("automation", "stop", parent["execution"], *json).document["status"] in ("Cancelling", "Cancelled")


def test_status(scene: Scene, ask: Run) -> None:
    head = scene.repository.git("rev-parse", "HEAD")
    ran = ask("status")
    assert ran.code == 0
    assert head[:12] in ran.out
    assert "\nsync      manual, fetched 20" in ran.out
    assert "\nnodes     1 enrolled: 1 online, 0 failing, " in ran.out


def test_node_list_is_a_table_without_trailing_blanks(ask: Run) -> None:
    first, *rows = ask("node", "list").out.splitlines()
    assert first.split() == ["NODE", "STATE", "COMPLIANCE", "LABELS", "LAST", "SEEN"]
    assert [row.split()[:2] for row in rows] == [["db-1", "NotEnrolled"], ["web-1", "Online"]]
    assert [row for row in (first, *rows) if row != row.rstrip()] == []


def test_a_narrow_terminal_folds_tables_and_cuts_nothing(scene: Scene) -> None:
    env = {**os.environ, "OPSCTL_SERVER": f"unix:{scene.daemon.socket}", "NO_COLOR": "1"}
    env.pop("COLUMNS")
    code, shown = in_terminal([str(OPSCTL), "node", "list"], {}, env, columns=40)
    assert code == 0
    rows = plain(shown).splitlines()
    assert max(map(len, rows)) <= 40
    assert "\x1b[3" not in shown, "NO_COLOR"
    assert _letters(plain(shown)) == _letters(run_program("node", "list", env=env).out)


def _letters(text: str) -> list[str]:
    """All of them, wherever they stand; digits are left out, for a node is seen again and again."""
    return sorted(letter for letter in text if letter.isalpha())


def test_node_show_tells_what_differs(scene: Scene, ask: Run) -> None:
    scene["web-1"].write("/etc/watched", "by hand\u202e\n")
    scene.push(
        "Watch",
        {
            **config.association("watch", ["web-1"], mode="AuditOnly"),
            **config.document("watch", config.file("/etc/watched", "as Git says\n")),
        },
    )
    assert ask("apply", "--auto-approve").code == 0
    ran = ask("node", "show", "web-1")
    assert ran.code == 0
    assert ran.out.startswith("web-1  mi-")
    assert "\nAssociation/watch: path:/etc/watched Drifted\n    is " in ran.out
    assert "    +as Git says\n" in ran.out
    assert "    -by hand\\u202e\n" in ran.out
    assert ran.out.replace("\n", "").isprintable()


def test_explain(ask: Run) -> None:
    ran = ask("explain", "web-1:/etc/motd")
    assert ran.out.startswith("path:/etc/motd  ")
    assert "    Association/motd at associations/motd.yaml:" in ran.out
    assert " Mary <" in ran.out or " Mary, " in ran.out
    assert ask("explain", "web-1:/nothing").out == "nothing in Git asks for /nothing on web-1\n"
    unknown = ask("explain", "wbe-1")
    assert unknown.code == 1
    assert "did you mean web-1?" in unknown.err


def test_plan_and_apply_show_each_change_once(scene: Scene, ask: Run) -> None:
    text = greeting(scene)
    assert f"+{text}" in ask("plan").out
    ran = ask("apply", "--auto-approve")
    assert ran.code == 0
    assert ran.out.count("~ /etc/motd") == 1, "what is agreed to already is shown briefly"
    assert "@@" not in ran.out
    assert "\nAssociation/motd: 1 of 1 done\n" in ran.out
    assert ran.out.splitlines()[-1].startswith("Apply: 1 done, 0 failed, 0 offline; commit ")
    assert scene["web-1"].read("/etc/motd") == text
    again = ask("apply", "--auto-approve")
    assert again.code == 0
    assert "No changes. " in again.out


def test_a_saved_plan_is_not_shown_again_and_binds(scene: Scene, ask: Run, tmp_path: Path) -> None:
    greeting(scene)
    saved = tmp_path / "my.plan"
    assert ask("plan", "--out", saved, "--detailed-exitcode").code == 2
    moved = greeting(scene)
    scene.opsctl("apply", "--auto-approve")
    refused = ask("apply", saved)
    assert refused.code == 1
    assert refused.err.startswith("opsctl: refused: the fleet went from ")
    assert refused.err.endswith("; plan again\n")
    assert scene["web-1"].read("/etc/motd") == moved

    text = greeting(scene)
    assert ask("plan", "--out", saved).code == 0
    ran = ask("apply", saved)
    assert ran.code == 0
    assert "~ /etc/motd" not in ran.out
    assert ran.out.startswith("Plan: 1 to assign, on 1 node.\n")
    assert scene["web-1"].read("/etc/motd") == text


def test_a_target_that_waits_to_be_enrolled_is_no_warning_and_one_that_nobody_is_is(scene: Scene, ask: Run) -> None:
    scene.push(
        "Target",
        {
            **config.association("later", ["tag:Role=db"], "audit"),
            **config.association("never", ["tag:Role=nothing"], "audit"),
        },
    )
    warnings = ask("plan", "--format", "json").document["warnings"]
    assert [warning.split(": ")[0] for warning in warnings] == ["associations/never.yaml:1:1"]
    scene.push("Target no more", {"associations/later.yaml": None, "associations/never.yaml": None})


def test_a_revision_that_is_not_on_the_tracked_branch(scene: Scene, ask: Run) -> None:
    scene.repository.git("switch", "--quiet", "--create", "draft")
    scene.repository.commit("Draft", config.document("motd", config.file("/etc/motd", "draft\n")))
    scene.repository.git("push", "--quiet", "origin", "draft")
    scene.repository.git("switch", "--quiet", "main")
    assert "+draft" in ask("plan", "--rev", "draft").out
    ran = ask("apply", "--rev", "draft", "--auto-approve")
    assert ran.code == 1
    assert "is not on the tracked branch" in ran.err


def test_a_node_that_fails_is_named_and_the_exit_code_is_1(scene: Scene, ask: Run) -> None:
    scene.push(
        "Fail", {**config.association("doomed", ["web-1"]), **config.document("doomed", config.script("exit 3"))}
    )
    ran = ask("apply", "--auto-approve")
    assert ran.code == 1
    assert "\nAssociation/doomed: 0 of 1 done, 1 failed (web-1)\n" in ran.out
    scene.push("Give up", {"associations/doomed.yaml": None, "documents/doomed.yaml": None})
    braked = ask("apply", "--auto-approve")
    assert braked.code == 1
    assert "say --allow-removals 1 if that is meant" in braked.err
    done = ask("apply", "--auto-approve", "--allow-removals", "1")
    assert done.code == 0
    assert "1 removal made" in done.out


def test_nobody_to_ask(scene: Scene) -> None:
    greeting(scene)
    env = {"OPSCTL_SERVER": f"unix:{scene.daemon.socket}"}
    ran = run_program("apply", env=env)
    assert ran.code == 1
    assert "~ /etc/motd" in ran.out
    assert ran.err == "opsctl: refused: nobody is there to ask; say --auto-approve if this is meant\n"
    assert run_program("node", "retire", "web-1", env=env).code == 1
    assert run_program("apply", "--format", "json", env=env).code == 2


def test_somebody_to_ask(scene: Scene) -> None:
    text = greeting(scene)
    env = {**os.environ, "OPSCTL_SERVER": f"unix:{scene.daemon.socket}"}
    env.pop("NO_COLOR")
    code, shown = in_terminal([str(OPSCTL), "apply"], {"Apply this?": "n\n"}, env)
    assert code == 1
    assert "opsctl: stopped" in plain(shown)
    assert scene["web-1"].read("/etc/motd") != text

    code, shown = in_terminal([str(OPSCTL), "apply"], {"Apply this?": "y\n"}, env)
    assert code == 0, shown
    assert f"+{text}".replace("\n", "") in plain(shown)
    assert "\x1b[3" in shown, "in colour"
    assert scene["web-1"].read("/etc/motd") == text


def remote(scene: Scene, key: Path, *arguments: str) -> Ran:
    """As an operator from elsewhere."""
    server = ("--server", scene.daemon.url, "--ca", str(scene.daemon.state / "keys" / "ca.pem"), "--key", str(key))
    return run_program(*arguments, *server)


def test_an_operator_signs_and_may_what_the_role_grants(scene: Scene, key: Path) -> None:
    assert remote(scene, key, "node", "list").code == 0
    ran = remote(scene, key, "apply", "--auto-approve")
    assert ran.code == 1
    assert "mary may not apply Association" in ran.err
    assert remote(scene, key, "node", "retire", "web-1", "--auto-approve").code == 1


def test_without_a_ca_nothing_is_sent(scene: Scene, key: Path) -> None:
    ran = run_program("node", "list", "--server", scene.daemon.url, "--key", key)
    assert ran.code == 1
    assert "--ca" in ran.err


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("opsctl node show ", ["db-1", "web-1"]),
        ("opsctl explain w", ["web-1"]),
        ("opsctl token create --node ", ["db-1"]),
        ("opsctl node retire nothing", []),
    ],
)
def test_names_of_nodes_are_completed(words: str, completions: list[str], scene: Scene) -> None:
    env = {
        "OPSCTL_SERVER": f"unix:{scene.daemon.socket}",
        "_OPSCTL_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    assert run_program(env=env).out.split() == completions
    assert run_program(env={**env, "OPSCTL_SERVER": "unix:/nowhere"}).out.split() == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--label", "novalue"), "expected KEY=VALUE"),
        (("--ttl", "soon"), "as 30m"),
        (("--ttl", "400d"), "a token may live"),
    ],
)
def test_tokens_that_cannot_be_made(arguments: tuple[str, ...], says: str, ask: Run) -> None:
    ran = ask("token", "create", *arguments)
    assert ran.code in (1, 2)
    assert ran.out == ""
    assert says in ran.err


def test_retire(scene: Scene, ask: Run) -> None:
    scene.enrol("db-1")
    ran = ask("node", "retire", "db-1", "--auto-approve", "--format", "json")
    assert ran.document["state"] == "Retired"
    assert ask("node", "retire", "db-1", "--auto-approve").code == 1


def test_what_is_on_its_way_by_itself_is_waited_for(scene: Scene, ask: Run) -> None:
    scene.push("Sync by itself", config.fleet(sync="auto"))
    for _ in range(3):
        text = greeting(scene)
        ran = ask("apply", "--auto-approve")
        assert ran.code == 0
        assert scene["web-1"].read("/etc/motd") == text, "apply means: now, and wait"
