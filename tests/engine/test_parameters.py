"""Parameters in a repository's history: what refers to them, what is broken, what stays at its last good."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from reconciler.core.parameters import Selector
from reconciler.engine.validate import validate
from tests.engine.repository import FLEET, Told, association

if TYPE_CHECKING:
    from reconciler.engine.catalog import Catalog

MOTD = """\
schemaVersion: "2.2"
mainSteps:
- name: motd
  action: ops:file
  inputs: {path: /etc/motd, content: "{{ ssm:/prod/motd }}"}
"""


def described(name: str, **spec: str) -> str:
    more = "".join(f"  {key}: {value}\n" for key, value in spec.items())
    return f"apiVersion: ops/v1\nkind: Parameter\nmetadata: {{name: {name}}}\nspec:\n  name: /{name}\n{more}"


@pytest.fixture
def told() -> Told:
    """A fleet with one association that shows `/prod/motd`, which is `hello`."""
    told = Told()
    files = {
        "fleet": FLEET,
        "documents__motd": MOTD,
        "associations__base": association("base"),
        "parameters__prod": "prod: {motd: hello}\n",
    }
    catalog = told.load(told.commit(**files))
    assert not catalog.conditions
    return told


def text_of(catalog: Catalog) -> str:
    inputs: dict[str, str] = json.loads(catalog.compiled["Association/base"].body)["steps"][0]["inputs"]
    return inputs["content"]


def said(catalog: Catalog) -> dict[str, str]:
    return {condition.uid: condition.message for condition in catalog.conditions}


def test_a_reference_becomes_the_value_and_its_file_part_of_the_closure(told: Told) -> None:
    catalog = told.catalog
    assert catalog is not None
    assert text_of(catalog) == "hello"
    assert catalog.depends["parameters/prod.yaml"] == {"Association/base"}


def test_a_change_of_the_value_is_a_change_of_the_body(told: Told) -> None:
    before = told.catalog
    assert before is not None
    after = told.load(told.commit(parameters__prod="prod: {motd: bye, other: x}\n"))
    assert text_of(after) == "bye"
    resource = "Association/base"
    assert after.resources[resource].fingerprint != before.resources[resource].fingerprint
    same = told.load(told.commit(parameters__prod="prod: {motd: bye, other: y}\n"))
    assert same.compiled[resource] is after.compiled[resource]


def test_a_value_may_move_to_another_file(told: Told) -> None:
    commit = told.edit({"parameters/prod.yaml": None, "parameters/eu/all.yaml": "/prod/motd: hello\n"})
    catalog = told.load(commit)
    assert not catalog.conditions
    assert catalog.depends["parameters/eu/all.yaml"] == {"Association/base"}


def test_what_is_not_there_is_an_error_where_it_is_referred_to(told: Told) -> None:
    catalog = told.load(told.commit(parameters__prod="prod: {modt: hello}\n"))
    (condition,) = catalog.conditions
    assert (condition.uid, condition.reason) == ("Association/base", "Invalid")
    (finding,) = condition.findings
    assert str(finding) == (
        "documents/motd.yaml:5:38: error: there is no parameter `/prod/motd`; "
        "expected one that a file in parameters/ declares; did you mean '/prod/modt'?"
    )
    assert text_of(catalog) == "hello"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [("prod: {motd: , other: x}\n", "Invalid"), ("prod: [\n", "Unreadable")],
    ids=["a value is wrong", "the file cannot be read"],
)
def test_a_broken_file_holds_what_it_declares(told: Told, broken: str, reason: str) -> None:
    catalog = told.load(told.commit(parameters__prod=broken, parameters__other="x: new\n"))
    assert text_of(catalog) == "hello"
    assert {condition.uid: condition.reason for condition in catalog.conditions if "x" not in condition.reason} in (
        {"ParameterFile/parameters/prod.yaml": reason, "Association/base": "ParameterInvalid"},
        {
            "parameters/prod.yaml": reason,
            "ParameterFile/parameters/prod.yaml": reason,
            "Association/base": "ParameterInvalid",
        },
    )
    stored = catalog.stored(told.source)
    values = {name: found.value for name in ("/prod/motd", "/x") if (found := stored.find(Selector(name)))}
    assert values == {"/prod/motd": "hello", "/x": "new"}
    mended = told.load(told.commit(parameters__prod="prod: {motd: bye}\n"))
    assert text_of(mended) == "bye"
    assert not mended.conditions


def test_a_name_that_two_files_declare_is_wrong_in_both(told: Told) -> None:
    catalog = told.load(told.commit(parameters__again="/prod/motd: other\n"))
    assert text_of(catalog) == "hello"
    findings = {str(finding) for condition in catalog.conditions for finding in condition.findings}
    message = "error: the parameter `/prod/motd` is declared already; expected each name once; see also"
    assert findings == {
        f"parameters/prod.yaml:1:14: {message} parameters/again.yaml:1:13",
        f"parameters/again.yaml:1:13: {message} parameters/prod.yaml:1:14",
    }


def test_an_old_version_is_referred_to_by_number_and_label(told: Told) -> None:
    told.load(told.commit(parameters__prod="prod: {motd: second}\n"))
    told.load(told.commit(documents__motd=MOTD.replace("/prod/motd", "/prod/motd:1")))
    assert told.catalog is not None
    assert text_of(told.catalog) == "hello"
    label = (
        "apiVersion: ops/v1\nkind: Parameter\nmetadata: {name: motd}\nspec: {name: /prod/motd, labels: {live: %d}}\n"
    )
    told.load(told.commit(documents__motd=MOTD.replace("/prod/motd", "/prod/motd:live"), parameters__labels=label % 2))
    assert text_of(told.catalog) == "second"
    moved = told.load(told.commit(parameters__labels=label % 1))
    assert text_of(moved) == "hello"
    gone = told.load(told.commit(parameters__labels=label % 7))
    assert "there is no parameter `/prod/motd:live`" in said(gone)["Association/base"]


def test_what_is_said_of_a_parameter_binds_its_value(told: Told) -> None:
    pattern = described("prod/motd", allowedPattern='"^[a-z]+$"').replace("name: prod/motd}", "name: motd}")
    told.load(told.commit(parameters__said=pattern))
    assert told.catalog is not None
    assert not told.catalog.conditions
    catalog = told.load(told.commit(parameters__prod="prod: {motd: HELLO}\n"))
    assert text_of(catalog) == "hello"
    assert sorted(said(catalog)) == ["Association/base", "Parameter/motd", "ParameterFile/parameters/prod.yaml"]
    (finding,) = {finding for condition in catalog.conditions for finding in condition.findings}
    assert str(finding) == (
        "parameters/prod.yaml:1:14: error: `/prod/motd` does not match its allowedPattern; "
        "expected text that matches `^[a-z]+$`; see also parameters/said.yaml:5:9"
    )


def test_a_resource_gives_a_value_or_needs_one(told: Told) -> None:
    whole = described("x", value="[a, b]", tags="{team: web}")
    catalog = told.load(told.commit(parameters__x=whole, parameters__y=described("y")))
    found = catalog.stored(told.source).find(Selector("/x"))
    assert found is not None
    assert (found.type, found.value) == ("StringList", "a,b")
    (condition,) = catalog.conditions
    assert condition.uid == "Parameter/y"
    assert "nothing gives `/y` a value" in condition.message


def test_a_long_value_needs_an_advanced_tier(told: Told) -> None:
    long = "x" * 5000
    catalog = told.load(told.commit(parameters__long=f"long: {long}\n"))
    assert "`/long` has 5000 characters" in said(catalog)["ParameterFile/parameters/long.yaml"]
    catalog = told.load(told.commit(parameters__said=described("long", tier="Advanced")))
    assert not catalog.conditions


def test_validate_checks_references_and_takes_any_version_for_the_newest() -> None:
    files = {
        "fleet.yaml": FLEET,
        "documents/motd.yaml": MOTD.replace("/prod/motd", "/prod/motd:7"),
        "associations/base.yaml": association("base"),
        "parameters/prod.yaml": "prod: {motd: hello}\n",
    }
    told = {path: text.encode() for path, text in files.items()}
    errors = [finding for finding in validate(told) if finding.severity == "error"]
    assert not errors
    found = validate(told | {"parameters/prod.yaml": b"prod: {other: hello}\n"})
    assert any("there is no parameter `/prod/motd:7`" in finding.message for finding in found)
