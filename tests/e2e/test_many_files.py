"""Ten thousand managed files on one node."""

from __future__ import annotations

import pytest

from tests.e2e import config
from tests.e2e.conftest import Set
from tests.e2e.scene import Scene

FILES, ASSOCIATIONS = 10_000, 10

pytestmark = pytest.mark.fault


def path(number: int) -> str:
    return f"/srv/{number % ASSOCIATIONS}/{number}"


def many() -> dict[str, str]:
    found: dict[str, str] = {}
    for part in range(ASSOCIATIONS):
        files = [config.file(path(number), f"{number}\n") for number in range(part, FILES, ASSOCIATIONS)]
        folder = {"action": "ops:directory", "inputs": {"path": f"/srv/{part}"}}
        found |= {**config.association(f"many{part}", ["*"]), **config.document(f"many{part}", folder, *files)}
    return found


@pytest.fixture(scope="module")
def scene(set_scene: Set) -> Scene:
    scene = set_scene({**config.fleet(agent={"interval": 3600}), **config.node("web-1"), **many()})
    scene.join("web-1")
    return scene


def test_all_are_made_and_one_that_drifts_is_found_among_them(scene: Scene) -> None:
    web, last = scene["web-1"], FILES - 1
    scene.wait("them to be made", lambda: _all_compliant(scene), timeout=120)
    assert len(list((web.root / "srv").glob("*/*"))) == FILES
    assert [web.read(path(number)) for number in (0, last)] == ["0\n", f"{last}\n"]
    web.write(path(last), "by hand\n")
    scene.wait_for_file("web-1", path(last), f"{last}\n")


def _all_compliant(scene: Scene) -> bool:
    rows = scene.node("web-1")["assignments"]
    return len(rows) == ASSOCIATIONS and all(row["compliance"] == "COMPLIANT" for row in rows)
