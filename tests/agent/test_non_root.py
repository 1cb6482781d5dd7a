"""An ordinary user's agent: it does what that user may, and says of each step what it may not."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.contract import wire
from tests.agent import program
from tests.agent.gateway import Gateway

USER = "nobody"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A directory that the user owns and reaches."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    where = Path(f"/var/tmp/opsctl-test-{os.getpid()}")
    where.mkdir(mode=0o755)
    shutil.copy(program.archive(), where / "agent.pyz")
    (where / "home").mkdir()
    shutil.chown(where / "home", USER)
    yield where
    shutil.rmtree(where)


def agent(home: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The archive run as the user, by the machine's own Python, which everybody may run."""
    user = pwd.getpwnam(USER)
    drop = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]
    return subprocess.run(
        [*drop, "/usr/bin/python3", "-I", str(home / "agent.pyz"), *arguments],
        input=stdin,
        env={**program.ENVIRONMENT, "HOME": str(home / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )


def steps(home: Path) -> list[wire.BodyStep]:
    def step(label: str, action: str, /, **inputs: object) -> wire.BodyStep:
        return wire.BodyStep(label, action, 1, inputs, on_failure="continue")

    mine = home / "home" / "notes"
    return [
        step("mine", "ops:file", path=str(mine), content="hello\n"),
        step("given", "ops:file", path=str(home / "home" / "given"), content="x", owner="root"),
        step("motd", "ops:file", path="/etc/motd.opsctl-test", content="hello\n"),
        step("package", "ops:package", name=["opsctl-no-such-package"], state="absent"),
        step("user", "ops:user", name="opsctl-no-such-user"),
        step("script", "aws:runShellScript", runCommand=["id -un", "exit 0"]),
        step("patch", "aws:runShellScript", runCommand=["exit 194"]),
    ]


def test_it_does_what_the_user_may_and_says_what_needs_root(gateway: Gateway, home: Path) -> None:
    refused = agent(home, "serve")
    assert (refused.returncode, "--non-root" in refused.stderr) == (1, True)
    enrolled = agent(home, "enroll", "--non-root", "--token-file", "-", stdin=gateway.token())
    assert enrolled.returncode == 0, enrolled.stderr
    made = steps(home)
    gateway.want(1, [wire.Body("Association/all", "all", made)])
    done = agent(home, "once", "--non-root")
    (report,) = gateway.reports
    assert report.status == "Failed", done.stderr
    told = {claim.step: (claim.outcome, claim.reason or "") for claim in report.claims}
    assert told["mine"] == ("Changed", "")
    assert told["package"] == ("Unchanged", "")
    assert told["script"] == ("Changed", "")
    assert report.output is not None
    assert f"{USER}\n" in report.output
    refusals = {name: reason for name, (outcome, reason) in told.items() if outcome == "Failed"}
    assert set(refusals) == {"given", "motd", "user", "patch"}
    assert all(reason.startswith("NotPermitted: needs root: ") for reason in refusals.values()), refusals
    assert refusals["user"] == "NotPermitted: needs root: to change accounts"
    assert (home / "home/.local/state/opsctl/journal").exists()


def test_it_installs_beneath_the_users_home(home: Path) -> None:
    done = agent(home, "install", "--non-root")
    assert done.returncode == 0, done.stderr
    current = home / "home/.local/share/opsctl/current"
    assert current.is_symlink()
    unit = (home / "home/.config/systemd/user/opsctl-agent.service").read_text()
    assert f"-I -S {current} serve --state {home}/home/.local/state/opsctl --non-root\n" in unit
    assert "WantedBy=default.target\n" in unit
    assert "is installed already" in agent(home, "install", "--non-root").stdout
