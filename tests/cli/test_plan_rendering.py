"""How a plan reads: as text and as the comment on a pull request."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rich.text import Text

from reconciler.cli import plan_markdown, plan_text
from reconciler.cli.plan_groups import headline
from reconciler.engine.views import PlanView
from tests.cli import plans
from tests.cli.plans import assign, claim, nodes, plan

GOLDEN = Path(__file__).parent / "golden"


def text(view: PlanView, *, width: int = 80, brief: bool = False) -> str:
    return "".join(f"{line.plain}\n" for line in plan_text.render(view, width=width, brief=brief))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("everything.txt", text(plans.everything())),
        ("everything.brief.txt", text(plans.everything(), brief=True)),
        ("everything.md", plan_markdown.render(plans.everything())),
    ],
)
def test_one_of_everything(name: str, shown: str) -> None:
    assert shown == (GOLDEN / name).read_text()


def test_equal_changes_are_one_line_however_many_nodes() -> None:
    everywhere = nodes(*(f"web-{number}" for number in range(412)))
    shown = text(plan(assign("Association/base", everywhere, claim("path:/etc/motd", detail=("mode: 0644 -> 0640",)))))
    assert "  412 nodes: ~ /etc/motd  documents/base.yaml:10:5\n      mode: 0644 -> 0640\n" in shown
    assert "web-0, web-1, web-10, web-100, web-101, web-102, web-103, web-104 and 404 more" in shown


def test_a_template_that_comes_to_the_same_change_everywhere_is_shown_once() -> None:
    changes = [assign("Association/base", nodes(f"web-{n}"), plans.motd(f"web-{n}")) for n in range(30)]
    shown = text(plan(*changes))
    assert shown.count("+Questions? ops@example.com") == 1
    assert "  30 nodes: ~ /etc/motd" in shown


def test_a_template_that_comes_to_much_is_shown_in_part_and_says_so() -> None:
    changes = [
        assign("Association/base", nodes(f"web-{n}"), claim("path:/etc/motd", diff=f"@@ @@\n+welcome to web-{n}\n"))
        for n in range(30)
    ]
    shown = text(plan(*changes))
    assert shown.count("+welcome to web-") == plan_text.VARIANTS_SHOWN
    assert "27 more variants on other nodes; --format json has them all" in shown
    assert plan_markdown.render(plan(*changes)).count("+welcome to web-") == 30


def test_hundreds_of_changes_end_with_what_each_association_changes() -> None:
    changes = [
        assign(
            f"Association/a{number:03}",
            nodes("web-1", "web-2"),
            *(claim(f"path:/etc/{number}/{sign}", sign) for sign in "+~"),
        )
        for number in range(300)
    ]
    shown = text(plan(*changes)).splitlines()
    assert shown[-1] == "Plan: 600 to assign, on 2 nodes."
    assert shown[-3] == "Association/a299    2 nodes  +1     ~1"
    assert sum(row.startswith("Association/a000") for row in shown) == 2, "its section, and its line in the sum"


def test_a_narrow_terminal_gets_the_place_on_a_line_of_its_own() -> None:
    shown = text(plan(assign("Association/base", nodes("web-1"), claim("path:/etc/motd"))), width=40)
    assert "  1 node: ~ /etc/motd\n      documents/base.yaml:10:5\n" in shown


def test_offline_nodes_are_unknown_where_a_server_was_asked_and_all_are_where_none_was() -> None:
    change = assign("Association/base", nodes("db-1", "web-1"), claim("path:/etc/motd"), unknown=("db-1",))
    assert "unknown (not connected, told when back): db-1" in text(plan(change))
    assert "what every node is now is unknown" in text(plan(change, live=False))


def test_no_changes() -> None:
    assert text(plan()).endswith("\nNo changes. Every node was given what Git asks for.\n")
    assert text(plan(live=False)).endswith("\nNo changes. Both ask for the same.\n")


def test_what_errors_and_conflicts_keep_back_is_said_in_the_sum() -> None:
    view = plans.everything()
    said = "1 error and 1 conflict: what they concern stays as it is."
    assert headline(view) == f"Plan: 5 to assign, 2 to remove, 1 to describe anew, on 3 nodes. {said}"
    view["changes"] = []
    assert headline(view) == f"No changes. {said}"


def hostile(text: str) -> PlanView:
    """One of everything, with `text` in every string of it but those that the program reads."""

    def poison(value: object, key: str = "") -> object:
        if isinstance(value, dict):
            return {name: poison(part, name) for name, part in value.items()}
        if isinstance(value, list):
            return [poison(part, key) for part in value]
        return f"{value}{text}" if isinstance(value, str) and key not in ("format", "action", "sign") else value

    view: PlanView = json.loads(json.dumps(poison(plans.everything())))
    return view


def test_nothing_from_a_repository_reaches_the_terminal_as_it_is() -> None:
    lines = list(plan_text.render(hostile("\x1b[2J\x07\u202e\nPlan: nothing\r"), width=80))
    assert [line for line in lines if not line.plain.replace("\t", "").isprintable()] == []
    assert not any(line.plain.startswith("Plan: nothing") for line in lines), "no line is forged"
    assert all(isinstance(line, Text) for line in lines)


def test_no_text_leaves_its_place_in_a_comment() -> None:
    attack = "``` </code></summary></details>\n\n# Approved\n\n@everyone <img src=x> `@mary`\x1b[2J"
    shown = plan_markdown.render(hostile(attack))
    outside = _outside_of_code(shown)
    assert "Approved" not in outside
    assert "@" not in outside
    assert "<img" not in outside
    assert "\x1b" not in shown
    assert outside.count("<details>") == outside.count("</details>")


def _outside_of_code(markdown: str) -> str:
    """A comment without fenced blocks and code spans, as CommonMark finds them."""
    from markdown_it import MarkdownIt

    outside = []
    for token in MarkdownIt("commonmark").parse(markdown):
        if token.type == "inline":
            outside += [child.content for child in token.children or [] if child.type != "code_inline"]
        elif token.type == "html_block":
            outside.append(re.sub("<code>[^<]*</code>", "", token.content))
    return "\n".join(outside)


def test_a_comment_is_never_longer_than_a_forge_takes() -> None:
    changes = [
        assign("Association/base", nodes("web-1"), claim(f"path:/etc/{number}", diff="+x\n" * 200))
        for number in range(300)
    ]
    shown = plan_markdown.render(plan(*changes))
    assert len(shown) < 65_000
    assert shown.endswith("**The plan is longer than a comment may be; `opsctl plan` shows all of it.**\n")
    assert shown.count("<details>") == shown.count("</details>")
