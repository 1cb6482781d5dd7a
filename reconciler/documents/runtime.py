"""Command documents of schemaVersion 1.2: plugins with lists of properties, read as the steps that they amount to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from reconciler.core.manifest import Plain
from reconciler.core.manifest.scalar import NULLS
from reconciler.core.problem import Finding, nearest
from reconciler.core.resource import Model
from reconciler.core.typed.words import is_what, path_text
from reconciler.documents import actions
from reconciler.documents.model import Parameter, ParameterName, Step
from reconciler.documents.steps import Written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.core.manifest import Loc, Places, Tree


class RuntimeDocument(Model):
    """A whole document: parameters, and plugins that run in the order written."""

    schema_version: Literal["1.2"]
    """`"1.2"`."""
    description: str | None = ""
    """For people."""
    parameters: dict[ParameterName, Parameter] = Field(default_factory=dict)
    """What may (or, without a default, must) be given."""
    runtime_config: Any = Field(json_schema_extra={"x-subtree": True, "x-expected": "a mapping of plugins"})
    """Plugins by name, each with its `properties`."""


class _Properties(NamedTuple):
    """One set of properties of a plugin, and where it is."""

    tree: Tree
    loc: Loc


def written_steps(plugins: Tree, places: Places) -> tuple[list[Written], list[Finding]]:
    """One step for each set of properties, and what is wrong about how they are written."""
    loc: Loc = ("runtimeConfig",)
    if not isinstance(plugins, dict) or not plugins:
        what = "is empty" if plugins == {} else is_what(plugins)
        expected = "a mapping of plugins, as `aws:runShellScript`"
        return [], [Finding(f"`runtimeConfig` {what}", places.of(loc), expected)]
    steps: list[Written] = []
    findings: list[Finding] = []
    for plugin, config in plugins.items():
        known = actions.unknown(plugin) is None
        sets, found = _sets(config, (*loc, plugin), places) if known else ([_Properties({}, (*loc, plugin))], [])
        findings += found
        for one in sets:
            step = Step.model_construct(
                name=_name(plugin, one, len(sets)), action=plugin, inputs=_inputs(one), precondition=None
            )
            steps.append(Written(step, (*loc, plugin), one.loc, action_is_key=True))
    return steps, findings


def _sets(config: Tree, loc: Loc, places: Places) -> tuple[list[_Properties], list[Finding]]:
    if not isinstance(config, dict):
        return [], [Finding(f"{path_text(loc)} {is_what(config)}", places.of(loc), "a mapping with `properties`")]
    findings = list(_strange_fields(config, loc, places))
    key = next((key for key in config if key.casefold() == "properties"), None)
    if key is None:
        return [] if findings else [_Properties({}, loc)], findings
    if key != "properties":
        where = (*loc, key)
        findings.append(
            Finding(
                f"{path_text(where)} is not how SSM writes it",
                places.of(where, key=True),
                "`properties`",
                severity="warning",
            )
        )
    properties = config[key]
    if isinstance(properties, list):
        return [_Properties(item, (*loc, key, at)) for at, item in enumerate(properties)], findings
    return [_Properties(properties, (*loc, key))], findings


_FIELDS = ("description", "properties", "settings")


def _strange_fields(config: dict[str, Any], loc: Loc, places: Places) -> Iterator[Finding]:
    for key in config:
        if key.casefold() not in _FIELDS:
            where = (*loc, key)
            message = f"unknown field {path_text(where)}"
            expected = "`description`, `properties` or `settings`"
            yield Finding(message, places.of(where, key=True), expected, nearest(key, _FIELDS))


def _name(plugin: str, properties: _Properties, sets: int) -> str:
    """What reports call the step: the plugin, or its set's `id` where there are several."""
    if sets == 1:
        return plugin
    given = properties.tree.get("id") if isinstance(properties.tree, dict) else None
    return str(given) if isinstance(given, str) and given else f"{properties.loc[-1]}.{plugin}"


def _inputs(properties: _Properties) -> Tree:
    """The inputs of a set of properties. A text in the place of them all is given to the plugin whole."""
    tree = properties.tree
    if isinstance(tree, Plain) and tree in NULLS:
        return {}
    return {"properties": tree} if isinstance(tree, str) and isinstance(properties.loc[-1], str) else tree
