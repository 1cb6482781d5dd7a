"""Steps of the repository's own, from their folders to what nodes are given, by cases; and changes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.contract.codec import to_wire
from reconciler.core.ports import EXECUTABLE, LINK, PLAIN, Entry
from reconciler.engine.validate import validate
from tests.engine.repository import FLEET, Told, association

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "custom.yaml").read_text())


def files_of(case: dict[str, Any]) -> dict[str, str]:
    given = "".join(f"    {name}: {values}\n" for name, values in case.get("parameters", {}).items())
    asked = association("a", "x") + (f"  parameters:\n{given}" if given else "")
    return {"fleet.yaml": FLEET, "documents/x.yaml": case["document"], "associations/a.yaml": asked, **case["files"]}


@pytest.mark.parametrize("case", [case for case in CASES if "findings" in case], ids=lambda case: case["name"])
def test_what_is_wrong(case: dict[str, Any]) -> None:
    links = {path: target.encode() for path, target in case.get("links", {}).items()}
    others = [Entry(path, path, LINK, len(target)) for path, target in links.items()]
    files = {path: text.encode() for path, text in files_of(case).items()}
    found = validate(files, others, executable=case.get("executable", ()), links=links)
    told = [str(finding) for finding in found if "matches none of the declared nodes" not in finding.message]
    assert sorted(told) == sorted(case["findings"])


@pytest.mark.parametrize("case", [case for case in CASES if "steps" in case], ids=lambda case: case["name"])
def test_what_nodes_are_given(case: dict[str, Any]) -> None:
    told, files = Told(), {**files_of(case), **case.get("links", {})}
    modes = {**dict.fromkeys(case["executable"], EXECUTABLE), **dict.fromkeys(case.get("links", {}), LINK)}
    catalog = told.load(told.edit(dict(files), modes))
    assert [condition for condition in catalog.conditions if condition.findings] == []
    compiled = catalog.compiled["Association/a"]
    assert compiled.content["steps"] == case["steps"]
    assert sorted(str(placed.claim) for placed in compiled.claims) == case["claims"]
    assert sorted(compiled.content["files"]) == sorted(compiled.files) == case["sent"]
    assert {file.ref.digest for file in compiled.files.values()} == {
        ref["digest"] for ref in compiled.content["files"].values()
    }
    assert to_wire(compiled.content) == compiled.content


def test_any_file_of_the_folder_makes_another_body_and_a_broken_manifest_the_last_good_one() -> None:
    case, told = CASES[0], Told()
    files = files_of(case)
    modes = dict.fromkeys(case["executable"], EXECUTABLE)
    before = told.load(told.edit(dict(files), modes)).compiled["Association/a"].body_digest
    assert told.load(told.edit({"steps/other/README": "x"})).compiled["Association/a"].body_digest == before
    more = told.load(told.edit({"steps/swap/more": "x"})).compiled["Association/a"]
    assert (more.body_digest != before, "steps/swap/more" in more.closure) == (True, True)
    may_run = told.load(told.edit({"steps/swap/more": "x"}, {"steps/swap/more": EXECUTABLE})).compiled["Association/a"]
    assert may_run.body_digest != more.body_digest
    broken = told.load(told.edit({"steps/swap/step.yaml": "schema: 5\n"}))
    assert broken.compiled["Association/a"].body_digest == may_run.body_digest
    assert {condition.uid for condition in broken.conditions} == {"Association/a", "Step/swap"}
    not_run = told.load(
        told.edit({"steps/swap/step.yaml": files["steps/swap/step.yaml"]}, {case["executable"][0]: PLAIN})
    )
    assert not_run.compiled["Association/a"].files.keys() == may_run.files.keys()
