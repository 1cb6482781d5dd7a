"""Which built-in documents run whatever they are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.documents.document import Document, load
from reconciler.documents.programs import takes_programs
from reconciler.wiring.library import one
from tests.e2e import config


def _ours(name: str) -> Document:
    found = one(name, Path("nowhere"))
    return load(found.data, found.path)


@pytest.mark.parametrize("name", ["AWS-RunShellScript", "AWS-RunPowerShellScript", "AWS-RunDockerAction"])
def test_those_that_do(name: str) -> None:
    assert takes_programs(_ours(name))


@pytest.mark.parametrize("name", ["AWS-GatherSoftwareInventory", "AWSFleetManager-GetUsers", "AWS-UpdateSSMAgent"])
def test_those_that_do_not(name: str) -> None:
    assert not takes_programs(_ours(name))


def test_a_parameter_within_a_script_is_no_program() -> None:
    said = config.document("hello", config.script("echo {{ who }}"), who="x")
    assert not takes_programs(load(said["documents/hello.yaml"].encode(), "documents/hello.yaml"))
