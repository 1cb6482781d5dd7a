"""`.sops.yaml`: its creation rules say to whom a file is encrypted, and what of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.adapters.sops.metadata import DEFAULT_SUFFIX, FOREIGN, SELECTORS, Group, Metadata, Recipient
from reconciler.adapters.sops.selection import UnknownExpression, expression
from reconciler.core.manifest import read_one
from reconciler.core.problem import Finding, Invalid, Place, nearest

if TYPE_CHECKING:
    from reconciler.adapters.sops.selection import Expression
    from reconciler.core.manifest import Loc, Places

FILE = ".sops.yaml"
RULES = "creation_rules"
_KNOWN = frozenset(
    {"path_regex", "age", "pgp", "key_groups", "shamir_threshold", "mac_only_encrypted", *SELECTORS, *FOREIGN}
    | {"aws_profile", "gcp_kms", "azure_keyvault", "hc_vault_transit_uri"}
)
_CLOUD = {"azure_keyvault": "azure_kv", "hc_vault_transit_uri": "hc_vault"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One creation rule. `pattern` is None where it is for every file; `scheme` what a new file gets."""

    pattern: Expression | None
    scheme: Metadata
    place: Place
    index: int


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one `.sops.yaml`, in order: the first whose pattern is found in a path decides."""

    rules: tuple[Rule, ...]
    folder: str = ""

    def of(self, path: str) -> Rule | None:
        """The rule for a file; `path` is relative to the repository, as the folder of `.sops.yaml` is."""
        relative = path.removeprefix(f"{self.folder}/") if self.folder else path
        return next((rule for rule in self.rules if rule.pattern is None or rule.pattern.search(relative)), None)


def read(data: bytes, path: str = FILE) -> Rules:
    """Read the rules. Raises `Invalid` with every finding."""
    reader = _Reader(data, path)
    rules = reader.rules()
    if reader.findings:
        raise Invalid(tuple(reader.findings))
    return Rules(rules, path.rpartition("/")[0])


def recipients(value: Any) -> tuple[str, ...]:
    """The keys of an `age` or `pgp` field: a list, or a text with commas."""
    texts = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(text.strip() for text in texts if isinstance(text, str) and text.strip())


class _Reader:
    def __init__(self, data: bytes, path: str) -> None:
        manifest = read_one(data, path)
        self.findings: list[Finding] = []
        self._tree = manifest.tree
        self._places: Places = manifest.places

    def rules(self) -> tuple[Rule, ...]:
        listed = self._tree.get(RULES) if isinstance(self._tree, dict) else None
        if not isinstance(listed, list):
            self._finding((), f"`{RULES}` is missing", f"`{RULES}:` with a list of rules")
            return ()
        return tuple(self._rule(index, rule) for index, rule in enumerate(listed) if self._is_mapping(index, rule))

    def _is_mapping(self, index: int, rule: object) -> bool:
        if not isinstance(rule, dict):
            self._finding((RULES, index), "a rule is no mapping", "`path_regex:` and keys")
        return isinstance(rule, dict)

    def _rule(self, index: int, rule: dict[str, Any]) -> Rule:
        loc: Loc = (RULES, index)
        for name in rule.keys() - _KNOWN:
            self._finding((*loc, name), f"unknown field `{name}`", near=nearest(name, _KNOWN), key=True)
        groups = tuple(self._group(each) for each in rule.get("key_groups") or () if isinstance(each, dict))
        groups = groups or (self._group(rule),)
        if not any(group.recipients or group.foreign for group in groups):
            self._finding(loc, "this rule names nobody", "`age:` or `pgp:` with a key")
        scheme = Metadata(
            groups,
            threshold=self._threshold(loc, rule, len(groups)),
            selector=self._selector(loc, rule),
            mac_only_encrypted=str(rule.get("mac_only_encrypted", "")).lower() == "true",
        )
        return Rule(self._pattern(loc, rule.get("path_regex")), scheme, self._places.of(loc), index)

    def _group(self, value: dict[str, Any]) -> Group:
        age = [Recipient("age", name) for name in recipients(value.get("age"))]
        pgp = [Recipient("pgp", name.replace(" ", "").upper()) for name in recipients(value.get("pgp"))]
        foreign = {_CLOUD.get(name, name): value[name] for name in (*FOREIGN, *_CLOUD) if value.get(name)}
        return Group((*age, *pgp), foreign)

    def _threshold(self, loc: Loc, rule: dict[str, Any], groups: int) -> int:
        text = str(rule.get("shamir_threshold") or 0)
        if text.isdecimal() and len(text) < 4 and int(text) <= groups:
            return int(text)
        self._finding((*loc, "shamir_threshold"), f"{text} of {groups} key groups", f"a number up to {groups}")
        return 0

    def _selector(self, loc: Loc, rule: dict[str, Any]) -> tuple[str, str]:
        given = [(name, str(rule[name])) for name in SELECTORS if rule.get(name)]
        if len(given) > 1:
            names = " and ".join(f"`{name}`" for name, _ in given)
            self._finding((*loc, given[1][0]), f"{names} exclude each other", "one of them", key=True)
        if given and given[0][0].endswith("regex"):
            self._pattern((*loc, given[0][0]), given[0][1])
        return given[0] if given else ("unencrypted_suffix", DEFAULT_SUFFIX)

    def _pattern(self, loc: Loc, text: object) -> Expression | None:
        if not isinstance(text, str) or not text:
            return None
        try:
            return expression(text)
        except UnknownExpression as error:
            self._finding((*loc, "path_regex"), str(error), "an expression that RE2 knows")
            return None

    def _finding(self, loc: Loc, message: str, expected: str = "", near: str = "", *, key: bool = False) -> None:
        self.findings.append(Finding(message, self._places.of(loc, key=key), expected, near))
