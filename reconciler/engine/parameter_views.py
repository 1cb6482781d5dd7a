"""What people and programs are shown of parameters: SSM's words for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from agent.contract.canonical import instant
from reconciler.core.parameters import SECURE, Selector, absolute
from reconciler.core.problem import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.core.parameters import Parameter, Stored, Version
    from reconciler.core.ports import Unseal
    from reconciler.engine.parameters import Collected

View: TypeAlias = dict[str, Any]
"""As JSON has it: a parameter in the words of SSM's GetParameter and GetParameterHistory."""


class Book:
    """The parameters of one commit as they are shown. `unseal` opens secrets where a call asks for them open."""

    def __init__(self, collected: Collected, stored: Stored, unseal: Unseal | None = None) -> None:
        self._collected, self._stored, self._unseal = collected, stored, unseal

    def one(self, name: str, *, decrypt: bool) -> View:
        """One version of a parameter, as `name`, `name:version` or `name:label` says. Raises `Refused` for none."""
        selector = Selector.parse(name)
        found = self._stored.version(selector)
        if found is None:
            raise self._missing(selector)
        view = self._view(found, decrypt=decrypt)
        return {**view, "Selector": f":{selector.version}"} if selector.version else view

    def below(self, path: str, *, recursive: bool, decrypt: bool) -> list[View]:
        """Those below a level of the hierarchy, ordered by name."""
        found = self._stored.below(path, recursive=recursive)
        return [self._view(self._newest(parameter), decrypt=decrypt) for parameter in found]

    def history(self, name: str, *, decrypt: bool) -> list[View]:
        """Every version of a parameter, oldest first. Raises `Refused` where there is no such parameter."""
        selector = Selector(absolute(name))
        versions = self._stored.versions(selector.name)
        if not versions:
            raise self._missing(selector)
        return [self._view(version, decrypt=decrypt) for version in versions]

    def _newest(self, parameter: Parameter) -> Version:
        return self._stored.versions(parameter.name)[-1]

    def _view(self, version: Version, *, decrypt: bool) -> View:
        parameter, spec = version.parameter, self._collected.spec(version.parameter.name)
        labels = sorted(
            label for label, number in self._stored.labels(parameter.name).items() if number == version.number
        )
        view: View = {
            "Name": parameter.name,
            "Type": parameter.type,
            "Value": self._value(parameter, decrypt=decrypt),
            "Version": version.number,
            "LastModifiedDate": instant(version.at) if version.at else None,
            "LastModifiedUser": version.author,
            "DataType": spec.data_type if spec else "text",
            "Tier": spec.tier if spec else "Standard",
            "Labels": labels,
            "Commit": version.commit,
            "File": parameter.path,
        }
        return {**view, **(_said(spec) if spec else {})}

    def _value(self, parameter: Parameter, *, decrypt: bool) -> str:
        if parameter.type != SECURE or not decrypt:
            return parameter.value
        if self._unseal is None:
            raise Refused(f"{parameter.name} is encrypted, and there are no keys here")
        return self._unseal(parameter).text()

    def _missing(self, selector: Selector) -> Refused:
        near = self._stored.nearest(selector)
        remedy = f"did you mean {near}?" if near else "`opsctl param list` shows those there are"
        return Refused(f"there is no parameter {selector}", "parameter", remedy)


def described(views: Iterable[View]) -> list[View]:
    """Without values."""
    return [{key: value for key, value in view.items() if key != "Value"} for view in views]


def matching(views: Iterable[View], text: str) -> list[View]:
    """Those that have a text in their name, their description, or a value that is no secret; letter case aside."""
    wanted = text.casefold()
    return [view for view in views if any(wanted in said.casefold() for said in _searched(view))]


def _searched(view: View) -> list[str]:
    return [view["Name"], view.get("Description", ""), "" if view["Type"] == SECURE else view["Value"]]


def _said(spec: Any) -> View:
    found: Iterator[tuple[str, Any]] = iter(
        (
            ("Description", spec.description),
            ("AllowedPattern", spec.allowed_pattern),
            ("Tags", dict(spec.tags)),
            ("Policies", [policy.model_dump(by_alias=True) for policy in spec.policies]),
        )
    )
    return {name: value for name, value in found if value}
