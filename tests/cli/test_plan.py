"""`opsctl plan` without a server: Git against Git, the working tree, what is refused, exit codes, documents."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Repository, Run, run_program

GREETING = ("documents/base-hardening.yaml", "Questions:", "Questions, always:")


def test_without_a_base_everything_is_new(repository: Repository, run: Run) -> None:
    ran = run("plan", "--repo", repository.directory)
    assert ran.code == 0
    assert "\nAssociation/base on 3 nodes: db-1, gate-1, web-1\n  3 nodes: + /etc/motd  " in ran.out
    assert "what every node is now is unknown" in ran.out
    assert re.search(r"\nPlan: \d+ to assign, on 3 nodes\.\n\Z", ran.out)
    assert "~" not in re.sub("~/", "", ran.out)


def test_a_base_leaves_what_changed(repository: Repository, run: Run) -> None:
    base = repository.git("rev-parse", "HEAD")
    repository.replace(*GREETING)
    head = repository.commit()
    ran = run("plan", "--repo", repository.directory, "--base", base)
    assert ran.out.startswith(f"commit {head[:12]}, from {base[:12]}\n")
    assert "  3 nodes: ~ /etc/motd  documents/base-hardening.yaml:10:5\n" in ran.out
    assert "      -Questions: ops@harbour-books.example\n      +Questions, always: ops" in ran.out
    assert ran.out.endswith("\n\nPlan: 3 to assign, on 3 nodes.\n")


def test_what_is_new_is_shown_whole(repository: Repository, run: Run) -> None:
    shown = run("plan", "--repo", repository.directory).out
    assert (
        "  3 nodes: + user:deploy  documents/users-and-keys.yaml:9:5\n      comment: Deployments\n      home: " in shown
    )
    assert "  3 nodes: + script:disks  " in shown
    assert '      +test "$used" -lt 90\n' in shown, "nobody approves a script unseen"


def test_a_changed_script_is_shown_as_a_diff(repository: Repository, run: Run) -> None:
    repository.replace("documents/disk-report.yaml", "tr -dc 0-9)", "tr -dc '[:digit:]')")
    repository.commit()
    shown = run("plan", "--repo", repository.directory, "--base", "HEAD~1").out
    assert "      -used=$(df --output=pcent / | tail -n 1 | tr -dc 0-9)\n      +used=$(df" in shown
    assert "runCommand" not in shown


def test_content_that_is_not_a_whole_file_is_shown_too(repository: Repository, run: Run) -> None:
    document = 'schemaVersion: "2.2"\nmainSteps:\n- name: unit\n  action: ops:unit\n'
    document += '  inputs: {name: shop, content: "[Service]\\nExecStart=/bin/old\\n"}\n'
    repository.write("documents/unit.yaml", document)
    spec = "apiVersion: ops/v1\nkind: Association\nmetadata: {name: unit}\nspec: {document: unit, targets: [web-1]}\n"
    repository.write("associations/unit.yaml", spec)
    repository.commit()
    repository.replace("documents/unit.yaml", "/bin/old", "/bin/new")
    repository.commit()
    shown = run("plan", "--repo", repository.directory, "--base", "HEAD~1").out
    assert "  1 node: ~ /etc/systemd/system/shop.service  documents/unit.yaml:3:3\n" in shown
    assert "      -ExecStart=/bin/old\n      +ExecStart=/bin/new\n" in shown


def test_a_template_that_takes_too_much_is_shown_by_its_source_and_told_by_its_line(
    repository: Repository, run: Run
) -> None:
    document = 'schemaVersion: "2.2"\nmainSteps:\n'
    for name, where in (("large", "source: files/large"), ("own", "content: \"\\n{{ 10 ** 9 * 'x' }}\"")):
        document += f"- name: {name}\n  action: ops:file\n  inputs: {{path: /etc/{name}, {where}, template: true}}\n"
    repository.write("documents/large.yaml", document)
    repository.write("files/large", "one\ntwo\n{{ 'x' * 10 ** 9 }}\n")
    spec = "apiVersion: ops/v1\nkind: Association\nmetadata: {name: large}\nspec: {document: large, targets: [web-1]}\n"
    repository.write("associations/large.yaml", spec)
    repository.commit()
    shown = run("plan", "--repo", repository.directory, "--base", "HEAD~1").out
    assert "  1 node: + /etc/large  documents/large.yaml:3:3\n" in shown
    assert "template error: files/large:3: it takes more than 512 MiB of memory\n" in shown
    assert "      +{{ 'x' * 10 ** 9 }}\n" in shown
    assert "template error: line 2: it takes more than 512 MiB of memory\n" in shown


def test_brief_leaves_diffs_out(repository: Repository, run: Run) -> None:
    ran = run("plan", "--repo", repository.directory, "--brief")
    assert "  3 nodes: + /etc/motd" in ran.out
    assert "@@" not in ran.out


def test_uncommitted_changes_are_refused_and_named(repository: Repository, run: Run) -> None:
    repository.replace(*GREETING)
    repository.write("groups/draft.yaml", "nothing yet")
    ran = run("plan", "--repo", repository.directory)
    assert ran.code == 1
    assert ran.out == ""
    assert "documents/base-hardening.yaml, groups/draft.yaml" in ran.err
    assert "plan with --worktree" in ran.err


def test_the_working_tree_with_what_is_not_committed(repository: Repository, run: Run) -> None:
    repository.replace(*GREETING)
    repository.write("groups/draft.yaml", "apiVersion: ops/v1\nkind: Group\nmetadata: [\n")
    ran = run("plan", "--repo", repository.directory, "--worktree", "--base", "HEAD")
    assert ran.code == 0
    assert ran.out.startswith("the working tree, from ")
    assert "groups/draft.yaml:4:1: error: " in ran.out, "bad input does not stop good input"
    assert "~ /etc/motd" in ran.out


def test_here_is_where_it_looks_without_a_repository_named(repository: Repository) -> None:
    assert run_program("plan", "--brief", cwd=repository.directory).code == 0


def test_a_revision(repository: Repository, run: Run) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.replace(*GREETING)
    repository.commit()
    ran = run("plan", "--repo", repository.directory, "--rev", "HEAD~1")
    assert ran.out.startswith(f"commit {first[:12]}\n")
    assert "Questions, always" not in ran.out


def test_a_remote_repository_is_read_at_its_branches(repository: Repository, tmp_path: Path, run: Run) -> None:
    repository.git("switch", "--quiet", "--create", "greeting")
    repository.replace(*GREETING)
    repository.commit()
    repository.git("switch", "--quiet", "main")
    repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "remote.git"))
    url = f"file://{tmp_path}/remote.git"
    assert run("plan", "--repo", url, "--rev", "greeting", "--base", "main").out.count("+Questions, always") == 1
    assert run("plan", "--repo", url, "--base", "main").out.endswith("\nNo changes. Both ask for the same.\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--rev", "no-such-branch"), "no-such-branch"),
        (("--base", "no-such-branch"), "no-such-branch"),
    ],
)
def test_what_cannot_be_planned(arguments: tuple[str, ...], says: str, repository: Repository, run: Run) -> None:
    ran = run("plan", "--repo", repository.directory, *arguments)
    assert ran.code == 1
    assert ran.out == ""
    assert says in ran.err


@pytest.mark.parametrize("repo", ["nowhere", "empty", "file:///nowhere.git", "ext::sh -c id"])
def test_what_is_no_repository(repo: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    ran = run("plan", "--repo", repo)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("opsctl: ")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--worktree", "--rev", "HEAD"),
        ("--server", "unix:/run/x", "--repo", "."),
        ("--server", "unix:/run/x", "--worktree"),
        ("--server", "unix:/run/x", "--base", "HEAD"),
        ("--format", "yaml"),
    ],
)
def test_what_contradicts_itself_is_wrong_usage(arguments: tuple[str, ...], run: Run) -> None:
    ran = run("plan", *arguments)
    assert ran.code == 2
    assert ran.err.startswith("Usage: opsctl plan ")


def test_a_server_in_the_environment_gives_way(
    repository: Repository, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSCTL_SERVER", "unix:/nowhere/opsctl.sock")
    assert run("plan", "--repo", repository.directory).code == 0
    assert run("plan").code == 1


def test_detailed_exit_codes(repository: Repository, run: Run) -> None:
    plan = ("plan", "--repo", repository.directory, "--detailed-exitcode")
    assert run(*plan, "--base", "HEAD").code == 0
    assert run(*plan).code == 2
    assert run(*plan, "--base", "no-such-branch").code == 1
    assert run(*plan, "--no-such-option").code == 1
    repository.replace(*GREETING)
    assert run(*plan).code == 1, "uncommitted changes are an error"


def test_the_document_is_as_its_schema_says(repository: Repository, run: Run) -> None:
    ran = run("plan", "--repo", repository.directory, "--format", "json")
    document = ran.document
    assert document["format"] == "opsctl.plan/v1"
    assert document["live"] is False
    assert document["summary"]["assign"] == sum(len(change["nodes"]) for change in document["changes"])
    names = {name for change in document["changes"] for name in change["nodes"].values()}
    assert names == {"db-1", "gate-1", "web-1"}


def test_a_saved_plan_is_the_document(repository: Repository, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "my.plan"
    shown = run("plan", "--repo", repository.directory, "--format", "json", "--out", out)
    assert json.loads(out.read_text()) == shown.document


def test_a_plan_of_git_alone_cannot_be_applied(repository: Repository, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "my.plan"
    run("plan", "--repo", repository.directory, "--out", out)
    ran = run("apply", out, "--server", f"unix:{tmp_path}/opsctl.sock")
    assert ran.code == 1
    assert "compares Git with Git" in ran.err


@pytest.mark.parametrize("content", ["{}", "[]", "not JSON", '{"format": "opsctl.plan/v1"}', '{"format": "other"}'])
def test_what_is_no_saved_plan(content: str, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "my.plan"
    out.write_text(content)
    ran = run("apply", out, "--server", f"unix:{tmp_path}/opsctl.sock")
    assert ran.code == 2
    assert ran.err == f"{out}: error: this is not a saved plan; expected a file saved by opsctl plan --out\n"


def test_as_markdown(repository: Repository, run: Run) -> None:
    repository.replace(*GREETING)
    repository.replace("associations/users.yaml", "    - group:production\n", "    - tag:Role=web\n")
    head = repository.commit()
    ran = run("plan", "--repo", repository.directory, "--base", "HEAD~1", "--format", "markdown")
    assert ran.code == 0
    assert ran.out.replace(head[:12], "COMMIT") == (Path(__file__).parent / "golden" / "change.md").read_text()


def test_removals_stand_before_everything_else(repository: Repository, run: Run) -> None:
    repository.replace(*GREETING)
    repository.replace("associations/users.yaml", "    - group:production\n", "    - tag:Role=web\n")
    repository.commit()
    ran = run("plan", "--repo", repository.directory, "--base", "HEAD~1")
    removal = ran.out.index("2 nodes: - Association/users  db-1, gate-1\n      - package:sudo: ")
    assert removal < ran.out.index("Association/base on 3 nodes")
    assert ran.out.endswith("\n\nPlan: 3 to assign, 2 to remove, on 3 nodes.\n")


def test_what_a_repository_says_does_not_move_the_cursor(repository: Repository, run: Run) -> None:
    repository.replace("documents/base-hardening.yaml", "Questions:", "\\x1b[2J\u202e Questions:")
    repository.write("files/base/60-hardening.conf", "one\x1b[2J\ttwo\x9b\n")
    repository.commit("\x1b[2J")
    for format_ in ("text", "markdown", "json"):
        out = run("plan", "--repo", repository.directory, "--format", format_).out
        assert out.replace("\n", "").replace("\t", "").isprintable(), format_
    assert re.search(r"\+one\\x1b\[2J +two\\x9b\n", run("plan", "--repo", repository.directory).out)
