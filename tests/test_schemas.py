"""The published schemas: in step with the models, and taking what the reader takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from agent.contract.inputs import ACTIONS
from reconciler import schemas
from reconciler.capabilities.registry import KINDS
from reconciler.core.manifest import read, read_one, resolve
from reconciler.core.problem import Invalid
from reconciler.core.typed import check
from reconciler.documents.model import CommandDocument

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "schemas"
CASES = ROOT / "tests"
GENERATED = schemas.generate()


def published(path: str) -> Any:
    return json.loads((PUBLISHED / f"{path}.schema.json").read_bytes())


def takes(schema: Any, value: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


def test_they_are_what_the_models_say() -> None:
    """Write them with `make schemas`."""
    found = {path.relative_to(PUBLISHED).as_posix(): path.read_bytes() for path in PUBLISHED.rglob("*.schema.json")}
    assert sorted(found) == sorted(GENERATED)
    assert [path for path in found if found[path] != GENERATED[path]] == []


def test_writing_makes_a_directory_hold_exactly_them(tmp_path: Path) -> None:
    old = tmp_path / "kinds" / "old.schema.json"
    old.parent.mkdir()
    old.touch()
    schemas.write(tmp_path)
    written = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.schema.json")]
    assert sorted(written) == sorted(GENERATED)


@pytest.mark.parametrize("path", sorted(GENERATED))
def test_each_is_a_schema(path: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(GENERATED[path]))


def _resources() -> list[tuple[str, str, Any, bool]]:
    """Every resource of the spec cases that has one kind, as YAML 1.2 reads it; and whether the reader takes it."""
    found = []
    for case in yaml.safe_load((CASES / "capabilities" / "cases" / "specs.yaml").read_text()):
        try:
            manifests = read(case["text"].encode(), case["path"])
        except Invalid:  # what is no YAML has no value to compare
            continue
        for manifest in manifests:
            tree = manifest.tree
            kind = KINDS.get(str(tree.get("kind"))) if isinstance(tree, dict) else None
            if kind is not None:
                taken = not check(kind.envelope, tree, manifest.places)[1]
                found.append((f"{case['name']} {manifest.index}", kind.name.lower(), resolve(tree), taken))
    return found


BEYOND_SCHEMAS = {
    "fractions and huge numbers have no exact form 0",
    "fractions and huge numbers have no exact form 1",
    "a group that selects nothing, and members that are none 0",
    "what does not say how a node is reached 0",
    "a parameter's secret in the clear 0",
    "a parameter with a policy and no tier for it, and labels that are none 0",
    "a parameter with a policy and no tier for it, and labels that are none 1",
    "a parameter with a policy and no tier for it, and labels that are none 2",
}
"""Cases that only the reader refuses: what is wrong there is beyond types, patterns and ranges."""


@pytest.mark.parametrize(("name", "kind", "value", "taken"), _resources(), ids=lambda value: str(value)[:60])
def test_kinds_are_taken_as_the_reader_takes_them(name: str, kind: str, value: Any, taken: bool) -> None:
    assert takes(published(f"kinds/{kind}"), value) is (taken or name in BEYOND_SCHEMAS)


STEPS = [
    ("ops:file", "{path: /a, content: x}", True),
    ("ops:file", "{path: /a, content: 5, mode: 0644, template: true}", True),
    ("ops:file", "{path: /a, content: x, mode: '0o644'}", True),
    ("ops:file", "{path: /a, content: ~, source: files/a}", True),
    ("ops:file", "{path: /a, content: x, mode: rw}", False),
    ("ops:file", "{path: /a, content: x, template: yes}", False),
    ("ops:file", "{path: /a, content: x, template: 'true'}", False),
    ("ops:file", "{path: /a, content: x, state: gone}", False),
    ("ops:file", "{content: x}", False),
    ("ops:file", "{path: /a, contents: x}", False),
    ("ops:file", "{path: [/a]}", False),
    ("ops:service", "{name: nginx, state: started, enabled: false}", True),
    ("ops:service", "{name: nginx, state: running}", False),
    ("ops:service", "{name: nginx, state: 5}", False),
    ("ops:package", "{name: nginx}", True),
    ("ops:package", "{name: [nginx, vim], state: latest}", True),
    ("ops:package", "{name: {a: b}}", False),
    ("ops:user", "{name: alice, uid: 1000, system: TRUE}", True),
    ("ops:user", "{name: alice, uid: one}", False),
    ("ops:user", "{name: alice, groups: sudo}", False),
    ("aws:runShellScript", "{runCommand: ls, timeoutSeconds: '60'}", True),
    ("aws:runShellScript", "{runCommand: [ls], timeoutSeconds: 60}", True),
    ("aws:runShellScript", "{runCommand: [ls], timeoutSeconds: soon}", False),
]


@pytest.mark.parametrize(("action", "text", "taken"), STEPS)
def test_inputs_are_taken_as_the_reader_takes_them(action: str, text: str, taken: bool) -> None:
    manifest = read_one(text.encode(), "x.yaml")
    assert (not check(ACTIONS[action].inputs, manifest.tree, manifest.places)[1]) is taken
    assert takes(published(f"steps/{action.replace(':', '-')}"), resolve(manifest.tree)) is taken
    document = {
        "schemaVersion": "2.2",
        "mainSteps": [{"name": "a", "action": action, "inputs": resolve(manifest.tree)}],
    }
    assert takes(published("documents/command-2.2"), document) is taken


DOCUMENTS = [
    ("schemaVersion: 2.2\nmainSteps: [{name: a, action: 'x:y'}]", True),
    ("schemaVersion: '2.2'\nmainSteps: [{name: a, action: 'x:y', onFailure: exit, timeoutSeconds: '5'}]", True),
    ("schemaVersion: '2.2'\nparameters: {a: {type: String, default: 5}}\nmainSteps: [{name: a, action: b}]", True),
    ("schemaVersion: '2.2'\nparameters: {a: {type: Integer, default: '5'}}\nmainSteps: [{name: a, action: b}]", True),
    ("schemaVersion: '0.3'\nmainSteps: [{name: a, action: 'x:y'}]", False),
    ("schemaVersion: '2.2'\nmainSteps: []", False),
    ("schemaVersion: '2.2'\nmainSteps: [{name: a}]", False),
    ("schemaVersion: '2.2'\nmainSteps: [{name: a, action: b, onFailure: abort}]", False),
    ("schemaVersion: '2.2'\nparameters: {a: {type: Text}}\nmainSteps: [{name: a, action: b}]", False),
    ("schemaVersion: '2.2'\nparameters: {a: {type: Integer, default: x}}\nmainSteps: [{name: a, action: b}]", False),
    ("schemaVersion: '2.2'\nparameters: {1a: {type: String}}\nmainSteps: [{name: a, action: b}]", False),
    ("schemaVersion: '2.2'\nmainSteps: [{name: a, action: b, precondition: {NotEquals: [a, b]}}]", False),
    ("schemaVersion: '2.2'\nmainSteps: [{name: a, action: b, precondition: {StringEquals: [a]}}]", False),
]


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ("command-2.2", "command.yaml"),
        ("automation-0.3", "runbook.yaml"),
        ("session-1.0", "session.yaml"),
        ("session-1.0", "preferences.json"),
        ("package-2.0", "package.json"),
    ],
)
def test_documents_of_every_type_are_taken(schema: str, name: str) -> None:
    cases = yaml.safe_load((CASES / "documents" / "cases" / "mutated.yaml").read_text())
    value = resolve(read_one(cases["documents"][name].encode(), name).tree)
    assert takes(published(f"documents/{schema}"), value)
    assert not takes(published(f"documents/{schema}"), {**value, "strange": 1})


@pytest.mark.parametrize(("text", "taken"), DOCUMENTS)
def test_documents_are_taken_as_the_reader_takes_them(text: str, taken: bool) -> None:
    manifest = read_one(text.encode(), "x.yaml")
    assert (not check(CommandDocument, manifest.tree, manifest.places)[1]) is taken
    assert takes(published("documents/command-2.2"), resolve(manifest.tree)) is taken


def test_inputs_in_documents_may_be_put_together_from_parameters() -> None:
    schema = published("documents/command-2.2")
    inputs = {"path": "/a", "content": "x", "mode": "{{ mode }}", "template": "{{ flag }}", "onFailure": "exit"}
    document = {"schemaVersion": "2.2", "mainSteps": [{"name": "a", "action": "ops:file", "inputs": inputs}]}
    assert takes(schema, document)


def test_our_own_fields_are_marked() -> None:
    properties = published("kinds/association")["$defs"]["AssociationSpec"]["properties"]
    ours = {name for name, schema in properties.items() if schema.get("x-opsctl")}
    assert ours == {"document", "mode", "prune", "onRemove"}


def test_every_field_is_described() -> None:
    """Editors show what a field is for."""
    for path in [f"kinds/{name.lower()}" for name in KINDS] + ["documents/command-2.2"]:
        for name, definition in published(path)["$defs"].items():
            bare = [field for field, schema in definition["properties"].items() if not schema.get("description")]
            assert not [field for field in bare if field != "type"], f"{path}: {name}"


def test_the_wire_has_those_that_are_only_reserved_too() -> None:
    names = {path.name.removesuffix(".schema.json") for path in (PUBLISHED / "wire").iterdir()}
    assert {"hello", "assignment-set", "report", "body", "seals", "ticket", "key-rotation", "proof"} <= names
    assert takes(published("wire/ack"), {"seq": 1, "later": "ignored"})
