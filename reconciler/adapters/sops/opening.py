"""Opening a file: its values, each checked to be what was written, where it was written."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reconciler.adapters.sops import formats, metadata, selection, token
from reconciler.adapters.sops.values import Kind, Value
from reconciler.core.cleartext import Cleartext
from reconciler.core.problem import Finding, Invalid, Place

if TYPE_CHECKING:
    from reconciler.adapters.sops.keyring import Keyring
    from reconciler.adapters.sops.metadata import Metadata
    from reconciler.adapters.sops.sheet import Sheet, Slot


class Leaf(NamedTuple):
    """A value of a file. `path` holds keys and positions in lists; nulls are no leaves.

    `encrypted` says whether it was, in the file; `kind` what SOPS holds it for, as `cleartext` is its text:
    integers in decimal, booleans `True` and `False`, instants in RFC 3339.
    """

    path: tuple[str | int, ...]
    cleartext: Cleartext
    kind: Kind
    encrypted: bool
    place: Place
    document: int = 0


@dataclass(frozen=True, slots=True)
class Tree:
    """What a file holds, in its order, and who can read it."""

    path: str
    leaves: tuple[Leaf, ...]
    recipients: tuple[str, ...]
    last_modified: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open: for each slot its value and whether it was encrypted. `values` has None for nulls, and for
    comments that nobody encrypted what they say."""

    sheet: Sheet
    metadata: Metadata
    key: Cleartext
    values: tuple[Value | None, ...] = field(repr=False)
    encrypted: tuple[bool, ...]

    def tree(self) -> Tree:
        """Its values with their places."""
        leaves = tuple(
            Leaf(slot.path, Cleartext(value.data), value.kind, encrypted, self.sheet.place(slot), slot.document)
            for slot, value, encrypted in zip(self.sheet.slots, self.values, self.encrypted, strict=True)
            if value is not None and not slot.comment
        )
        names = tuple(str(recipient) for recipient in self.metadata.recipients)
        return Tree(self.sheet.text.path, leaves, names, self.metadata.last_modified)


def decrypt(data: bytes, path: str, keys: Keyring) -> Tree:
    """The values of an encrypted file. `path` is relative to the repository; its name says the syntax.

    Raises `Invalid` where the file is none of SOPS's or was changed by other hands, `Refused` where no key opens it.
    """
    return open_file(data, path, keys).tree()


def open_file(data: bytes, path: str, keys: Keyring) -> Opened:
    """An encrypted file, open. Raises as `decrypt`."""
    sheet = formats.read(data, path)
    if sheet.metadata is None:
        finding = Finding("the file is not encrypted", Place(path), "the metadata of SOPS, under `sops`")
        raise Invalid((finding,))
    found = metadata.read(sheet)
    return _Opening(sheet, found, keys.recover(found, path)).opened()


def reopened(data: bytes, path: str, key: Cleartext) -> Opened:
    """As `open_file`, where the data key is known already."""
    sheet = formats.read(data, path)
    return _Opening(sheet, metadata.read(sheet), key.reveal()).opened()


class _Opening:
    def __init__(self, sheet: Sheet, found: Metadata, key: bytes) -> None:
        self._sheet = sheet
        self._metadata = found
        self._key = key
        self._cipher = AESGCM(key)

    def opened(self) -> Opened:
        chosen = self._selected()
        values: list[Value | None] = []
        findings: list[Finding] = []
        for slot, encrypted in zip(self._sheet.slots, chosen, strict=True):
            try:
                values.append(self._value(slot) if encrypted else slot.value)
            except ValueError as error:
                findings.append(self._finding(slot, str(error)))
                values.append(None)
        if findings:
            raise Invalid(tuple(findings))
        self._check_mac(values, chosen)
        return Opened(self._sheet, self._metadata, Cleartext(self._key), tuple(values), tuple(chosen))

    def _selected(self) -> list[bool]:
        try:
            return selection.selected(self._sheet.slots, self._metadata)
        except selection.UnknownExpression as error:
            raise self._invalid(self._metadata.selector[0], str(error), "an expression that RE2 knows") from None

    def _value(self, slot: Slot) -> Value | None:
        """The value of a slot that is encrypted. Raises `ValueError` where it is not."""
        value = slot.value
        if value is None or (not value.data and value.kind == "str"):
            return value
        if slot.comment:
            return self._comment(slot, value)
        text = value.text
        if value.kind != "str" or not token.looks_encrypted(text):
            name, rule = self._metadata.selector
            raise ValueError(f"this value is not encrypted, though `{name}: {rule}` says that it is")
        return token.opened(token.parse(text), self._cipher, token.aad(slot.path))

    def _comment(self, slot: Slot, value: Value) -> Value:
        """What a comment says; one that nobody encrypted, or that was moved, stays as it is."""
        text = value.data.decode()
        if not token.looks_encrypted(text):
            return value
        for home in slot.homes:
            try:
                return token.opened(token.parse(text), self._cipher, token.aad(home))
            except ValueError:
                continue
        return value

    def _check_mac(self, values: list[Value | None], chosen: list[bool]) -> None:
        written = self._written_mac()
        hashed = (
            (value, encrypted)
            for slot, value, encrypted in zip(self._sheet.slots, values, chosen, strict=True)
            if value is not None and not slot.comment
        )
        if not hmac.compare_digest(selection.mac(hashed, self._metadata), written):
            message = "the MAC does not fit: a value was changed, moved, added or taken away by other hands"
            raise self._invalid("mac", message, "the file as it was written; `git log -p` shows what was done to it")

    def _written_mac(self) -> str:
        try:
            sealed = token.parse(self._metadata.mac)
            return token.opened(sealed, self._cipher, self._metadata.last_modified.encode()).text
        except ValueError:
            message = "the MAC does not authenticate: it, or `lastmodified`, was changed by other hands"
            raise self._invalid("mac", message, "the file as it was written") from None

    def _finding(self, slot: Slot, message: str) -> Finding:
        name = ".".join(str(step) for step in slot.path)
        if message == "does not authenticate":
            message = f"the value of `{name}` does not authenticate: it was changed, or moved here from another key"
        return Finding(message, self._sheet.place(slot), "an encrypted value, as it was written")

    def _invalid(self, name: str, message: str, expected: str) -> Invalid:
        places = self._sheet.places
        begin = self._sheet.blocks[0].cuts[0][0] if self._sheet.blocks else 0
        return self._sheet.invalid(places.get(name, begin), message, expected)
