"""`opsctl param` and `opsctl exec` on a repository's working tree."""

from __future__ import annotations

import io
import subprocess

import pytest

from tests.adapters.sops.files import made
from tests.cli.conftest import OPSCTL, Ran, Repository, Run

TREE = """\
# what the shop needs
prod:
  db:
    url: postgres://db  # by name
    port: 5432
  zones: [a, b]
"""


@pytest.fixture
def repo(repository: Repository) -> Repository:
    repository.write("parameters/prod.yaml", TREE)
    repository.commit("Declare parameters")
    return repository


def test_get_shows_the_value_alone(repo: Repository, run: Run) -> None:
    assert run("param", "get", "/prod/db/url", "--repo", repo.directory).out == "postgres://db\n"
    assert run("param", "get", "/prod/zones", "--repo", repo.directory).out == "a,b\n"
    found = run("param", "get", "/prod/db/port:1", "--repo", repo.directory, "--format", "json").document["Parameter"]
    shown = {key: found[key] for key in ("Name", "Type", "Value", "Version", "Selector", "DataType")}
    assert shown == {
        "Name": "/prod/db/port",
        "Type": "String",
        "Value": "5432",
        "Version": 1,
        "Selector": ":1",
        "DataType": "text",
    }


def test_what_is_not_there_is_refused_with_what_is_near(repo: Repository, run: Run) -> None:
    ran = run("param", "get", "/prod/db/ulr", "--repo", repo.directory)
    assert (ran.code, ran.out) == (1, "")
    assert "did you mean /prod/db/url?" in ran.err
    assert "did you mean /prod/db/url:1?" in run("param", "get", "/prod/db/url:2", "--repo", repo.directory).err


def test_a_path_in_every_form(repo: Repository, run: Run) -> None:
    def by_path(*arguments: str) -> str:
        return run("param", "get-by-path", *arguments, "--repo", repo.directory).out

    assert by_path("/prod").splitlines()[1:] == ["/prod/zones  StringList  a,b"]
    assert by_path("/prod", "--recursive", "--format", "dotenv") == "DB_PORT=5432\nDB_URL=postgres://db\nZONES=a,b\n"
    yaml = by_path("/prod", "--recursive", "--format", "yaml")
    assert yaml == "prod:\n  db:\n    port: '5432'\n    url: postgres://db\n  zones:\n  - a\n  - b\n"
    document = run("param", "get-by-path", "/prod/db", "--repo", repo.directory, "--format", "json").document
    assert [row["Name"] for row in document["Parameters"]] == ["/prod/db/port", "/prod/db/url"]


def test_put_changes_one_line_and_commits_it(repo: Repository, run: Run) -> None:
    repo.write("other.txt", "not part of it")
    ran = run("param", "put", "/prod/db/url", "--value", "postgres://db2", "--overwrite", "--repo", repo.directory)
    assert ran.code == 0, ran.err
    assert repo.git("show", "--format=%s", "--unified=0").splitlines()[-2:] == [
        "-    url: postgres://db  # by name",
        "+    url: postgres://db2  # by name",
    ]
    assert repo.git("status", "--porcelain") == "?? other.txt"
    history = run("param", "history", "/prod/db/url", "--repo", repo.directory, "--format", "json").document
    assert [(row["Version"], row["Value"]) for row in history["Parameters"]] == [
        (1, "postgres://db"),
        (2, "postgres://db2"),
    ]


def test_put_of_a_new_one_goes_beside_its_neighbours(repo: Repository, run: Run) -> None:
    document = run(
        *("param", "put", "/prod/db/name", "--value", "shop", "--repo", repo.directory, "--format", "json")
    ).document
    assert document["files"] == ["parameters/prod.yaml"]
    assert (repo.directory / "parameters/prod.yaml").read_text() == TREE.replace(
        "    port: 5432\n", "    port: 5432\n    name: shop\n"
    )
    document = run(
        *("param", "put", "/test/x", "--value", "y", "--no-commit", "--repo", repo.directory, "--format", "json")
    ).document
    assert (document["files"], document["commit"]) == (["parameters/test.yaml"], None)
    assert repo.git("status", "--porcelain", "--untracked-files=all") == "?? parameters/test.yaml"


def test_put_refuses(repo: Repository, run: Run) -> None:
    def put(*arguments: str) -> str:
        ran = run("param", "put", *arguments, "--repo", repo.directory)
        assert ran.code in (1, 2)
        return ran.err

    assert "say --overwrite" in put("/prod/db/url", "--value", "x")
    assert "begins with a word that is reserved" in put("/aws/x", "--value", "x")
    assert "refers to another parameter" in put("/prod/x", "--value", "{{ ssm:/y }}")
    assert "has a value, and so no levels below it" in put("/prod/db/url/x", "--value", "x")
    secret = put("/prod/db/password", "--type", "SecureString", "--value", "hunter2")
    assert "does not belong in a command line" in secret
    assert "hunter2" not in secret
    repo.write("parameters/prod.yaml", TREE + "# mine\n")
    assert "has changes that are not committed" in put("/prod/db/url", "--value", "x", "--overwrite")
    assert repo.git("log", "--format=%s").splitlines()[0] == "Declare parameters"


