"""Pages are in step with the code: generated parts, links, examples, and that nothing is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.capabilities.registry import KINDS
from reconciler.documents.actions import OF_COMMANDS
from tests.docs import examples
from tests.docs.pages import PAGES, ROOT, generated

DOCS = ROOT / "docs"
STEP_PARTS = (
    "## Example",
    "## What it claims",
    "## What a dry run shows",
    "## How drift is found",
    "## What prune does",
    "## When it fails",
)
WRITTEN = [*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?P<target>[^)\s]+)\)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_generated_parts_are_as_the_program_says(page: Path) -> None:
    """Write them with `make docs`."""
    assert page.read_text() == generated(page.read_text())


@pytest.mark.parametrize("page", [page for page in PAGES if examples.of(page.read_text())], ids=name_of)
def test_examples_are_valid(page: Path) -> None:
    assert examples.findings(page.read_text()) == []


def test_examples_that_are_wrong_would_be_found() -> None:
    page = "```yaml\n# documents/x.yaml\nschemaVersion: 2.2\nmainStep: []\n```\n"
    assert examples.findings(page) != []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_page_with_its_fields_and_an_example(kind: str) -> None:
    text = (DOCS / "kinds" / f"{kind.lower()}.md").read_text()
    assert text.startswith(f"# {kind}\n")
    assert f"<!-- generated: fields {kind.lower()} -->" in text
    assert any(f"\nkind: {kind}\n" in example for example in examples.of(text).values())


@pytest.mark.parametrize("action", OF_COMMANDS)
def test_every_step_has_a_page_with_all_that_is_to_be_known(action: str) -> None:
    text = (DOCS / "steps" / f"{action.replace(':', '-')}.md").read_text()
    assert text.startswith(f"# {action}\n")
    assert f"<!-- generated: inputs {action} -->" in text
    assert [part for part in STEP_PARTS if f"\n{part}\n" not in text] == []
    assert any(f"action: {action}\n" in example for example in examples.of(text).values())


def test_no_page_is_of_something_that_is_not_there() -> None:
    kinds = {path.stem for path in (DOCS / "kinds").iterdir()}
    steps = {path.stem for path in (DOCS / "steps").iterdir()}
    assert kinds == {kind.lower() for kind in KINDS}
    assert steps == {"custom", *(action.replace(":", "-") for action in OF_COMMANDS)}


def test_every_page_can_be_reached_from_the_first() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            waiting += [target for target, _ in links(page) if target.suffix == ".md"]
    assert [name_of(page) for page in WRITTEN if page not in reached] == []


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    broken = [
        f"{target}#{anchor}"
        for target, anchor in links(page)
        if not target.exists() or (anchor and anchor not in anchors(target.read_text()))
    ]
    assert broken == []


def links(page: Path) -> list[tuple[Path, str]]:
    """Files of the project that a page links to, each with the heading meant."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    text = re.sub(
        r"`[^`\n]+`", "", re.sub(r"\[`([^`\n]+)`\]", r"[\1]", text)
    )  # code holds no links, links may hold code
    found = []
    for link in _LINK.finditer(text):
        path, _, anchor = link["target"].partition("#")
        if "://" not in link["target"] and not link["target"].startswith("mailto:"):
            found.append(((page.parent / path).resolve() if path else page, anchor))
    return found


def anchors(text: str) -> set[str]:
    """What headings are called in links, as forges make it of them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_prose_is_wrapped(page: Path) -> None:
    """At 120 columns, but for tables, what programs print, and what is generated."""
    text = re.sub(r"<!-- generated.*?<!-- end -->", "", page.read_text(), flags=re.DOTALL)
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert [row for row in text.splitlines() if len(row) > 122 and not row.startswith("|")] == []
