"""The metadata of a SOPS file: who can open it, what of it is encrypted, and what it authenticates with."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler.core.problem import Finding, Invalid

if TYPE_CHECKING:
    from reconciler.adapters.sops.sheet import Sheet

VERSION = "3.9.0"
"""The version of the format that new files claim: the oldest that reads all that is written here."""
DEFAULT_SUFFIX = "_unencrypted"
SELECTORS = (
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
)
FOREIGN = ("kms", "gcp_kms", "azure_kv", "hc_vault", "hckms")
"""Key services of clouds: kept as they are, and never asked here."""

_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})\Z"
)


@dataclass(frozen=True, slots=True)
class Recipient:
    """One key that a data key, or its share, is encrypted to. `kind` is `age` or `pgp`; `name` a recipient or
    fingerprint; `armoured` the encrypted share, empty before it is made."""

    kind: str
    name: str
    armoured: str = field(default="", repr=False)
    created_at: str = ""

    def __str__(self) -> str:
        return f"PGP {self.name}" if self.kind == "pgp" else self.name


@dataclass(frozen=True, slots=True)
class Group:
    """Keys of which any one opens the same share. `foreign` is what is kept for key services that are not asked."""

    recipients: tuple[Recipient, ...]
    foreign: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[tuple[str, str]]:
        """Its keys without what is encrypted to them."""
        return frozenset((recipient.kind, recipient.name) for recipient in self.recipients)


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of a file. `selector` is at most one of `SELECTORS` with its text."""

    groups: tuple[Group, ...]
    threshold: int = 0
    last_modified: str = ""
    mac: str = field(default="", repr=False)
    selector: tuple[str, str] = ("unencrypted_suffix", DEFAULT_SUFFIX)
    mac_only_encrypted: bool = False
    version: str = VERSION

    @property
    def needed(self) -> int:
        """How many groups have to open."""
        return (self.threshold or len(self.groups)) if len(self.groups) > 1 else 1

    @property
    def recipients(self) -> tuple[Recipient, ...]:
        """Those of all groups."""
        return tuple(recipient for group in self.groups for recipient in group.recipients)


def read(sheet: Sheet) -> Metadata:
    """The metadata of an encrypted file. Raises `Invalid` with every finding."""
    return _Reader(sheet).read()


def fields(metadata: Metadata) -> dict[str, Any]:
    """As it stands in files: mappings, lists, texts, integers, booleans."""
    written: dict[str, Any] = {
        "lastmodified": metadata.last_modified,
        "mac": metadata.mac,
        "version": metadata.version,
        metadata.selector[0]: metadata.selector[1],
    }
    if metadata.mac_only_encrypted:
        written["mac_only_encrypted"] = True
    if len(metadata.groups) == 1:
        return written | _group_fields(metadata.groups[0])
    return written | {
        "key_groups": [_group_fields(group) for group in metadata.groups],
        "shamir_threshold": metadata.needed,
    }


def _group_fields(group: Group) -> dict[str, Any]:
    age = [{"enc": each.armoured, "recipient": each.name} for each in group.recipients if each.kind == "age"]
    pgp = [
        {"created_at": each.created_at, "enc": each.armoured, "fp": each.name}
        for each in group.recipients
        if each.kind == "pgp"
    ]
    return {name: value for name, value in (("age", age), ("pgp", pgp), *group.foreign.items()) if value}


class _Reader:
    def __init__(self, sheet: Sheet) -> None:
        assert sheet.metadata is not None
        self._sheet = sheet
        self._fields = sheet.metadata
        self._findings: list[Finding] = []

    def read(self) -> Metadata:
        groups = self._groups()
        metadata = Metadata(
            groups,
            self._threshold(len(groups)),
            self._last_modified(),
            self._mac(),
            self._selector(),
            self._flag("mac_only_encrypted"),
            str(self._fields.get("version", "")),
        )
        if self._findings:
            raise Invalid(tuple(self._findings))
        return metadata

    def _groups(self) -> tuple[Group, ...]:
        direct = self._group(self._fields, "")
        listed = self._list(self._fields, "key_groups", "")
        if direct.recipients or direct.foreign or not listed:
            if not direct.recipients and not direct.foreign:
                self._finding("", "the file names nobody who could open it", "`age:` or `pgp:` with a recipient")
            return (direct,)
        return tuple(self._group(each, f"key_groups.{index}.") for index, each in enumerate(listed))

    def _group(self, value: dict[str, Any], prefix: str) -> Group:
        found = []
        for index, each in enumerate(self._list(value, "age", prefix)):
            where = f"{prefix}age.{index}."
            found.append(
                Recipient("age", self._text(each, "recipient", where, required=False), self._text(each, "enc", where))
            )
        for index, each in enumerate(self._list(value, "pgp", prefix)):
            where = f"{prefix}pgp.{index}."
            created = self._text(each, "created_at", where, required=False)
            found.append(Recipient("pgp", self._text(each, "fp", where), self._text(each, "enc", where), created))
        return Group(tuple(found), {name: value[name] for name in FOREIGN if value.get(name)})

    def _list(self, value: dict[str, Any], name: str, prefix: str) -> list[dict[str, Any]]:
        items = value.get(name)
        if not items or items == "null":
            return []
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            self._finding(f"{prefix}{name}", f"`{name}` is no list of mappings", "what SOPS wrote")
            return []
        return items

    def _text(self, value: dict[str, Any], name: str, prefix: str, *, required: bool = True) -> str:
        text = value.get(name)
        if isinstance(text, str) and (text or not required):
            return str(text)
        if text is not None or required:
            self._finding(prefix + name, f"`{name}` of a recipient is missing", "what SOPS wrote")
        return ""

    def _threshold(self, groups: int) -> int:
        text = str(self._fields.get("shamir_threshold") or "0")
        if groups < 2:
            return 0
        if text.isdecimal() and len(text) < 4 and int(text) <= groups:
            return int(text)
        self._finding("shamir_threshold", f"`shamir_threshold` is {text}", f"a number up to {groups}")
        return 0

    def _last_modified(self) -> str:
        text = str(self._fields.get("lastmodified", ""))
        found = _INSTANT.match(text)
        if found is None:
            self._finding("lastmodified", "`lastmodified` is no instant", "as 2026-01-02T15:04:05Z")
            return ""
        return found[1] + found[2].replace("+00:00", "Z")

    def _mac(self) -> str:
        mac = self._fields.get("mac")
        if isinstance(mac, str) and mac:
            return str(mac)
        self._finding("mac", "the file has no MAC: nothing says that it is as it was written", "`mac: ENC[...]`")
        return ""

    def _selector(self) -> tuple[str, str]:
        given = [(name, str(self._fields[name])) for name in SELECTORS if self._fields.get(name)]
        if len(given) > 1:
            names = " and ".join(f"`{name}`" for name, _ in given)
            self._finding(given[1][0], f"{names} exclude each other", "one of them")
        return given[0] if given else ("unencrypted_suffix", DEFAULT_SUFFIX)

    def _flag(self, name: str) -> bool:
        return str(self._fields.get(name, "false")).lower() == "true"

    def _finding(self, field_path: str, message: str, expected: str) -> None:
        sheet = self._sheet
        begin = sheet.blocks[0].cuts[0][0] if sheet.blocks else 0
        offset = sheet.places.get(field_path, begin)
        self._findings.append(Finding(message, sheet.text.place(offset), expected))
