"""Every secret of a repository looked at: MAC, recipients as the rules say, and secrets that nobody encrypted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from reconciler.adapters.sops import formats, metadata, opening, plain_secrets, rules
from reconciler.core.problem import Finding, Invalid, Place, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.adapters.sops.keyring import Keyring
    from reconciler.adapters.sops.metadata import Metadata
    from reconciler.adapters.sops.rules import Rule, Rules

Verdict: TypeAlias = Literal["verified", "unopened", "failed"]
_SUFFIXES = tuple(f".sops.{suffix}" for suffix in ("yaml", "yml", "json", "env", "ini"))
_MARKS = (b"AES256_GCM", b"sops")


@dataclass(frozen=True, slots=True)
class Verified:
    """One encrypted file, or one that should be. `recipients` are those that it names."""

    path: str
    verdict: Verdict
    recipients: tuple[str, ...]
    findings: tuple[Finding, ...]


def verify(files: Mapping[str, bytes], keys: Keyring | None) -> list[Verified]:
    """What is to be said of files, by path: all that are encrypted, and others only where something is wrong.

    Without keys nothing is opened: then the MAC is not looked at, and the verdict is at best `unopened`.
    """
    found: dict[str, Rules | Invalid] = {}
    for path, data in files.items():
        if path.rpartition("/")[2] == rules.FILE:
            try:
                found[path.rpartition("/")[0]] = rules.read(data, path)
            except Invalid as error:
                found[path.rpartition("/")[0]] = error
    verified = [_Check(path, data, _governing(path, found), keys).verified() for path, data in sorted(files.items())]
    return [each for each in verified if each is not None]


def is_encrypted(data: bytes) -> bool:
    """Whether a file has what every SOPS file has."""
    return all(mark in data for mark in _MARKS) and b"lastmodified" in data


def deviation(found: Metadata, wanted: Metadata) -> str:
    """How the recipients of a file differ from those of its rule; empty where they do not."""
    if len(found.groups) != len(wanted.groups):
        return f"it has {len(found.groups)} key groups, and the rule {len(wanted.groups)}"
    if found.needed != wanted.needed:
        return f"{found.needed} of its key groups are needed, and by the rule {wanted.needed}"
    parts = []
    for here, there in zip(found.groups, wanted.groups, strict=True):
        extra, missing = sorted(here.names - there.names), sorted(there.names - here.names)
        parts += [f"{name} can open it, which the rule does not name" for _, name in extra]
        parts += [f"{name} cannot open it, which the rule names" for _, name in missing]
    return "; ".join(parts)


def _governing(path: str, found: Mapping[str, Rules | Invalid]) -> Rules | Invalid | None:
    """The rules of the nearest folder above a file that has some."""
    folder = path
    while folder:
        folder = folder.rpartition("/")[0]
        if folder in found:
            return found[folder]
    return None


class _Check:
    def __init__(self, path: str, data: bytes, governing: Rules | Invalid | None, keys: Keyring | None) -> None:
        self._path = path
        self._data = data
        self._governing = governing
        self._keys = keys
        self._findings: list[Finding] = []
        self._recipients: tuple[str, ...] = ()

    def verified(self) -> Verified | None:
        """The verdict; None where the file is no business of ours."""
        if self._path.rpartition("/")[2] == rules.FILE:
            if isinstance(self._governing, Invalid):
                return self._said("failed", self._governing.findings)
            return None
        rule = self._governing.of(self._path) if isinstance(self._governing, rules.Rules) else None
        if not is_encrypted(self._data):
            return self._unencrypted(rule)
        try:
            return self._encrypted(rule)
        except Invalid as error:
            return self._said("failed", error.findings)
        except Refused as error:
            return self._said("unopened", (Finding(f"{error.what}: {error.remedy}", Place(self._path)),))

    def _unencrypted(self, rule: Rule | None) -> Verified | None:
        named = rule is not None and rule.pattern is not None
        if named or self._path.endswith(_SUFFIXES):
            why = (
                f"`.sops.yaml` line {rule.place.line} says that it is" if named and rule else "its name says that it is"
            )
            finding = Finding(f"the file is not encrypted, though {why}", Place(self._path), "an encrypted file")
            return self._said("failed", (finding,))
        found = tuple(plain_secrets.found(self._data, self._path))
        return self._said("failed", found) if found else None

    def _encrypted(self, rule: Rule | None) -> Verified:
        sheet = formats.read(self._data, self._path)
        if sheet.metadata is None:
            finding = Finding("the file is not encrypted", Place(self._path), "the metadata of SOPS")
            return self._said("failed", (finding,))
        found = metadata.read(sheet)
        self._recipients = tuple(str(recipient) for recipient in found.recipients)
        differs = deviation(found, rule.scheme) if rule is not None else ""
        findings = []
        if differs:
            begin = sheet.text.place(sheet.blocks[0].cuts[0][0])
            findings.append(Finding(differs, begin, "`opsctl secret updatekeys`"))
        if self._keys is not None:
            opening.open_file(self._data, self._path, self._keys)
        verdict: Verdict = "failed" if findings else "unopened" if self._keys is None else "verified"
        return self._said(verdict, tuple(findings))

    def _said(self, verdict: Verdict, findings: tuple[Finding, ...]) -> Verified:
        return Verified(self._path, verdict, self._recipients, findings)
