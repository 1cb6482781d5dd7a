"""aws:softwareInventory: what is collected, by cases, and that what was cut off is collected again."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.contract.codec import from_wire
from agent.contract.inputs.inventory import SoftwareInventoryInputs
from agent.contract.inventory import Inventory, NotInventory, check, packed, unpacked
from agent.host.memory import MemoryHost
from agent.steps.inventory import files
from agent.steps.software_inventory import SoftwareInventoryStep
from agent.steps.step import Given, StepFailed
from tests.agent.steps.test_cases import made

CASES = yaml.safe_load((Path(__file__).parent / "collected" / "types.yaml").read_text())
STEP = SoftwareInventoryStep()


class Kept:
    """An agent that only keeps what is collected."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def collected(self, found: Sequence[Inventory]) -> None:
        for one in found:
            assert one.content is not None
            data = unpacked(base64.b64decode(one.content), one.content_hash)
            self.found[one.type_name] = json.loads(data)

    def refreshed(self, names: Sequence[str]) -> list[str]:
        return [f"refreshed {name}" for name in names]

    def upgrade_command(self) -> list[str]:
        return ["agent.pyz", "upgrade"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    kept = Kept()
    given = Given("web-1", {}, {}, {}, content=lambda _: b"", step="it", itself=kept)
    desired = from_wire(SoftwareInventoryInputs, case["inputs"])
    host = made(case, "memory", tmp_path)
    reason = ""
    try:
        said = STEP.apply(host, desired, STEP.changes(desired, STEP.observe(host, desired, given), given), given).output
    except StepFailed as error:
        reason, said = error.reason, error.output
    assert reason.startswith(case.get("reason", "")), reason
    assert bool(reason) == ("reason" in case)
    assert list(kept.found) == list(case["found"])
    for name, wanted in case["found"].items():
        assert len(kept.found[name]) == len(wanted)
        assert [told(item, one) for item, one in zip(kept.found[name], wanted)] == wanted
    assert all(f"{name}: collected" in said for name in case["found"])


def told(item: dict[str, str], wanted: dict[str, str]) -> dict[str, str]:
    return {name: item[name] for name in wanted}


@pytest.mark.parametrize(("recalled", "due"), [
    (None, True), (("started", "boot"), True), (("finished", 0, "Success"), False),
])  # fmt: skip
def test_a_collection_that_was_cut_off_is_made_again(recalled: Any, due: bool) -> None:
    given = Given("web-1", {}, {}, {}, content=lambda _: b"", step="it", recalled=recalled)
    desired = SoftwareInventoryInputs(applications="Enabled")
    changes = STEP.changes(desired, STEP.observe(MemoryHost(), desired, given), given)
    assert [change.diff for change in changes] == (["+ collect AWS:Application"] if due else [])


def test_one_file_more_than_ssm_takes_is_an_error() -> None:
    host = MemoryHost()
    host.mkdir("/srv", 0o755)
    for number in range(files.FILES + 1):
        path = f"/srv/{number}"
        host.stage(path, b"", 0o644)
        host.publish(path)
    text = '[{"Path": "/srv", "Pattern": ["%s"]}]'
    assert len(files.collect(host, text % "1*")) == 111
    with pytest.raises(StepFailed, match="more than 500 files"):
        files.collect(host, text % "*")


@pytest.mark.parametrize("content", [{}, [1], [{"": "x"}], [{"a" * 65: "x"}], [{"a": "x" * 4097}], [{"a": None}]])
def test_what_is_no_inventory(content: Any) -> None:
    with pytest.raises(NotInventory):
        check(content)


def test_a_type_has_an_end() -> None:
    noise = [{"a": secrets.token_hex(2000)} for _ in range(400)]
    with pytest.raises(NotInventory, match="at most"):
        packed("Custom:Noise", "1.0", "2026-01-01T00:00:00.000Z", noise)
    with pytest.raises(NotInventory, match="at most 10000 items"):
        packed("Custom:Many", "1.0", "2026-01-01T00:00:00.000Z", [{}] * 10_001)


def test_what_was_packed_is_what_is_unpacked_and_nothing_else_is() -> None:
    one = packed("AWS:File", "1.0", "2026-01-01T00:00:00.000Z", [{"Name": "é"}])
    squeezed = base64.b64decode(one.content or "")
    assert json.loads(unpacked(squeezed, one.content_hash)) == [{"Name": "é"}]
    for wrong in (squeezed[:-5], squeezed + b"x", b"", b"x"):
        with pytest.raises(NotInventory):
            unpacked(wrong, one.content_hash)
    with pytest.raises(NotInventory, match="its digest is not"):
        unpacked(squeezed, "sha256:" + "0" * 64)
