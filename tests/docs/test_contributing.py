"""What contributors are told to do and where to look: targets, files and hooks that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import ROOT

GUIDES = ("ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "docs/README.md")
_FILE = re.compile(r"`((?:\.?[a-z_]+/)*[a-z_.]+(?:\.(?:py|yaml|toml|md)|/))`")


@pytest.mark.parametrize("guide", GUIDES)
def test_commands_of_make_are_targets(guide: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = re.findall(r"(?:^    |`|&& )(?:\w+=1 )?make ((?:[a-z]+ ?)+)", (ROOT / guide).read_text(), re.MULTILINE)
    named = {word for words in told for word in words.split()}
    assert named - targets == set()


@pytest.mark.parametrize("guide", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_files_that_are_named_are_there(guide: str) -> None:
    named = set(_FILE.findall((ROOT / guide).read_text()))
    places = (ROOT, ROOT / "reconciler")
    repository = ROOT / "example-config-repo"
    known = {path.relative_to(repository).as_posix() for path in repository.rglob("*")} | {"access/", "server.yaml"}
    lost = {
        name
        for name in named - known
        if not any((place / name).exists() for place in places) and name.rstrip("/") not in known
    }
    assert {name for name in lost if name != "documents/motd.yaml"} == set()
    assert len(named) > 3


def test_hooks_run_what_is_there() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    for hook in hooks:
        program, *arguments = hook["entry"].split()
        assert program.startswith(".venv/bin/")
        makefile = (ROOT / "Makefile").read_text()
        assert f"$(BIN)/{Path(program).name}" in makefile, "the same tools as `make test`"
        assert [word for word in arguments if word.startswith("tests/") and not (ROOT / word).exists()] == []
