"""Every kind's spec, by cases, as files declare it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_core import to_jsonable_python

from reconciler.capabilities.registry import KINDS, is_document, kinds_at
from reconciler.engine.drafts import read_file

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "specs.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_spec(case: dict[str, Any]) -> None:
    file = read_file(case["path"], "", case["text"].encode())
    findings = [*file.unreadable, *(finding for broken in file.broken for finding in broken.findings)]
    assert sorted(str(finding) for finding in findings) == sorted(case.get("findings", []))
    if "findings" not in case:
        (draft,) = file.drafts
        assert draft.uid == case["uid"]
        spec = to_jsonable_python(draft.spec.model_dump(by_alias=True, exclude_defaults=True, mode="python"))
        assert spec == case["spec"]


def test_every_kind_has_a_case_that_is_read_and_one_that_is_refused() -> None:
    read = {kind.name for case in CASES if "spec" in case for kind in kinds_at(case["path"])}
    refused = {kind.name for case in CASES if "findings" in case for kind in kinds_at(case["path"])}
    assert read == refused == set(KINDS)


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("fleet.yaml", ["Fleet"]),
        ("fleet.json", ["Fleet"]),
        ("fleet/x.yaml", []),
        ("nodes/web1.yaml", ["Node"]),
        ("nodes/eu/web1.yml", ["Node"]),
        ("nodes/README.md", []),
        ("access/roles.yaml", ["Role", "Operator"]),
        ("files/nodes/x.yaml", []),
        ("x.yaml", []),
        (".gitlab-ci.yml", []),
    ],
)
def test_where_kinds_live(path: str, kinds: list[str]) -> None:
    assert [kind.name for kind in kinds_at(path)] == kinds


def test_documents_live_in_their_folder() -> None:
    assert is_document("documents/web.yaml")
    assert is_document("documents/base/web.json")
    assert not is_document("documents/motd.j2")
    assert not is_document("files/documents/web.yaml")
