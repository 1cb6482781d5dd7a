"""Typed loading, by cases, over models of every construct and the contract's own dataclasses."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, field_validator, model_validator
from pydantic.alias_generators import to_camel

from agent.contract.codec import to_wire
from agent.contract.inputs import ACTIONS
from reconciler.core import manifest, typed
from reconciler.core.problem import Invalid
from tests.core.cases import as_written, cases


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Texts(Strict):
    one: str
    many: tuple[str, ...] = ()
    map: dict[str, str] = Field(default_factory=dict)
    optional: str | None = None


class Numbers(Strict):
    flags: list[bool] = Field(default_factory=list)
    wholes: list[int] = Field(default_factory=list)
    reals: list[float] = Field(default_factory=list)
    small: int = Field(0, ge=0, le=10)
    quoted: int = Field(default=0, json_schema_extra={"x-quoted": True})


class Modes(Strict):
    modes: list[typed.OctalMode]
    mode: typed.OctalMode | None = None


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")

    any: Any


class Union(Strict):
    port: int | str
    all: Literal["*"] | list[str]
    flag: bool | str = False


class Rule(Strict):
    name: Annotated[str, Field(pattern="^[a-z]+$")]
    severity: Literal["LOW", "MEDIUM", "HIGH"] = "LOW"
    tags: typed.StringOrList = Field(default_factory=list)
    inner: Rule | None = None


class Spec(Strict):
    max_errors: str = "0"
    rules: list[Rule] = Field(default_factory=list)


class Wait(Strict):
    action: Literal["wait"]
    seconds: int = Field(ge=0)


class Say(Strict):
    action: Literal["say"]
    text: str


class Circle(Strict):
    radius: int


class Box(Strict):
    width: int = Field(gt=0)
    height: int = Field(gt=0)


@dataclasses.dataclass(frozen=True)
class Target:
    key: str
    values: tuple[str, ...]


def _target(value: Any) -> Any:
    if not isinstance(value, str):
        return {"key": value["key"], "values": value["values"]}
    key, _, values = value.partition("=")
    return {"key": key, "values": [values]}


class Checked(Strict):
    at: int
    start: int = Field(0, alias="from")
    to: int = 24

    @field_validator("at")
    @classmethod
    def _hour(cls, value: int) -> int:
        if value > 24:
            raise ValueError("no hour has this number")
        return value

    @model_validator(mode="after")
    def _order(self) -> Checked:
        if self.to < self.start:
            expected = f"at least {self.start}"
            raise typed.Wrong("ends before it begins", expected=expected, nearest="from", at=("to",))
        if self.at == self.start:
            raise ValueError("from and at are the same")
        return self


class Bounded(Strict):
    few: list[str] = Field(min_length=1)
    short: str = Field(max_length=3)
    low: int = Field(gt=0)
    keys: dict[Annotated[str, Field(pattern="^[a-z]+$")], int]


class Expected(Strict):
    when: str = Field(json_schema_extra={"x-expected": "rate(...) or cron(...)"})
    name: str = Field(pattern="^[a-z]+$", json_schema_extra={"x-expected": "lower-case letters"})


TYPES: dict[str, Any] = {
    model.__name__: model for model in (Texts, Numbers, Modes, Loose, Union, Rule, Spec, Checked, Bounded, Expected)
} | {
    "Steps": list[Annotated[Wait | Say, Field(discriminator="action")]],
    "Shapes": list[Circle | Box],
    "Targets": list[Annotated[Target, BeforeValidator(_target, json_schema_input_type=str | Target)]],
    **{name: action.inputs for name, action in ACTIONS.items()},
}


@pytest.mark.parametrize("case", cases("typed"), ids=lambda case: case["name"])
def test_typed(case: dict[str, Any]) -> None:
    cls = TYPES[case["type"]]
    document = manifest.read_one(case["text"].encode(), case.get("path", "a.yaml"))
    if "value" in case:
        value = typed.load(cls, document.tree, document.places)
        assert _as_json(cls, value) == case["value"]
        return
    instance, findings = typed.check(cls, document.tree, document.places)
    assert instance is None
    assert [as_written(finding) for finding in findings] == case["findings"]
    with pytest.raises(Invalid) as caught:
        typed.load(cls, document.tree, document.places)
    assert caught.value.findings == findings


def _as_json(cls: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_wire(value)
    return TypeAdapter(cls).dump_python(value, mode="json", by_alias=True, exclude_defaults=True)


def test_a_validator_that_stumbles_over_good_input_is_a_fault_of_ours() -> None:
    def stumble(value: str) -> str:
        raise KeyError(value)

    class Stumbling(Strict):
        name: Annotated[str, BeforeValidator(stumble)]

    document = manifest.read_one(b"name: x", "a.yaml")
    with pytest.raises(KeyError):
        typed.load(Stumbling, document.tree, document.places)


def test_a_subtree_is_loaded_later_with_places_of_its_document() -> None:
    class Step(Strict):
        action: str
        inputs: typed.Subtree

    document = manifest.read_one(b"action: ops:file\ninputs:\n  path: no\n  mode: x\n", "a.yaml")
    step = typed.load(Step, document.tree, document.places)
    assert step.inputs == {"path": "no", "mode": "x"}
    assert isinstance(step.inputs["path"], manifest.Plain)
    _, findings = typed.check(ACTIONS[step.action].inputs, step.inputs, document.places, ("inputs",))
    assert [as_written(finding) for finding in findings] == [
        {
            "message": "`inputs.mode` is `x`",
            "line": 4,
            "column": 9,
            "expected": "an octal mode of 3 or 4 digits, as 0644",
        }
    ]


def test_pydantic_complaints_in_a_subtree_have_their_place() -> None:
    document = manifest.read_one(b"outer:\n  - small: 11\n", "a.yaml")
    tree: Any = document.tree
    _, findings = typed.check(Numbers, tree["outer"][0], document.places, ("outer", 0))
    assert [str(finding) for finding in findings] == [
        "a.yaml:2:12: error: `outer[0].small` is `11`; expected at most 10"
    ]


def test_values_that_interpolation_put_in() -> None:
    document = manifest.read_one(b"{}", "a.yaml")
    tree = {"one": 5, "many": [True, False, -1], "map": {"a": "no"}, "optional": None}
    texts = typed.load(Texts, tree, document.places)
    assert texts == Texts(one="5", many=("true", "false", "-1"), map={"a": "no"}, optional=None)
    numbers: Any = {"flags": [True], "wholes": [1], "reals": [1, 1.5], "small": 3}
    assert typed.load(Numbers, numbers, document.places) == Numbers(flags=[True], wholes=[1], reals=[1, 1.5], small=3)
    wrong: Any = {"flags": [1], "wholes": [True, 1.5, None]}
    _, findings = typed.check(Numbers, wrong, document.places)
    assert [(finding.message, finding.expected) for finding in findings] == [
        ("`flags[0]` is `1`", "true or false"),
        ("`wholes[0]` is `true`", "a whole decimal number"),
        ("`wholes[1]` is `1.5`", "a whole decimal number"),
        ("`wholes[2]` has no value", "a whole decimal number"),
    ]


def test_no_plain_text_is_left_in_an_instance() -> None:
    document = manifest.read_one(b"{one: a, many: [b], map: {c: d}, optional: e}", "a.yaml")
    texts = typed.load(Texts, document.tree, document.places)
    (key, value), *_ = texts.map.items()
    assert {type(text) for text in (texts.one, *texts.many, key, value, texts.optional)} == {str}


def test_places_are_not_sought_where_nothing_is_wrong() -> None:
    class Unasked(manifest.Places):
        def of(self, loc: manifest.Loc = (), *, key: bool = False) -> Any:
            raise AssertionError("asked for a place")

    document = manifest.read_one(b"one: a", "a.yaml")
    typed.load(Texts, document.tree, Unasked(b"", "a.yaml"))