def test_a_value_comes_from_standard_input(repo: Repository) -> None:
    done = subprocess.run(
        [str(OPSCTL), "param", "put", "/prod/motd", "--repo", str(repo.directory)],
        input="two\nlines\n",
        text=True,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert '  motd: "two\\nlines"\n' in (repo.directory / "parameters/prod.yaml").read_text()


SECRET = "hunter2, correct horse"


def test_a_secret_is_put_read_renamed_and_removed(repo: Repository, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("secret", "init", repo.directory).code == 0
    repo.commit("Begin with secrets")

    def param(verb: str, *arguments: object) -> Ran:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\n"))
        ran = run("param", verb, *arguments, "--repo", repo.directory)
        assert ran.code == 0, ran.err
        return ran

    put = param("put", "/prod/db/password", "--type", "SecureString")
    assert "parameters/prod.sops.yaml" in put.out
    param("put", "/prod/web/token", "--type", "SecureString")
    hidden = param("get", "/prod/db/password")
    assert hidden.out.startswith("ENC[AES256_GCM,")
    assert param("get", "/prod/db/password", "--with-decryption").out == f"{SECRET}\n"
    assert "ENC[" in param("get-by-path", "/prod", "--recursive").out
    dotenv = param("get-by-path", "/prod", "--recursive", "--with-decryption", "--format", "dotenv").out
    assert f'DB_PASSWORD="{SECRET}"\n' in dotenv
    param("mv", "/prod/db/password", "/prod/db/secret")
    assert param("get", "/prod/db/secret", "--with-decryption").out == f"{SECRET}\n"
    assert "DB_SECRET" in run("param", "list", "--repo", repo.directory).out.upper().replace("/", "_")
    assert run("param", "search", "hunter2", "--repo", repo.directory).code == 1
    param("rm", "/prod/db/secret")
    param("rm", "/prod/web/token")
    assert not (repo.directory / "parameters/prod.sops.yaml").exists()
    assert SECRET not in repo.git("log", "--patch")
    assert all(SECRET not in ran.out + ran.err for ran in (put, hidden))


_WANDA = """\
apiVersion: ops/v1
kind: Operator
metadata: {name: wanda}
spec:
  keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBP4CqRWIbBjHkWN3dvpaUUHFDTZaIN0oAFaI8SJt7Zx]
  roles: [web-team]
"""


def test_who_can_read_is_everybody_and_everything(repo: Repository, run: Run) -> None:
    repo.replace("documents/time.yaml", "mainSteps:", _STEP)
    grant = "    - {verbs: [read], kinds: [Parameter], parameters: [/prod/db]}\n"
    repo.replace(
        "access/roles.yaml", "    - verbs: [read, plan, explain]\n", grant + "    - verbs: [read, plan, explain]\n"
    )
    repo.write("access/wanda.yaml", _WANDA)
    assert run("validate", repo.directory).code == 0
    repo.write("parameters/prod.sops.yaml", made(b"prod: {db: {password: x}}\n", "parameters/prod.sops.yaml"))
    found = run("secret", "who-can-read", "/prod/db", "--repo", repo.directory, "--format", "json").document[
        "parameters"
    ]
    by_name = {one["name"]: one for one in found}
    assert sorted(by_name) == ["/prod/db/password", "/prod/db/port", "/prod/db/url"]
    url, password = by_name["/prod/db/url"], by_name["/prod/db/password"]
    assert url["operators"] == [{"operator": "wanda", "roles": ["web-team"]}]
    assert url["associations"] == [{"association": "Association/time", "nodes": ["db-1", "gate-1", "web-1"]}]
    assert (url["keys"], by_name["/prod/db/port"]["associations"], password["operators"]) == ([], [], [])
    assert [key[:4] for key in password["keys"]] == ["age1"]
    assert (
        "nodes        db-1, gate-1, web-1 by Association/time"
        in run(*("secret", "who-can-read", "/prod/db/url", "--repo", repo.directory)).out
    )
    assert run("secret", "who-can-read", "/none", "--repo", repo.directory).code == 1


def test_a_label_names_a_version(repo: Repository, run: Run) -> None:
    repo.replace("parameters/prod.yaml", "5432", "5433")
    repo.commit()
    assert run("param", "label", "/prod/db/port", "--version", 1, "-l", "old", "--repo", repo.directory).code == 0
    assert run("param", "label", "/prod/db/port", "-l", "live", "-l", "new", "--repo", repo.directory).code == 0
    assert run("param", "get", "/prod/db/port:old", "--repo", repo.directory).out == "5432\n"
    document = run("param", "history", "/prod/db/port", "--repo", repo.directory, "--format", "json").document
    assert [row["Labels"] for row in document["Parameters"]] == [["old"], ["live", "new"]]
    assert run("param", "label", "/prod/db/port", "-l", "old", "--remove", "--repo", repo.directory).code == 0
    assert run("param", "get", "/prod/db/port:old", "--repo", repo.directory).code == 1
    assert run("param", "label", "/prod/db/port", "--version", 7, "-l", "x", "--repo", repo.directory).code == 1
    assert "cannot be a label" in run("param", "label", "/prod/db/port", "-l", "1st", "--repo", repo.directory).err


def test_rm_takes_all_of_it_and_mv_renames(repo: Repository, run: Run) -> None:
    run("param", "label", "/prod/db/port", "-l", "live", "--repo", repo.directory)
    assert run("param", "mv", "/prod/db/port", "/prod/shop/port", "--repo", repo.directory).code == 0
    assert run("param", "get", "/prod/shop/port:live", "--repo", repo.directory).out == "5432\n"
    assert run("param", "rm", "/prod/shop/port", "--repo", repo.directory).code == 0
    assert (repo.directory / "parameters/prod.yaml").read_text() == TREE.replace("    port: 5432\n", "")
    assert not (repo.directory / "parameters/described.yaml").exists()
    assert run("validate", repo.directory).code == 0


def test_what_is_referred_to_is_not_removed(repo: Repository, run: Run) -> None:
    repo.replace("documents/time.yaml", "mainSteps:", _STEP)
    repo.commit("Refer to it")
    ran = run("param", "rm", "/prod/db/url", "--repo", repo.directory)
    assert ran.code == 2
    assert "documents/time.yaml" in ran.err
    assert "there is no parameter `/prod/db/url`" in ran.err
    assert repo.git("status", "--porcelain") == ""


_STEP = """\
mainSteps:
  - name: db
    action: ops:file
    inputs: {path: /etc/shop-db, content: "{{ ssm:/prod/db/url }}"}
"""


def test_a_plan_shows_what_a_change_of_a_value_means(repo: Repository, run: Run) -> None:
    repo.replace("documents/time.yaml", "mainSteps:", _STEP)
    base = repo.commit("Refer to it")
    repo.replace("parameters/prod.yaml", "postgres://db ", "postgres://db2 ")
    repo.commit("Another database")
    ran = run("plan", "--repo", repo.directory, "--base", base)
    assert "-postgres://db\n" in ran.out
    assert "+postgres://db2\n" in ran.out


def test_list_and_search(repo: Repository, run: Run) -> None:
    document = run("param", "list", "--path", "/prod", "--repo", repo.directory, "--format", "json").document
    assert [row["Name"] for row in document["Parameters"]] == ["/prod/db/port", "/prod/db/url", "/prod/zones"]
    assert all("Value" not in row for row in document["Parameters"])
    found = run("param", "search", "POSTGRES", "--repo", repo.directory)
    assert [line.split()[0] for line in found.out.splitlines()] == ["NAME", "/prod/db/url"]
    assert run("param", "search", "nothing", "--repo", repo.directory).code == 1


def test_exec_runs_a_program_in_its_place(repo: Repository) -> None:
    def executed(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(OPSCTL), "exec", *arguments],
            cwd=repo.directory,
            text=True,
            capture_output=True,
            check=False,
            timeout=60,
        )

    done = executed("/prod", "--pristine", "--", "/bin/sh", "-c", "/usr/bin/env; exit 7")
    assert (done.returncode, sorted(done.stdout.splitlines())) == (
        7,
        [*("DB_PORT=5432", "DB_URL=postgres://db"), f"PWD={repo.directory}", "ZONES=a,b"],
    )


def test_exec_refuses_what_it_cannot_run(repo: Repository, run: Run) -> None:
    assert "no parameter below /none" in run("exec", "/none", "--repo", repo.directory, "--", "true").err
    assert "no program nothing-like" in run("exec", "/prod", "--repo", repo.directory, "--", "nothing-like-this").err


def test_a_proposal_leaves_the_checkout_alone(repo: Repository, run: Run) -> None:
    remote = repo.directory.parent / "remote.git"
    repo.git("init", "--quiet", "--bare", str(remote))
    ran = run("param", "put", "/prod/db/url", "--value", "x", "--overwrite", "--pr", "--repo", repo.directory)
    assert "has no remote `origin`" in ran.err
    repo.git("remote", "add", "origin", str(remote))
    document = run(
        *("param", "put", "/prod/db/url", "--value", "x", "--overwrite", "--pr", "--repo", repo.directory),
        *("--format", "json"),
    ).document
    assert repo.git("ls-remote", "origin", document["branch"]).split()[0] == document["commit"]
    assert repo.git("status", "--porcelain") == ""
    assert repo.git("log", "-1", "--format=%s") == "Declare parameters"
