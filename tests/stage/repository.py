"""A config repository as people have one: a bare remote, and a clone that they commit in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.committer import MARY


class ConfigRepository:
    """`clone` is where files are edited; `remote` is what the daemon fetches and pushes compliance to.

    It begins with the example, as `opsctl init` writes it, or with `files`, by path; with none it is empty.
    """

    def __init__(self, directory: Path, opsctl: Path, files: Mapping[str, str] | None = None) -> None:
        self.remote = directory / "config.git"
        self.clone = directory / "config"
        self._git("init", "--quiet", "--bare", "--initial-branch=main", str(self.remote), where=directory)
        if files is None:
            subprocess.run([str(opsctl), "init", str(self.clone)], check=True, capture_output=True, env=self._env())
        else:
            self._git("init", "--quiet", "--initial-branch=main", str(self.clone), where=directory)
        self.git("remote", "add", "origin", str(self.remote))
        if files is None:
            self.git("push", "--quiet", "--set-upstream", "origin", "main")
        elif files:
            self.push("Begin", files)

    def git(self, *arguments: str) -> str:
        """git in the clone; what it printed."""
        return self._git(*arguments, where=self.clone)

    def replace(self, path: str, old: str, new: str) -> None:
        """Edit a file; the old text must be in it."""
        file = self.clone / path
        text = file.read_text()
        if old not in text:
            raise AssertionError(f"{path} does not contain {old!r}")
        file.write_text(text.replace(old, new))

    def write(self, path: str, text: str) -> None:
        file = self.clone / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def push(self, message: str, files: Mapping[str, str | None] | None = None) -> str:
        """Write `files` (None removes one), commit everything and push; the commit's id."""
        self.commit(message, files)
        self.git("push", "--quiet", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def commit(self, message: str, files: Mapping[str, str | None] | None = None) -> str:
        """As `push`, and the remote hears nothing of it."""
        for path, text in (files or {}).items():
            if text is None:
                (self.clone / path).unlink()
            else:
                self.write(path, text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def compliance(self, path: str) -> str:
        """A file of the branch `compliance` at the remote; empty where it is not there yet."""
        found = subprocess.run(
            ["git", "-C", str(self.remote), "show", f"compliance:{path}"], capture_output=True, text=True, check=False
        )
        return found.stdout if found.returncode == 0 else ""

    def compliance_log(self) -> list[str]:
        """Subject lines of the branch `compliance`, newest first."""
        found = subprocess.run(
            ["git", "-C", str(self.remote), "log", "--format=%s", "compliance"],
            capture_output=True,
            text=True,
            check=False,
        )
        return found.stdout.splitlines()

    def _git(self, *arguments: str, where: Path) -> str:
        command = ["git", *arguments]
        done = subprocess.run(command, cwd=where, env=self._env(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout.strip()

    @staticmethod
    def _env() -> dict[str, str]:
        return {**os.environ, **MARY}
