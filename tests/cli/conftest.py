"""A repository as `opsctl init` makes it, and the command line run in this process or as one of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reconciler.cli import app
from tests.committer import MARY

OPSCTL = Path(sys.executable).with_name("opsctl")
SCHEMAS = Path(__file__).parents[2] / "schemas"


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed as JSON, which has to be as its published schema says, and no more than that."""
        value = json.loads(self.out)
        name = value["format"].removeprefix("opsctl.").removesuffix("/v1")
        schema = json.loads((SCHEMAS / "faces" / f"{name}.schema.json").read_text())
        jsonschema.Draft202012Validator(closed(schema)).validate(value)
        return value


def closed(schema: Any) -> Any:
    """The schema with every object in it taking the named properties alone, so that what is printed is all written."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(part) for key, part in schema.items()}
    return {**inner, "additionalProperties": False} if isinstance(schema.get("properties"), dict) else inner


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the person who runs the tests: no server, no colour, no Git settings, no home."""
    for name in ("OPSCTL_SERVER", "OPSCTL_CA", "OPSCTL_KEY", "FORCE_COLOR", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**MARY, "HOME": str(tmp_path), "COLUMNS": "80", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """opsctl in this process."""

    def ran(*arguments: object) -> Ran:
        capfd.readouterr()
        code = app.exit_code([str(argument) for argument in arguments])
        return Ran(code, *capfd.readouterr())

    return ran


def run_program(*arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
    """opsctl as a program of its own, with nobody at its standard input."""
    done = subprocess.run(
        [str(OPSCTL), *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


class Repository:
    """A config repository's working tree."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, path: str, text: str | bytes) -> None:
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.directory / path).read_text()
        assert old in text
        self.write(path, text.replace(old, new))

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.directory, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, message: str = "Change") -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pristine") / "config"
    done = run_program("init", directory, env=MARY)
    assert done.code == 0, done.err
    return directory


@pytest.fixture
def repository(pristine: Path, tmp_path: Path) -> Repository:
    """A copy of its own of what `opsctl init` makes."""
    return Repository(Path(shutil.copytree(pristine, tmp_path / "config", symlinks=True)))
